"""Released networks by name, ready for signals, without the recordings they were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import from_dict
from ecgadv.experiments.session import load_weights
from ecgadv.experiments.store import Record, Store, released_folder
from ecgadv.experiments.suites import PROFILES

# Of the data sets of released networks: leads, values, values a second (ecgadv.data).
SHAPES = {
    "mitdb": (1, 187, 120.0),
    "challenge-2017": (1, 9000, 300.0),
    "ptb-xl": (8, 1000, 100.0),
}


@dataclass(frozen=True)
class Expects:
    """What a released network takes and says.

    Attributes:
        classes: names, in the order of its logits.
        leads, length: of its signals (B, leads, length).
        rate: values a second.
        unit: what one unit of a signal is.
        dataset: what it was trained on.
        record: key of its record.
    """

    classes: tuple[str, ...]
    leads: int
    length: int
    rate: float
    unit: str
    dataset: str
    record: str


def list_models(pattern: str = "*", *, folders: Sequence[Path | str] | None = None) -> list[str]:
    """Return the names of the networks whose weights are released, such as for `load_model`.

    Arguments:
        pattern: of the names, with * and ?.
        folders: of records; None means those that came with the repository.
    """
    names = {name_of(record) for record in _weighted(folders)}
    return sorted(name for name in names if fnmatchcase(name, pattern))


def load_model(
    name: str,
    *,
    seed: int = 0,
    profile: str | None = None,
    folders: Sequence[Path | str] | None = None,
) -> nn.Module:
    """Return a released network in eval mode, its weights checked; `.expects` says what it takes.

    It refuses signals of another shape.

    Arguments:
        name: experiment, split, network, defense and variant, as `list_models` gives them.
        seed: of its training.
        profile: "paper", "short" or "compact"; None means the first of them that there is.
        folders: of records; None means those that came with the repository.

    Raises EcgadvError for a network, seed or profile that is not released, and damaged weights.
    """
    named = [record for record in _weighted(folders) if name_of(record) == name]
    if not named:
        known = list_models(folders=folders)
        if not known:
            raise EcgadvError(
                f"no released networks in {', '.join(map(str, _folders(folders)))}; they come with "
                "a clone of the repository, in book/records: give folders=[...] of it"
            )
        near = [other for other in known if other.split("/")[0] == str(name).split("/")[0]] or known
        raise EcgadvError(
            f"no released network {name!r}; choose one of {', '.join(near[:8])}"
            + (f" and {len(near) - 8} more, see list_models()" if len(near) > 8 else "")
        )
    of_profile = [r for r in named if profile in (None, r.config["profile"])]
    found = [r for r in of_profile if r.seed == seed]
    if not found:
        there = sorted({(r.config["profile"], r.seed) for r in named})
        said = ", ".join(f"profile {p} seed {s}" for p, s in there)
        raise EcgadvError(f"{name} is not released with seed {seed}, profile {profile}; as {said}")
    record = min(found, key=lambda r: _rank(r.config["profile"]))
    return loaded(record)


def loaded(record: Record) -> nn.Module:
    """Return the network of a record, see `load_model`."""
    about, config = record.run["data"], from_dict(record.config)
    if about["name"] not in SHAPES:
        raise EcgadvError(
            f"the shape of {about['name']} is not known without its data; known are those of "
            f"{', '.join(SHAPES)}"
        )
    leads, length, rate = SHAPES[about["name"]]
    classes = tuple(about["classes"])
    model = load_weights(config, record.weights, len(classes), length).eval()
    model.expects = Expects(classes, leads, length, rate, about["unit"], about["name"], record.key)
    model.register_forward_pre_hook(_as_expected)
    return model


def _as_expected(model: nn.Module, given: tuple) -> None:
    """Raise EcgadvError for signals of another shape: some networks would read those, too."""
    wanted, found = (model.expects.leads, model.expects.length), tuple(given[0].shape)
    if found[-2:] != wanted:
        raise EcgadvError(
            f"x of shape {found}; this network takes (..., {wanted[0]}, {wanted[1]}), at "
            f"{model.expects.rate:g} Hz: see its `expects`"
        )


def name_of(record: Record) -> str:
    """Return the name of a record's network: its experiment and its label."""
    return f"{record.config['experiment']}/{record.config['label']}"


def _weighted(folders: Sequence[Path | str] | None) -> list[Record]:
    stores = [Store(folder) for folder in _folders(folders)]
    return [r for store in stores for r in store.records() if r.weights.exists()]


def _folders(folders: Sequence[Path | str] | None) -> Sequence[Path | str]:
    if isinstance(folders, str | Path):  # the letters of a text are no folders
        return [folders]
    return folders or [released_folder()]


def _rank(profile: str) -> int:
    return PROFILES.index(profile) if profile in PROFILES else len(PROFILES)
