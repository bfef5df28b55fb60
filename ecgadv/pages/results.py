"""The results of one experiment in one profile, put together from records by config."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgadv.errors import EcgadvError
from ecgadv.experiments import suites
from ecgadv.experiments.config import as_dict
from ecgadv.experiments.store import Record, Store, merged
from ecgadv.pages.names import place
from ecgadv.pages.result import Result

# The order in which a page prefers them (DESIGN.md); demo is never evidence.
PROFILES = ("paper", "short", "compact")


@dataclass(frozen=True)
class Results:
    """The results of one experiment in one profile, in the order in which tables list them."""

    profile: str
    all: tuple[Result, ...]
    released_root: Path  # folder of the records that came with the repository

    def pick(self, **fields: str) -> list[Result]:
        """Return the results whose properties (split, network, defense, ...) have these values."""
        return [r for r in self.all if all(getattr(r, k) == v for k, v in fields.items())]

    def one(self, **fields: str) -> Result | None:
        """Return the only result with these properties, or None."""
        found = self.pick(**fields)
        if len(found) > 1:
            raise EcgadvError(f"{len(found)} results have {fields}: name more of their properties")
        return found[0] if found else None

    @property
    def records(self) -> list[Record]:
        return [record for result in self.all for record in result.records]

    def released(self, record: Record) -> bool:
        """Return whether a record came with the repository, and was not made here."""
        return record.path.parent == self.released_root


def load(stores: Sequence[Store], experiment: str, profile: str) -> Results:
    """Return the results of the records in several stores; the first store with a key wins.

    Where some records of a config were attacked as its suite plans now, older ones are left out.

    Args:
        stores: the local one, then the released one.
        experiment: such as paper-b.
        profile: one of the profiles.
    """
    planned = _planned(experiment, profile)
    groups: dict[str, list[Record]] = {}
    for record in merged(stores, experiment, profile):
        groups.setdefault(record.config["label"], []).append(record)
    for label, group in groups.items():
        now = [record for record in group if _evaluation(record.config) == planned.get(label)]
        groups[label] = now or group
    results = [Result(_one_a_seed(label, group)) for label, group in groups.items()]
    return Results(profile, tuple(sorted(results, key=_place)), stores[-1].root)


def best(
    stores: Sequence[Store], experiment: str, network: str, profiles: Sequence[str] = PROFILES
) -> Results:
    """Return the results of the first profile that has any of this network.

    Where none has, the results of the first profile: they are empty, and all is "not run".
    """
    found = [load(stores, experiment, profile) for profile in profiles]
    return next((results for results in found if results.pick(network=network)), found[0])


def _one_a_seed(label: str, records: Iterable[Record]) -> tuple[Record, ...]:
    """Return the records by seed; two of one seed come from two versions of the config."""
    found = {record.seed: record for record in records}
    kept = sorted(found.values(), key=lambda record: record.seed)
    if any(_evaluation(record.config) != _evaluation(kept[0].config) for record in kept):
        raise EcgadvError(f"records of {label} had different attacks: delete the outdated ones")
    return tuple(kept)


def _planned(experiment: str, profile: str) -> dict[str, tuple]:
    """Return how the suite attacks each of its configs, by label."""
    known = (experiment, profile) in suites.SUITES
    plan = suites.plan(experiment, profile) if known else []
    return {config.label: _evaluation(as_dict(config)) for config, _ in plan}


def _evaluation(config: dict) -> tuple:
    return config["attacks"], config.get("boundary") or None


def _place(result: Result) -> tuple:
    """Return the sort key: beatwise and MLP first, then the defenses as the paper lists them."""
    return (
        result.split,
        result.network != "mlp",
        result.variant != "faithful",
        *place(result.defense, result.experiment),
        result.variant,
    )
