"""Defenses in words, as pages call them, and the order in which tables list them."""

from ecgadv.errors import EcgadvError

# Paper B's order, then paper A's (PROTOCOLS 2.4), by the first part of a label's defense.
ORDER = {
    "paper-b": ("ce", "nsr", "jacobian", "at"),
    "paper-a": ("ce", "at", "adt", "distillation", "initadt", "distadt", "jacobian", "nsr"),
}
_WORDS = {
    "paper-b": {
        "ce": "undefended",
        "nsr": "NSR, beta {}",
        "jacobian": "Jacobian, beta {}",
        "at": "adversarial training, eps {}",
    },
    "paper-a": {
        "ce": "undefended",
        "at": "SAP adversarial training, eps {}",
        "adt": "ADT, T = {}",
        "distillation": "distillation, T = {}",
        "initadt": "Init-ADT, T = {}",
        "distadt": "Dist-ADT, T = {}",
        "jacobian": "Jacobian, lambda {}",
        "nsr": "NSR, beta {}",
    },
}
# What a variant of paper A's networks changes; the others are told by their strength.
_VARIANTS = {
    "rescaled": "per millivolt",
    "eval-labels": "labels in eval mode",
    "eval-attack": "attack in eval mode",
    "selected-on-test": "epoch chosen on the test part",
    "last-epoch": "last epoch",
}
_UNITS = {"uV": " µV"}  # a share of a beat's range has no name


def plain(
    defense: str, experiment: str = "paper-b", *, variant: str = "faithful", unit: str = ""
) -> str:
    """Return a defense in words: "nsr-0.4" gives "NSR, beta 0.4".

    Args:
        defense: the third part of a label.
        experiment: paper-a or paper-b.
        variant: the fourth part of a label.
        unit: what one unit of the signal is, for the strength of an attack in training.

    Raises EcgadvError for a defense that the experiment does not know.
    """
    kind, _, strength = defense.partition("-")
    words = _WORDS.get(experiment, {})
    if kind not in words:
        raise EcgadvError(f"no defense {defense!r} in {experiment}; choose one of {list(words)}")
    said = words[kind].format(_number(strength) if strength else "")
    if experiment == "paper-b":
        return said
    if kind == "at":
        said += _UNITS.get(unit, "")
    return ", ".join(part for part in (said, _VARIANTS.get(variant)) if part)


def place(defense: str, experiment: str) -> tuple[int, float]:
    """Return the sort key of a defense within its experiment."""
    kind, _, strength = defense.partition("-")
    return ORDER[experiment].index(kind), float(strength or 0)


def _number(strength: str) -> str:
    """Return a strength of a label without an exponent, thousands apart."""
    return f"{float(strength):,.0f}" if float(strength) >= 1000 else strength
