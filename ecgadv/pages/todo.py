"""How to make what a page has no results of, and what that would cost."""

from collections.abc import Iterable
from fnmatch import fnmatch

import numpy as np

from ecgadv.experiments import suites
from ecgadv.experiments.store import Record
from ecgadv.pages.markdown import Markdown
from ecgadv.results.records import Results


def to_do(results: Results, suite: str, what: str, only: str) -> Markdown:
    """Return the command for the runs that are missing, with the hours that like runs took.

    Args:
        results: what there is of the suite in one profile.
        suite: such as paper-b.
        what: the runs in words.
        only: the labels of the runs, a pattern for `ecgadv run --only`.
    """
    done = {(record.config["label"], record.seed) for record in results.records}
    missing = [
        config.label
        for config, seeds in suites.plan(suite, results.profile)
        for seed in range(seeds)
        if fnmatch(config.label, only) and (config.label, seed) not in done
    ]
    if not missing:
        return Markdown("")
    costs = [_seconds_of_like(label, results.records) for label in missing]
    cost = "their cost was not measured"
    if None not in costs:
        devices = ", ".join(sorted({record.run["device"] for record in results.records}))
        cost = (
            f"about {sum(costs) / 3600:.1f} hours one after the other, by what runs of the same "
            f"network and loss took here ({devices}, shared by several)"
        )
    return Markdown(
        f"{what}: {len(missing)} runs missing; {cost}. Command: "
        f"`ecgadv run {suite} --profile {results.profile} --only '{only}'`"
    )


def _seconds_of_like(label: str, records: Iterable[Record]) -> float | None:
    """Return the mean seconds of runs with the same network and loss that were timed, or None."""
    found = [
        record.seconds
        for record in records
        if _kind(record.config["label"]) == _kind(label) and not record.untimed
    ]
    return float(np.mean(found)) if found else None


def _kind(label: str) -> tuple[str, str]:
    """Return network and loss, such as mlp and nsr."""
    _, network, defense, _ = label.split("/")
    return network, defense.partition("-")[0]
