"""The verdicts on claims A1 to A4, computed from results by the rules of book/claims.yml.

A rule asks for a grid of findings, one for each measure and each network that adversarial
distillation training (ADT) is compared with (in A3: that is judged). What was not run is a gap.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ecgadv.experiments.store import Store
from ecgadv.figures import Table
from ecgadv.pages import judgements
from ecgadv.pages import measures_a as measures
from ecgadv.pages.cells import percent
from ecgadv.pages.judgements import NOT, OPEN, PARTLY, SUPPORTED
from ecgadv.pages.markdown import Markdown
from ecgadv.pages.measures_a import Measure
from ecgadv.pages.rulings_a import NARROW, Compared, Ruling
from ecgadv.results.paired import shared_seeds
from ecgadv.results.records import PROFILES, Results, load
from ecgadv.results.result import Result

ADT, PLAIN, HARDENED = "adt-1", "ce", "at-10"
UNDEFENDED = "the undefended network"
DEFENSES = {
    HARDENED: "adversarial training",
    "distillation-1": "defensive distillation",
    "jacobian-44": "Jacobian regularization",
    "nsr-1": "NSR regularization",
}
# Variants shown beside the defenses; the claims are about the authors' settings.
BESIDE = ("retuned", "rescaled")
WHITE = {"sap": "SAP 20 + 20", "sap-40": "SAP 20 + 40"}
TRANSFERRED, DIRECT = "boundary, transferred", "boundary, attacked itself"
LOW_PGD = "PGD up to 10 µV"
SAP_EPS = 10.0  # uV
LOW_EPS = (1.0, 2.0, 5.0, 10.0)  # uV
CLEAN = {"natural clean accuracy": False, "class-balanced clean accuracy": True}


Cell = tuple[str, str]  # measure, against
Grid = dict[Cell, Compared | None]  # None: not run


def evidence(stores: Sequence[Store]) -> Results:
    """Return the results that A1 to A4 are judged by: of the first profile with ADT and undefended.

    Where none has both, the results of the first profile, from which there is no verdict.
    """
    found = [load(stores, "paper-a", profile) for profile in PROFILES]
    return next((r for r in found if _network(r, ADT) and _network(r, PLAIN)), found[0])


def judge(claim: Mapping, results: Results) -> Ruling | None:
    """Return the verdict on one of A1 to A4, or None where nothing that it asks for was run.

    Args:
        claim: the entry of claims.yml, with its rule.
        results: of paper A, see `evidence`.

    Raises:
        EcgadvError: results that stand side by side have other test examples or pairs.
    """
    measure, weigh = RULES[claim["id"]]
    grid = measure(results, claim["rule"]["margin"])
    run = [cell for cell in grid.values() if cell]
    if not any(cell.counts for cell in run):
        return None
    counted = {key: cell for key, cell in grid.items() if cell is None or cell.counts}
    missing = gaps(counted)
    on_data = weigh(counted)
    if results.profile == NARROW and any(f.estimate.seeds.n_seeds < 2 for f in run if f.counts):
        on_data = OPEN
    verdict = PARTLY if on_data == SUPPORTED and missing and claim["id"] != "A3" else on_data
    if results.profile == NARROW:
        verdict = {SUPPORTED: PARTLY, NOT: OPEN}.get(verdict, verdict)
    return Ruling(claim["id"], verdict, on_data, tuple(run), missing, results.profile)


def weigh_grid(grid: Grid) -> str:
    """Return the verdict on a claim that ADT is better throughout: A1, A2 and A4."""
    run = [cell for cell in grid.values() if cell]
    if all(cell.above for cell in run):
        return SUPPORTED
    columns, rows = _lines(grid, 0), _lines(grid, 1)
    if any(all(cell and cell.above for cell in line) for line in columns + rows):
        return PARTLY
    if all(any(cell and cell.below for cell in line) for line in columns):
        return NOT
    return OPEN


def weigh_defenses(grid: Grid) -> str:
    """Return the verdict on A3: whether some defense does well against white and black box."""
    well, unwell = [], []
    for name in dict.fromkeys(against for _, against in grid):
        white, black = [grid[what, name] for what in WHITE.values()], grid[TRANSFERRED, name]
        well.append((all(c and c.above for c in white), bool(black and black.above)))
        unwell.append((any(c and c.below for c in white), bool(black and black.below)))
    if any(all(pair) for pair in well):
        return SUPPORTED
    if any(any(pair) for pair in well):
        return PARTLY
    return NOT if all(all(pair) for pair in unwell) else OPEN


def gaps(grid: Grid) -> tuple[str, ...]:
    """Return what was not run: whole measures, whole networks, then single cells of the rest."""
    found = [
        name
        for side in (0, 1)
        for name in dict.fromkeys(key[side] for key in grid)
        if all(cell is None for key, cell in grid.items() if key[side] == name)
    ]
    single = [
        f"{what} for {against}"
        for (what, against), cell in grid.items()
        if cell is None and what not in found and against not in found
    ]
    return (*found, *single)


def robustness(results: Results, margin: float) -> Grid:
    """Return ADT minus each defense by the four measures of A1."""
    found = {name: measures.accuracy_gain(sap, (SAP_EPS,)) for sap, name in WHITE.items()}
    found |= {TRANSFERRED: measures.transfer_gain, DIRECT: measures.distance_gain}
    adt = _network(results, ADT)
    others = _defenses(results)
    return _grid({name: (adt, other) for name, other in others.items()}, found, margin)


def low_noise(results: Results, margin: float) -> Grid:
    """Return ADT minus the undefended network and each defense under PGD at low eps, for A2."""
    others = {UNDEFENDED: _network(results, PLAIN), **_defenses(results)}
    adt = _network(results, ADT)
    found = {LOW_PGD: measures.accuracy_gain("pgd", LOW_EPS)}
    return _grid({name: (adt, other) for name, other in others.items()}, found, margin)


def clean_gain(results: Results, margin: float) -> Grid:
    """Return ADT minus adversarial training without an attack, for A4."""
    found = {name: measures.clean_gain(balanced=b) for name, b in CLEAN.items()}
    pairs = {DEFENSES[HARDENED]: (_network(results, ADT), _network(results, HARDENED))}
    return _grid(pairs, found, margin)


def doing_well(results: Results, margin: float) -> Grid:
    """Return each defense's accuracy under attack minus what counts as well, for A3.

    That is c + margin (a - c), where always giving the most frequent class is right for a share c
    and the undefended network without an attack for a share a.
    """
    plain = _network(results, PLAIN)
    found = {name: measures.kept(sap, SAP_EPS, margin) for sap, name in WHITE.items()}
    found[TRANSFERRED] = measures.transfer_kept(margin)
    pairs = {name: (defense, plain) for name, defense in _defenses(results).items()}
    grid = _grid(pairs, found, 0.0)
    # Shown beside: without what counts as well, the same measures give the accuracy itself.
    plainly = {name: measures.reached(sap, SAP_EPS) for sap, name in WHITE.items()}
    plainly[TRANSFERRED] = measures.transfer_reached
    return {
        (what, name): cell and replace(cell, reached=plainly[what](*pairs[name]).value)
        for (what, name), cell in grid.items()
    }


# The measures and the weighing of each claim.
RULES: dict[str, tuple[Callable[[Results, float], Grid], Callable[[Grid], str]]] = {
    "A1": (robustness, weigh_grid),
    "A2": (low_noise, weigh_grid),
    "A3": (doing_well, weigh_defenses),
    "A4": (clean_gain, weigh_grid),
}


def statement(claim: Mapping, ruling: Ruling | None) -> Markdown:
    """Write a claim, its rule, what was found, and the verdict, for the chapter on paper A."""
    if ruling is None:
        return judgements.statement(claim, None, "")
    verdict = f"{ruling.verdict}** (profile `{ruling.profile}`).{ruling.remarks}"
    found = ruling.findings
    judged = ruling.claim == "A3"
    bars = {"reached, %": "reached", "bar, %": "bar"} if judged else {}
    table = Table(
        {
            "measure": [f.what for f in found],
            "defense" if judged else "ADT minus": [f.against for f in found],
            **{head: [percent(getattr(f, name)) for f in found] for head, name in bars.items()},
            **judgements.columns(found),
            "counts": ["yes" if f.counts else "no" for f in found],
        }
    )
    return judgements.statement(claim, table, verdict)


def _network(results: Results, defense: str, variant: str = "faithful") -> Result | None:
    return results.one(network="han", defense=defense, variant=variant)


def _defenses(results: Results) -> dict[str, Result | None]:
    """Return the four defenses with the authors' settings, then those shown beside."""
    found = {name: _network(results, defense) for defense, name in DEFENSES.items()}
    beside = [r for variant in BESIDE for r in results.pick(network="han", variant=variant)]
    return found | {result.name: result for result in beside}


def _grid(
    pairs: Mapping[str, tuple[Result | None, Result | None]],
    found: Mapping[str, Measure],
    threshold: float,
) -> Grid:
    """Return every measure of every pair of networks; what is shown beside leaves no gap."""
    grid: Grid = {}
    for what, measure in found.items():
        for against, pair in pairs.items():
            value = measure(*pair) if all(pair) and shared_seeds(*pair) else None
            counts = against in (UNDEFENDED, *DEFENSES.values())
            if value is not None:
                grid[what, against] = Compared(what, "han", value, threshold, against, counts)
            elif counts:
                grid[what, against] = None
    return grid


def _lines(grid: Grid, side: int) -> list[list[Compared | None]]:
    """Return the columns (side 0, one a measure) or the rows (side 1) of a grid."""
    names = dict.fromkeys(key[side] for key in grid)
    return [[cell for key, cell in grid.items() if key[side] == name] for name in names]
