"""What of a suite is done, what is missing, and what the missing part will cost."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ecgadv.errors import EcgadvError
from ecgadv.experiments import runner, suites
from ecgadv.experiments.config import Config
from ecgadv.experiments.store import Record, Store, folders_at_hand


def table(pairs: Sequence[tuple[str, str]], stores: dict[str, Store]) -> list[str]:
    """Return the lines of `ecgadv status`: one a config, and a sum for each suite.

    Args:
        pairs: suites and profiles.
        stores: by the word that says where a record is, such as "local" and "released".
    """
    records = [record for store in stores.values() for record in store.records()]
    return [line for pair in pairs for line in _suite(*pair, stores, records)]


def _suite(suite: str, profile: str, stores: dict[str, Store], records: list[Record]) -> list[str]:
    """Return the lines of one suite; without its data, also one that says how to get them."""
    plan = suites.plan(suite, profile)
    lines, prints = [f"{suite} --profile {profile}"], {}
    for dataset in dict.fromkeys(config.dataset for config, _ in plan):
        try:
            prints[dataset] = runner.fingerprint(dataset)
        except EcgadvError as error:
            prints[dataset] = _recorded(dataset, records)
            lines.append(f"  by the records alone: {error}")
    width = max(len(config.label) for config, _ in plan)
    total, unknown = 0.0, 0
    for config, seeds in plan:
        words = where(runner.Job(config, tuple(range(seeds))), stores, prints[config.dataset])
        missing = sum(word in ("trained", "missing") for word in words)
        cost = seconds_a_seed(config, records)
        if cost is None:
            unknown += missing
        else:
            total += missing * cost
        about = f"  {cost / 60:.1f} min a seed, measured" if missing and cost is not None else ""
        lines.append(f"  {config.label:{width}}  {summary(words)}{about}")
    rest = f", and {unknown} runs of unknown cost" if unknown else ""
    return [*lines, f"  to do: about {total / 60:.0f} min on the device measured{rest}"]


def _recorded(dataset: str, records: Sequence[Record]) -> str:
    """Return the fingerprint of a dataset that is not here: that of most of its records."""
    prints = [r.run["data"]["fingerprint"] for r in records if r.config["dataset"] == dataset]
    return max(sorted(set(prints)), key=prints.count, default="")


def where(job: runner.Job, stores: dict[str, Store], own: str | None = None) -> list[str]:
    """Return for each seed the stores that have its record, or "trained" or "missing".

    Args:
        job: some seeds of a config.
        stores: by the word to say.
        own: see `runner.state`.
    """
    states = {name: runner.state(job, store, own) for name, store in stores.items()}
    words = []
    for seed in job.seeds:
        found = [name for name, state in states.items() if state[seed] == "done"]
        trained = any(state[seed] == "trained" for state in states.values())
        words.append("+".join(found) or ("trained" if trained else "missing"))
    return words


def summary(words: list[str]) -> str:
    """Return "3 released" for three equal words, "2 local, 1 missing" for mixed ones."""
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def seconds_a_seed(config: Config, records: Sequence[Record]) -> float | None:
    """Return what a seed of this config took in the records that timed all of it, or None."""
    wanted = (config.experiment, config.profile, config.label)
    names = ("experiment", "profile", "label")
    same = [r for r in records if tuple(r.config[name] for name in names) == wanted]
    timed = [record.seconds for record in same if not record.untimed]
    return mean(timed) if timed else None


def local_and_released(runs: Path) -> dict[str, Store]:
    """Return the store of the runs made here and the released one, by the words for them."""
    return dict(zip(("local", "released"), map(Store, folders_at_hand(runs)), strict=True))
