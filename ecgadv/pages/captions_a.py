"""What the captions of the chapter on paper A say of data, attacks and intervals."""

from collections.abc import Mapping, Sequence

from ecgadv.figures.panels import Dot
from ecgadv.pages import chosen_a
from ecgadv.pages.cells import percent
from ecgadv.results.result import Result

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
    return _drawn_from(found, n)


def drawn_pairs(found: Sequence[Result], walk: str = "distance") -> str:
    """Return data, pairs drawn and walked, seeds and profile in words.

    Args:
        found: results that were put through the boundary attack.
        walk: see `chosen_a.walked_pairs`.
    """
    drawn, *ends = chosen_a.walked_pairs(found, walk)
    walked = " to ".join(map(str, dict.fromkeys(ends)))
    n = f"{drawn} pairs drawn from {len(found[0].y)} test records, {walked} of them walked"
    return _drawn_from(found, f"{n} a network and seed" if walk == "distance" else f"{n} a seed")


def _drawn_from(found: Sequence[Result], n: str) -> str:
    groups = sorted({tuple(r.seeds) for r in found}, key=lambda group: (-len(group), group))
    seeds, *fewer = (", ".join(map(str, group)) for group in groups)
    seeds += f" (some networks: {' or '.join(fewer)} only)" if fewer else ""
    splits = " and ".join(dict.fromkeys(r.split for r in found))
    data = "synthetic beats" if found[0].config["dataset"] == "synthetic" else "CinC 2017"
    return f"{data}, split {splits}, {n}, seeds {seeds}, profile {found[0].profile}"


def dots_in_words(rows: Mapping[str, Mapping[str, Dot]]) -> str:
    """Return what dots show, for those who cannot see them."""
    said = "; ".join(
        f"{label}: " + ", ".join(f"{name} {percent(d.value)}" for name, d in cells.items())
        for label, cells in rows.items()
    )
    return f"Dots with whiskers. Percent: {said}."


def both_saps(found: Sequence[Result]) -> str:
    """Return both forms of SAP, named by their steps before and after the smoothing sets in."""
    parts = [sap_in_words(found[0], attack) for attack in ("sap", "sap-40")]
    return f"{' and '.join(parts)}, and in the worst case of these, PGD and the transferred ones"


def sap_in_words(result: Result, attack: str) -> str:
    """Return SAP's name with the steps that the record holds."""
    options = options_of(result, attack)
    return f"SAP {options['pgd_steps']} + {options['smooth_steps']}"


def walks(found: Sequence[Result]) -> str:
    """Return the boundary attack's settings, and whether its walks were finished."""
    options, theirs = found[0].config["boundary"], chosen_a.authors_iterations()
    said = f"{options['steps']:,} iterations"
    if options["steps"] < theirs:
        said += f" instead of the authors' {theirs:,}, so the walks are unfinished"
    return f"{said}; pairs were skipped that the network misread"


def options_of(result: Result, attack: str) -> dict:
    """Return the settings of an attack as the record holds them."""
    return {a["name"]: a["options"] for a in result.config["attacks"]}[attack]
