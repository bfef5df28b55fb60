"""The experiments of the book: which configs each suite holds in each profile.

One module a paper or data set gives the plans; a further one adds a module and its rows here.
"""

from collections.abc import Callable

from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import Plan, run_key
from ecgadv.experiments.store import Record
from ecgadv.experiments.suites import paper_a, paper_b

SUITES: dict[tuple[str, str], Callable[[], Plan]] = {
    ("paper-b", "paper"): paper_b.paper,
    ("paper-b", "compact"): paper_b.compact,
    ("paper-b", "demo"): paper_b.demo,
    ("paper-a", "paper"): paper_a.paper,
    ("paper-a", "short"): paper_a.short,
    ("paper-a", "compact"): paper_a.compact,
    ("paper-a", "demo"): paper_a.demo,
}


def plan(suite: str, profile: str) -> Plan:
    """Return the configs of a suite in a profile with their numbers of seeds."""
    if (suite, profile) not in SUITES:
        known = ", ".join(f"{s} --profile {p}" for s, p in SUITES)
        raise EcgadvError(f"no suite {suite!r} in profile {profile!r}; choose one of {known}")
    return SUITES[suite, profile]()


def holds(plan: Plan, record: Record) -> bool:
    """Return whether a record is of a config of the plan as it is now."""
    fingerprint = record.run["data"]["fingerprint"]
    keys = {run_key(config, record.seed, fingerprint) for config, _ in plan}
    return record.key in keys


def known(suite: str | None = None, profile: str | None = None) -> list[tuple[str, str]]:
    """Return the (suite, profile) pairs there are, narrowed to a suite or a profile."""
    pairs = [pair for pair in SUITES if suite in (None, pair[0]) and profile in (None, pair[1])]
    if not pairs:
        wanted = " in profile ".join(repr(name) for name in (suite, profile) if name is not None)
        names = ", ".join(f"{s} --profile {p}" for s, p in SUITES)
        raise EcgadvError(f"nothing is called {wanted}; choose among {names}")
    return pairs
