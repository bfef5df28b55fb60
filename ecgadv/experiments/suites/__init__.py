"""The experiments of the book: which configs each suite holds in each profile.

One module a paper or data set gives the plans; a further one adds a module and its rows here.
"""

from collections.abc import Callable, Iterable

from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import Plan, run_key
from ecgadv.experiments.store import Record
from ecgadv.experiments.suites import paper_a, paper_b, twelve_leads

SUITES: dict[tuple[str, str], Callable[[], Plan]] = {
    ("paper-b", "paper"): paper_b.paper,
    ("paper-b", "compact"): paper_b.compact,
    ("paper-b", "demo"): paper_b.demo,
    ("paper-a", "paper"): paper_a.paper,
    ("paper-a", "short"): paper_a.short,
    ("paper-a", "compact"): paper_a.compact,
    ("paper-a", "demo"): paper_a.demo,
    ("twelve-leads", "paper"): twelve_leads.paper,
    ("twelve-leads", "compact"): twelve_leads.compact,
    ("twelve-leads", "demo"): twelve_leads.demo,
}

# The order in which a page or a reader prefers them; demo is never evidence.
PROFILES = ("paper", "short", "compact")


def plan(suite: str, profile: str) -> Plan:
    """Return the configs of a suite in a profile with their numbers of seeds."""
    (pair,) = known(suite, profile)
    return SUITES[pair]()


def holds(plan: Plan, record: Record) -> bool:
    """Return whether a record is of a config of the plan as it is now."""
    fingerprint = record.run["data"]["fingerprint"]
    keys = {run_key(config, record.seed, fingerprint) for config, _ in plan}
    return record.key in keys


def known(suite: str | None = None, profile: str | None = None) -> list[tuple[str, str]]:
    """Return the (suite, profile) pairs there are, narrowed to a suite or a profile."""
    of_suite = [pair for pair in SUITES if suite in (None, pair[0])]
    if not of_suite:
        raise EcgadvError(f"no suite {suite!r}; choose one of {_names(s for s, _ in SUITES)}")
    pairs = [pair for pair in of_suite if profile in (None, pair[1])]
    if not pairs:
        where = "" if suite is None else f" of {suite}"
        names = _names(p for _, p in of_suite)
        raise EcgadvError(f"no profile {profile!r}{where}; choose one of {names}")
    return pairs


def _names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
