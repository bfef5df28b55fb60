"""The results of one experiment in one profile, put together from records by config."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgadv.errors import EcgadvError
from ecgadv.experiments import suites, whole
from ecgadv.experiments.config import run_key
from ecgadv.experiments.store import WEIGHTS, Record, Store, merged, stores_at_hand
from ecgadv.experiments.suites import PROFILES
from ecgadv.results.kept import Kept
from ecgadv.results.names import rank
from ecgadv.results.result import Result


@dataclass(frozen=True)
class Results:
    """The results of one experiment in one profile, in the order in which tables list them."""

    profile: str
    all: tuple[Result, ...]
    released_root: Path  #: folder of the records that came with the repository

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
        """Those of all results, seed by seed."""
        return [record for result in self.all for record in result.records]

    def released(self, record: Record) -> bool:
        """Return whether a record came with the repository, and was not made here."""
        return record.path.parent == self.released_root


def load(stores: Sequence[Store], experiment: str, profile: str) -> Results:
    """Return the results of the records in several stores; the first store with a key wins.

    Args:
        stores: the local one, then the released one.
        experiment: such as paper-b.
        profile: one of the profiles.

    Raises:
        EcgadvError: a record is damaged or incomplete, or its network's are of different data.
    """
    groups: dict[str, list[Record]] = {}
    for record in current(merged(stores, experiment, profile)):
        _check(record)
        groups.setdefault(record.config["label"], []).append(record)
    results = [Result(_of_one_data(label, group)) for label, group in groups.items()]
    return Results(profile, tuple(sorted(results, key=_place)), stores[-1].root)


def _check(record: Record) -> None:
    """Raise EcgadvError unless a record is whole; the same bytes are checked once."""
    kept = Kept("whole", [record], ("metrics.json", "examples.npz", WEIGHTS))
    kept.get("checked", lambda: whole.check(record, weights=False))
    kept.save()


def current(records: Iterable[Record]) -> list[Record]:
    """Return the records of configs as their suites plan them now; others were made by older plans.

    The key decides, as in `suites.holds`. A suite has each label once, so that a record has one
    planned key to be compared with.
    """
    planned = {
        (*pair, config.label): config for pair in suites.known() for config, _ in suites.plan(*pair)
    }
    found = []
    for record in records:
        config = planned.get(names(record))
        fingerprint = record.run["data"]["fingerprint"]
        if config is not None and record.key == run_key(config, record.seed, fingerprint):
            found.append(record)
    return found


def names(record: Record) -> tuple[str, str, str]:
    """Return the suite, the profile and the label of a record's config."""
    return tuple(record.config[name] for name in ("experiment", "profile", "label"))


def best(stores: Sequence[Store], experiment: str, network: str) -> Results:
    """Return the results of the first profile that has any of this network.

    Where none has, the results of the first profile: they are empty, and all is "not run".
    """
    found = [load(stores, experiment, profile) for profile in PROFILES]
    return next((results for results in found if results.pick(network=network)), found[0])


class Networks(dict[str, Result]):
    """Results by defense; one that is not there is told with the command that makes it."""

    def __init__(self, results: Iterable[Result], wanted: str, command: str) -> None:
        super().__init__({result.defense: result for result in results})
        self._wanted, self._command = wanted, command

    def __missing__(self, defense: str) -> Result:
        raise EcgadvError(
            f"no record of {defense!r} of {self._wanted} (there are: {', '.join(self) or 'none'}): "
            f"run `{self._command}` first"
        )


def networks(experiment: str, profile: str, **fields: str) -> Networks:
    """Return the results with these properties by defense, local and released ones.

    Args:
        experiment, profile: as for `load`.
        fields: such as network="mlp", split="beatwise", variant="faithful".

    Returns:
        Results by the third part of their labels, such as "nsr-0.4", in the order of tables; what
        was not run is not there, and to ask for it raises EcgadvError.
    """
    wanted = ", ".join([experiment, profile, *fields.values()])
    command = f"ecgadv run {experiment} --profile {profile}"
    return Networks(load(stores_at_hand(), experiment, profile).pick(**fields), wanted, command)


def _of_one_data(label: str, records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the records of one config, which are of one data set as it was prepared once."""
    data = sorted({record.run["data"]["fingerprint"] for record in records})
    if len(data) > 1:
        raise EcgadvError(
            f"records of {label} are of different data: {', '.join(data)}; delete those of all "
            "but one fingerprint"
        )
    return tuple(records)


def _place(result: Result) -> tuple:
    """Return the sort key: beatwise and MLP first, then the defenses as the paper lists them."""
    return (
        result.split,
        result.network != "mlp",
        result.variant != "faithful",
        *rank(result.defense, result.experiment),
        result.variant,
    )
