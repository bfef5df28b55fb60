"""What a page has no results of: how to make it, what it would cost, and making it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecgadv.errors import EcgadvError
from ecgadv.experiments import suites
from ecgadv.experiments.store import Store, released_folder, stores_at_hand
from ecgadv.markdown import Markdown
from ecgadv.repository import place
from ecgadv.results.records import load
from ecgadv.results.runs import runs

if TYPE_CHECKING:
    from pandas import DataFrame

UNKNOWN = "their cost was not measured"


def planned(stores: Sequence[Store] | None = None) -> DataFrame:
    """Return one row for each config that the suites plan, and how much of it was run.

    Args:
        stores: as in `estimates`.

    Returns:
        `experiment`, `profile` and `config` as in `runs`, `planned` (the number of seeds) and `run`
        (those that have a record), in the order of the plans.
    """
    from pandas import DataFrame

    names = ["experiment", "profile", "config"]
    plan = [
        (*pair, config.label, seeds)
        for pair in suites.known()
        for config, seeds in suites.plan(*pair)
    ]
    done = runs(stores).groupby(names).seed.nunique().rename("run")
    table = DataFrame(plan, columns=[*names, "planned"]).join(done, on=names)
    return table.fillna({"run": 0}).astype({"run": int})


def run_missing(
    experiment: str,
    profile: str,
    *,
    only: str = "*",
    seeds: int | None = None,
    device: str = "cpu",
    deadline: float | None = None,
) -> None:
    """Train and attack what has no record yet, as `ecgadv run --missing` does, and go on if begun.

    Args:
        experiment, profile: a suite and one of its profiles.
        only: a pattern of labels, such as `"beatwise/mlp/*/faithful"`.
        seeds: how many of each config; as the suite plans if None.
        device: "cpu" or "cuda".
        deadline: minutes after which nothing new begins; what is begun goes on next time.

    Raises:
        EcgadvError: the device is not there, the data are not prepared, no label matches.
    """
    from ecgadv.experiments import runner

    # A notebook may stand in any folder; its processes look for the recordings where it says.
    os.environ.setdefault("ECGADV_DATA", str(place("recordings").resolve()))
    jobs = runner.jobs(experiment, profile, only=only, seeds=seeds)
    jobs = runner.without_done(jobs, Store(released_folder()))
    if deadline is not None and deadline <= 0:
        raise EcgadvError(f"deadline is {deadline}; give minutes, above 0")
    settings = runner.Options(
        place("runs"),
        device=device,
        processes=runner.default_processes(device),
        ends_at=None if deadline is None else time.time() + 60 * deadline,
        command=f"ecgadv run {experiment} --profile {profile} --only '{only}'",
    )
    runner.run_all(jobs, settings)


def missing(experiment: str, profile: str, *, only: str, seeds: int | None = None) -> Markdown:
    """Say which runs have no record, by what command they are made, and how long that takes.

    Args:
        experiment, profile, only, seeds: as for `run_missing`.

    Returns:
        A sentence; where all are there, it says so. The hours are those of `expected.seconds`.

    Raises:
        EcgadvError: no label matches.
    """
    from ecgadv.experiments import expected, runner

    records = load(stores_at_hand(), experiment, profile).records
    done = {(record.config["label"], record.seed) for record in records}
    wanted = [
        (job.config, seed)
        for job in runner.jobs(experiment, profile, only=only, seeds=seeds)
        for seed in job.seeds
        if (job.config.label, seed) not in done
    ]
    if not wanted:
        return Markdown("All runs that are planned for this were made.")
    datasets = {config.dataset for config, _ in wanted}
    prints = {name: expected.fingerprint(name, records) for name in datasets}
    costs = expected.seconds(wanted, records, prints)
    hours = sum(cost or 0 for cost in costs) / 3600
    cost = f"about {hours:.1f} hours"
    if unknown := costs.count(None):
        cost = f"{cost}, without {unknown} of unknown cost" if hours else UNKNOWN
    return Markdown(
        f"**Not run:** {len(wanted)} runs ({cost}), by "
        f"`ecgadv run {experiment} --profile {profile} --only '{only}'`."
    )
