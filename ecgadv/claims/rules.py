"""The rules of book/claims.yml: each measures a grid of findings and weighs it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ecgadv.claims import grids, reasons
from ecgadv.claims.finding import NARROW, NOT, OPEN, PARTLY, SUPPORTED, Finding, Grid, Judgement
from ecgadv.evaluation.intervals import Interval
from ecgadv.experiments.store import Store
from ecgadv.results.estimate import Estimate
from ecgadv.results.records import PROFILES, Results, load

DATASETS = {"challenge-2017": "CinC 2017", "mitdb": "MIT-BIH", "cpsc2018": "CPSC2018"}


@dataclass(frozen=True)
class Rule:
    """How one claim is judged.

    Args:
        experiment: whose records it is judged by.
        profiles: in which profiles; the first that has what `ready` asks for.
        ready: whether there are the networks without which there is no verdict.
        measure: the grid of a claim, from results and the margin.
        weigh: the verdict on what was run.
        reason: the sentence that says why.
        one_seed: a single seed of the full network is enough.
        one_suffices: the claim is about some of the subjects, so that a gap does not limit it.
    """

    experiment: str
    profiles: Sequence[str]
    ready: Callable[[Results], bool]
    measure: Callable[[Results, float], Grid]
    weigh: Callable[[Grid], str]
    reason: reasons.Reason
    one_seed: bool = False
    one_suffices: bool = False


def evidence(claim: Mapping, stores: Sequence[Store]) -> Results:
    """Return the results that a claim is judged by: of the first profile that has its networks.

    Where none has them, the results of the first profile, from which there is no verdict.
    """
    rule = RULES[claim["id"]]
    found = [load(stores, rule.experiment, profile) for profile in rule.profiles]
    return next((results for results in found if rule.ready(results)), found[0])


def judge(claim: Mapping, stores: Sequence[Store]) -> Judgement | None:
    """Return the verdict on a claim, or None where nothing that it asks for was run.

    Args:
        claim: the entry of claims.yml, with its rule.
        stores: of local and of released records.

    Raises:
        EcgadvError: results that stand side by side have other test examples or pairs.
    """
    results = evidence(claim, stores)
    rule = RULES[claim["id"]]
    grid = rule.measure(results, claim["rule"]["margin"])
    counted = {key: cell for key, cell in grid.items() if cell is None or cell.counts}
    run = [cell for cell in counted.values() if cell]
    if not run:
        return None
    ran = {cell.dataset for cell in run}
    unseen = [DATASETS[name] for name in claim["rule"]["datasets"] if name not in ran]
    missing = (*gaps(counted), *unseen)
    narrow = results.profile == NARROW
    few = min(f.estimate.seeds.n_seeds for f in run) < 2 and (narrow or not rule.one_seed)
    on_data = OPEN if few else rule.weigh(counted)

    def allowed(verdict: str, missing: Sequence[str]) -> str:
        """Limit a verdict to what the gaps and the profile let it be."""
        if verdict == SUPPORTED and missing and not rule.one_suffices:
            verdict = PARTLY
        return {SUPPORTED: PARTLY, NOT: OPEN}.get(verdict, verdict) if narrow else verdict

    verdict = allowed(on_data, missing)
    reason = reasons.one_seed(run) if few else rule.reason(counted, on_data)
    return Judgement(
        claim["id"],
        verdict,
        on_data,
        reason + reasons.limits(missing, narrow=narrow and verdict != on_data),
        tuple(cell for cell in grid.values() if cell),
        missing,
        results.profile,
        at_best=allowed(rule.weigh(_settled(counted, math.inf)), ()),
        at_worst=allowed(rule.weigh(_settled(counted, -math.inf)), unseen),
    )


def weigh_grid(grid: Grid) -> str:
    """Return the verdict on a claim that ADT is better throughout: A1 and A2."""
    if all(cell.above for cell in grid.values() if cell):
        return SUPPORTED
    columns, rows = (reasons.lines(grid, side) for side in (0, 1))
    every = [*columns.values(), *rows.values()]
    if any(all(cell and cell.above for cell in line) for line in every):
        return PARTLY
    if all(any(cell and cell.below for cell in line) for line in columns.values()):
        return NOT
    return OPEN


def weigh_each(grid: Grid) -> str:
    """Return the verdict on a claim of which each number is a part: A4, B1 and B2."""
    run = [cell for cell in grid.values() if cell]
    if all(cell.above for cell in run):
        return SUPPORTED
    if all(cell.below for cell in run):
        return NOT
    return PARTLY if any(cell.above for cell in run) else OPEN


def weigh_defenses(grid: Grid) -> str:
    """Return the verdict on A3: whether some defense does well against white and black box."""
    well, unwell = [], []
    for name in dict.fromkeys(subject for _, subject in grid):
        sides = [[grid[what, name] for what in side] for side in reasons.SIDES.values()]
        well.append([all(c and c.above for c in cells) for cells in sides])
        unwell.append([any(c and c.below for c in cells) for cells in sides])
    if any(map(all, well)):
        return SUPPORTED
    if any(map(any, well)):
        return PARTLY
    return NOT if all(map(all, unwell)) else OPEN


def _settled(grid: Grid, value: float) -> Grid:
    """Return a grid in which all that is open or was not run has that value."""
    certain = Interval(value, value, value, 0.95, 2)
    found = Finding("", "", "", Estimate(certain, certain), 0.0)
    return {key: f if f and (f.above or f.below) else found for key, f in grid.items()}


def gaps(grid: Grid) -> tuple[str, ...]:
    """Return what was not run: whole measures, whole subjects, then single cells of the rest."""
    found = [
        name for side in (0, 1) for name, line in reasons.lines(grid, side).items() if not any(line)
    ]
    single = [
        f"{what} for {subject}"
        for (what, subject), cell in grid.items()
        if cell is None and what not in found and subject not in found
    ]
    return (*found, *single)


def _han_ready(results: Results) -> bool:
    return bool(grids.han(results, grids.ADT) and grids.han(results, grids.PLAIN))


def _nsr_ready(results: Results) -> bool:
    return any(all(pair) for pair in grids.networks(results).values())


_PAPER_A = ("paper-a", PROFILES, _han_ready)
_PAPER_B = ("paper-b", ("paper",), _nsr_ready)
RULES = {
    "A1": Rule(*_PAPER_A, grids.robustness, weigh_grid, reasons.beating, one_seed=True),
    "A2": Rule(*_PAPER_A, grids.low_noise, weigh_grid, reasons.beating, one_seed=True),
    "A3": Rule(
        *_PAPER_A, grids.doing_well, weigh_defenses, reasons.well, one_seed=True, one_suffices=True
    ),
    "A4": Rule(*_PAPER_A, grids.clean_gain, weigh_each, reasons.IMPROVES, one_seed=True),
    "B1": Rule(*_PAPER_B, grids.area_gain, weigh_each, reasons.GAINS),
    "B2": Rule(*_PAPER_B, grids.clean_cost, weigh_each, reasons.COSTS),
}
