"""What the captions of the chapter on paper A say of data, attacks and intervals."""

from collections.abc import Mapping, Sequence

from ecgadv.figures.panels import Dot
from ecgadv.pages.cells import percent
from ecgadv.pages.chosen_a import NAMES
from ecgadv.pages.result import Result

INTERVALS = (
    "thick whiskers: 95 % two-level bootstrap over seeds and records; thin ones: on to the 95 % "
    "interval of Student's t over seeds, where there are several and it reaches further"
)
WILSON = "whiskers: the widest of the seeds' 95 % Wilson intervals"


def sample(found: Sequence[Result], *attacks: str) -> str:
    """Return data, n, seeds and profile in words."""
    first = found[0]
    n = f"{len(first.y)} test records"
    if attacks:
        sizes = sorted({r.attacked(a) for r in found for a in attacks})
        n = f"{' to '.join(str(s) for s in dict.fromkeys((sizes[0], sizes[-1])))} of {n} attacked"
    seeds = sorted({tuple(r.seeds) for r in found}, key=lambda group: (len(group), group))
    words = " or ".join(", ".join(map(str, group)) for group in seeds)
    splits = " and ".join(dict.fromkeys(r.split for r in found))
    data = "synthetic beats" if first.config["dataset"] == "synthetic" else "CinC 2017"
    return f"{data}, split {splits}, {n}, seeds {words}, profile {first.profile}"


def dots_in_words(rows: Mapping[str, Mapping[str, Dot]]) -> str:
    """Return what dots show, for those who cannot see them."""
    said = "; ".join(
        f"{label}: " + ", ".join(f"{name} {percent(d.value)}" for name, d in cells.items())
        for label, cells in rows.items()
    )
    return f"Dots with whiskers. Percent: {said}."


def both_saps(found: Sequence[Result]) -> str:
    """Return both forms of SAP with their steps."""
    parts = []
    for attack in ("sap", "sap-40"):
        options = options_of(found[0], attack)
        parts.append(f"{NAMES[attack]} ({options['pgd_steps']} + {options['smooth_steps']} steps)")
    return f"{' and '.join(parts)}, and in the worst case of these, PGD and the transferred ones"


def walks(found: Sequence[Result]) -> str:
    """Return the boundary attack's settings."""
    options = found[0].config["boundary"]
    return (
        f"{options['pairs']} pairs of each ordered pair of classes, {options['steps']:,} "
        "iterations, pairs skipped that the network misread"
    )


def options_of(result: Result, attack: str) -> dict:
    """Return the settings of an attack as the record holds them."""
    return {a["name"]: a["options"] for a in result.config["attacks"]}[attack]
