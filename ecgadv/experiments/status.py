"""What of a suite is done, what is missing, and what the missing part will cost."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ecgadv.experiments import runner, suites
from ecgadv.experiments.store import Record, Store


def table(pairs: Sequence[tuple[str, str]], stores: dict[str, Store]) -> list[str]:
    """Return the lines of `ecgadv status`: one a config, and a sum for each suite.

    Args:
        pairs: suites and profiles.
        stores: by the word that says where a record is, such as "local" and "released".
    """
    lines = []
    for suite, profile in pairs:
        plan = suites.plan(suite, profile)
        jobs = [runner.Job(config, tuple(range(seeds))) for config, seeds in plan]
        width = max(len(job.config.label) for job in jobs)
        lines.append(f"{suite} --profile {profile}")
        total, unknown = 0.0, 0
        for job in jobs:
            states = {name: runner.state(job, store) for name, store in stores.items()}
            words, missing = [], 0
            for seed in job.seeds:
                where = [name for name, found in states.items() if found[seed] == "done"]
                trained = any(found[seed] == "trained" for found in states.values())
                words.append("+".join(where) or ("trained" if trained else "missing"))
                missing += not where
            cost = seconds_a_seed(job, list(stores.values()))
            if missing and cost is None:
                unknown += missing
            elif missing:
                total += missing * cost
            about = "" if cost is None else f"  {cost / 60:.1f} min a seed, measured"
            lines.append(
                f"  {job.config.label:{width}}  {summary(words)}{about if missing else ''}"
            )
        rest = f", and {unknown} runs of unknown cost" if unknown else ""
        lines.append(f"  to do: about {total / 60:.0f} min on the device measured{rest}")
    return lines


def summary(words: list[str]) -> str:
    """Return "3 released" for three equal words, "2 local, 1 missing" for mixed ones."""
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def seconds_a_seed(job: runner.Job, stores: Sequence[Store]) -> float | None:
    """Return what a seed of this config took in the records there are, or None."""
    same = [record for store in stores for record in _records_like(job, store)]
    return mean(r.run["seconds"] + r.run["training"]["seconds"] for r in same) if same else None


def _records_like(job: runner.Job, store: Store) -> list[Record]:
    found = store.records(job.config.experiment, job.config.profile)
    return [record for record in found if record.config["label"] == job.config.label]


def local_and_released(root: Path, released: Path) -> dict[str, Store]:
    """Return the two stores of a checkout under the words that `table` prints."""
    return {"local": Store(root), "released": Store(released)}
