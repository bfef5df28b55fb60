"""What tables, figures and sentences call things, their order and look: words.toml, looked up."""

import functools
import tomllib
from pathlib import Path
from typing import Any

from ecgadv.errors import EcgadvError
from ecgadv.experiments.suites.standard import STANDARD


@functools.cache
def words() -> dict[str, Any]:
    """Return words.toml."""
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def plain(
    defense: str, experiment: str = "paper-b", *, variant: str = "faithful", unit: str = ""
) -> str:
    """Return a defense in words: "nsr-0.4" gives "NSR, beta 0.4".

    Args:
        defense: the third part of a label.
        experiment: such as paper-b.
        variant: the fourth part of a label.
        unit: what one unit of the signal is, for the strength of an attack in training.

    Raises EcgadvError for a defense that the experiment does not know.
    """
    kind, _, strength = defense.partition("-")
    said = _defense(kind, experiment)["words"].format(_number(strength) if strength else "")
    if kind == "at":
        said += words()["units"].get(unit, "")
    changed = _variant(variant, experiment).get("words")
    return ", ".join(part for part in (said, changed) if part)


def rank(defense: str, experiment: str) -> tuple[int, float]:
    """Return the sort key of a defense within its experiment."""
    kind, _, strength = defense.partition("-")
    _defense(kind, experiment)
    return list(words()["defenses"][experiment]).index(kind), float(strength or 0)


def look_of(defense: str, experiment: str, variant: str = "faithful") -> int:
    """Return the number of a defense's look, the same in all figures of its experiment."""
    kind, _, strength = defense.partition("-")
    changed = _variant(variant, experiment)
    about = _defense(kind, experiment)
    return changed.get("look", about.get("looks", {}).get(strength, about["look"]))


def attack_name(attack: str, experiment: str) -> str:
    """Return an attack in words: "apgd-dlr" gives "Auto-PGD, DLR"."""
    return words()["attacks-of"].get(experiment, {}).get(attack) or known("attacks", attack)


def known(kind: str, key: str) -> Any:
    """Return the entry of one of the tables of words.toml.

    Raises EcgadvError for a key that it lacks.
    """
    table = words()[kind]
    if key not in table:
        raise EcgadvError(f"no {key!r} among the {kind} of words.toml; it has {', '.join(table)}")
    return table[key]


def level(eps: float, unit: str) -> str:
    """Return a noise level with its unit: "10 µV", or "eps 0.1" as a share of a beat's range."""
    name = words()["units"].get(unit)
    return f"{eps:g}{name}" if name else f"eps {eps:g}"


def axis(unit: str) -> str:
    """Return the label of an axis of noise levels."""
    name = words()["units"].get(unit)
    if name:
        return f"eps ({name.strip()})"
    return f"eps (share of {words()['shares'].get(unit, words()['shares']['normalised'])})"


def _defense(kind: str, experiment: str) -> dict[str, Any]:
    listed = words()["defenses"].get(experiment, {})
    if kind not in listed:
        raise EcgadvError(f"no defense {kind!r} in {experiment}; choose one of {list(listed)}")
    return listed[kind]


def _variant(variant: str, experiment: str) -> dict[str, Any]:
    """Return what is said of a variant; under the standard cascade the network is the same."""
    network = variant.removesuffix(f"-{STANDARD}")
    return words()["variants"].get(experiment, {}).get(network, {})


def _number(strength: str) -> str:
    """Return a strength of a label without an exponent, thousands apart."""
    return f"{float(strength):,.0f}" if float(strength) >= 1000 else strength
