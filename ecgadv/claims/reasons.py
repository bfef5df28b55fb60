"""Why a verdict follows, in one sentence for those who know hearts and not attacks.

A sentence says what was shown, what was not, and what keeps the verdict from being another. It has
one number at most, that of the finding that decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ecgadv.claims.finding import NOT, OPEN, SUPPORTED, Finding, Grid, joined

# Measures as tables name them, and as a sentence does.
SAP, SAP_40 = "SAP 20 + 20", "SAP 20 + 40"
TRANSFERRED, DIRECT = "boundary, transferred", "boundary, attacked itself (distance, %)"
LOW_PGD = "PGD up to 10 µV"
NATURAL, BALANCED = "natural clean accuracy", "class-balanced clean accuracy"
AREA_PGD, AREA_SAP, AREA_ALL = (
    f"AUC(0.1) under {attack}" for attack in ("the authors' PGD", "SAP", "the worst case")
)
_PLAIN = {
    SAP: "under SAP",
    SAP_40: "under longer SAP",
    TRANSFERRED: "on transferred boundary examples",
    DIRECT: "by the boundary attack's distance",
    LOW_PGD: "at low noise",
    NATURAL: "overall accuracy",
    BALANCED: "the class mean",
    AREA_PGD: "the authors' PGD",
    AREA_SAP: "SAP",
    AREA_ALL: "all attacks together",
}
_NUMBERS = ("none", "one", "two", "three", "four", "five")
# The sides of A3, white and black box.
SIDES = {"under SAP": (SAP, SAP_40), _PLAIN[TRANSFERRED]: (TRANSFERRED,)}

Reason = Callable[[Grid, str], str]  # from the grid that counts and the verdict on what was run


@dataclass(frozen=True)
class Each:
    """The reason where each number is a part of the claim.

    Args:
        yes: what a number above its threshold shows.
        no: what one below it shows.
        preposition: between these words and a measure.
    """

    yes: str
    no: str
    preposition: str

    def __call__(self, grid: Grid, on_data: str) -> str:
        run = [f for f in grid.values() if f]
        deciding = _deciding(run, on_data)
        text = ""
        for kind, found in (
            ("yes", [f for f in run if f.above]),
            ("no", [f for f in run if f.below]),
            ("open", [f for f in run if not (f.above or f.below)]),
        ):
            if found:
                last = "and" if kind == "yes" else "or"
                where = f"{self.preposition} {joined(_measures(found, run), last)}"
                text += self._clause(kind, where, first=not text)
                text += f": {deciding.number}" if deciding in found else ""
        return text

    def _clause(self, kind: str, where: str, *, first: bool) -> str:
        if kind == "yes":
            return f"{self.yes} {where}"
        if kind == "no":
            return f"{self.no} {where}" if first else f", but not {where}"
        return f"Whether {self.yes} {where} is open" if first else f"; open {where}"


GAINS = Each("NSR gains substantially", "NSR does not gain substantially", "under")
COSTS = Each("NSR costs little", "NSR costs more than a little", "in")
IMPROVES = Each(
    "ADT improves on adversarial training", "ADT does not improve on adversarial training", "in"
)


def beating(grid: Grid, on_data: str) -> str:
    """Return the reason of a claim that adversarial distillation training (ADT) beats others."""
    columns, rows = lines(grid, 0), lines(grid, 1)
    run = [f for f in grid.values() if f]
    n, one = len({f.subject for f in run}), len(columns) == 1
    every = _PLAIN[LOW_PGD] if one else f"by all {_NUMBERS[len(columns)]} measures"
    if on_data == SUPPORTED:
        return f"ADT beats all {n} rivals {every}; nearest is {_told(_deciding(run, on_data), one)}"
    throughout = [name for name, row in rows.items() if all(f and f.above for f in row)]
    if throughout:
        rest = _unbeaten([f for f in run if f.subject not in throughout], one)
        return f"ADT beats {len(throughout)} of {n} rivals {every}, but {rest}"
    beaten = {what: sum(bool(f and f.above) for f in line) for what, line in columns.items()}
    best, worst = max(beaten, key=beaten.get), min(beaten, key=beaten.get)
    short = next(what for what in (best, worst) if not all(f and f.above for f in columns[what]))
    if not (one or beaten[best]):
        nearest = _unbeaten(run, one)
        return (
            f"ADT beats none of {n} rivals by any of {_NUMBERS[len(columns)]} measures ({nearest})"
        )
    text = f"ADT beats {beaten[best] or 'none'} of {n} rivals {_PLAIN[best]}"
    number = f" ({_unbeaten([f for f in columns[short] if f], True)})"
    if one:
        return text + number
    return (
        f"{text}{number * (short == best)}, {_NUMBERS[beaten[worst]]} {_PLAIN[worst]}"
        f"{number * (short != best)}, and none {every}"
    )


def well(grid: Grid, on_data: str) -> str:
    """Return the reason of A3: whether some defense does well against white and black box."""
    rows = {name: [f for f in row if f] for name, row in lines(grid, 1).items() if any(row)}
    able, text, number = [], [], ""
    for side, whats in SIDES.items():
        found = {name: [f for f in row if f.measure in whats] for name, row in rows.items()}
        found = {name: cells for name, cells in found.items() if cells}
        if not found:
            continue
        able.append([n for n, c in found.items() if len(c) == len(whats) and _all_above(c)])
        best = max((min(cells, key=_excess) for cells in found.values()), key=_excess)
        refuted = all(any(f.below for f in cells) for cells in found.values())
        who = f"{len(able[-1])} of {len(rows)} defenses" if able[-1] else "no defense"
        verb = "does well" if able[-1] or refuted else "clearly does well"
        text.append(f"{who} {verb} {side}")
        if not (able[-1] or number):
            number = f": the best, {best.subject}, lies {best.number} from what counts as well"
            text[-1] += number
    if on_data == SUPPORTED:
        name = next(name for name in able[0] if name in able[1])
        number = _deciding(rows[name], on_data).number
        both = " and ".join(SIDES)
        return capital(f"{name} does well {both}: {number} above what counts as well")
    return capital("; ".join(text)) + ", but none does both" * all(able)


def one_seed(run: Sequence[Finding]) -> str:
    """Return the reason where a single training of each network decides nothing."""
    found = _deciding(run, OPEN)
    return f"One training of each network decides nothing: {found.measure}, {found.number}"


def limits(missing: Sequence[str], *, narrow: bool) -> str:
    """End a reason with what else keeps a claim from being supported or refuted."""
    text = f"; not run: {joined(missing)}" * bool(missing)
    text += "; a network narrower than the paper's cannot settle it" * narrow
    return f"{text}."


def lines(grid: Grid, side: int) -> dict[str, list[Finding | None]]:
    """Return the columns (side 0, one a measure) or the rows (side 1, one a subject) of a grid."""
    names = dict.fromkeys(key[side] for key in grid)
    return {n: [cell for key, cell in grid.items() if key[side] == n] for n in names}


def _deciding(run: Sequence[Finding], on_data: str) -> Finding:
    """Return the finding that comes nearest to another verdict, or keeps from "supported"."""
    if on_data == NOT:
        return max(run, key=_excess)
    return min([f for f in run if not f.above] or run, key=_excess)


def _unbeaten(found: Sequence[Finding], one: bool) -> str:
    """Return "not" with the rival that is farthest from being beaten."""
    finding = min((f for f in found if not f.above), key=_excess)
    return f"{'not' if finding.below else 'not clearly'} {_told(finding, one)}"


def _told(finding: Finding, one: bool) -> str:
    """Return whom a finding is about, by which of several measures, and its number."""
    where = "" if one else f" {_PLAIN[finding.measure]}"
    return f"{finding.subject}{where}: {finding.number}"


def _measures(found: Sequence[Finding], run: Sequence[Finding]) -> list[str]:
    """Return the measures of findings in words, with the network where not all of it agree."""
    named = []
    for what in dict.fromkeys(f.measure for f in found):
        these = [f.subject for f in found if f.measure == what]
        all_of_it = len(these) == sum(f.measure == what for f in run)
        named.append(_PLAIN[what] if all_of_it else f"{_PLAIN[what]} ({joined(these)})")
    return named


def _all_above(found: Sequence[Finding]) -> bool:
    return all(f.above for f in found)


def _excess(finding: Finding) -> float:
    return finding.estimate.value - finding.threshold


def capital(text: str) -> str:
    """Return a text as the beginning of a sentence."""
    return text[0].upper() + text[1:]
