"""What a run that is not done yet will take, by the records of runs like it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from ecgadv.experiments.config import Config, as_dict, training_key
from ecgadv.experiments.store import Record


def seconds(
    runs: Iterable[tuple[Config, int]], records: Sequence[Record], prints: Mapping[str, str]
) -> list[float | None]:
    """Return what each run takes on the devices measured, None where nothing says so.

    Its training is timed by records of the same label, or else of the same network and loss; its
    attacks by those of the same label, or else of the same network under the same attacks. Weights
    that came with a record are not trained again, and runs that share weights train them once.

    Args:
        runs: configs, each with a seed.
        records: those that there are.
        prints: fingerprints of the data sets.
    """
    there, found = weights(records), []
    for config, seed in runs:
        key = training_key(config, seed, prints[config.dataset])
        found.append(_seconds(config, records, trained=key in there))
        there.add(key)
    return found


def _seconds(config: Config, records: Sequence[Record], *, trained: bool) -> float | None:
    wanted = as_dict(config)
    near = [r for r in records if _same(r, wanted, "experiment", "profile", "model")]
    same = [r for r in near if _same(r, wanted, "label")]
    attacked = [r for r in near if _attacks(r.config) == _attacks(wanted)]
    parts = [_mean(lambda r: None if r.untimed else r.attack_seconds, same, attacked)]
    if not trained:
        defended = [r for r in near if r.config["defense"]["name"] == config.defense.name]
        parts.append(_mean(lambda r: r.run["training"]["seconds"], same, defended))
    return None if None in parts else sum(parts)


def fingerprint(dataset: str, records: Iterable[Record]) -> str:
    """Return the fingerprint of a dataset that is not here: that of most of its records."""
    prints = [r.run["data"]["fingerprint"] for r in records if r.config["dataset"] == dataset]
    return max(sorted(set(prints)), key=prints.count, default="")


def weights(records: Iterable[Record]) -> set[str]:
    """Return the training keys of the weights that records came with."""
    return {r.run["training"].get("key") for r in records if r.weights.exists()}


def _same(record: Record, wanted: dict[str, Any], *names: str) -> bool:
    return all(record.config[name] == wanted[name] for name in names)


def _attacks(config: dict[str, Any]) -> list[tuple]:
    names = ("name", "eps", "options", "per_class")
    return [tuple(attack.get(name) for name in names) for attack in config["attacks"]]


def _mean(timed: Callable[[Record], float | None], *groups: Sequence[Record]) -> float | None:
    """Return the mean over the first group of which something was timed."""
    for group in groups:
        if found := [value for value in map(timed, group) if value is not None]:
            return mean(found)
    return None
