"""What other recordings show in the place of a data set that was not run here.

It stands beside a claim's verdict and never moves it: the data set stays "not run", which by itself
keeps the claim from being more than partly supported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ecgadv.claims import grids, reasons
from ecgadv.claims.finding import NOT, OPEN, PARTLY, SUPPORTED, Finding
from ecgadv.claims.rules import weigh_each
from ecgadv.experiments.store import Store
from ecgadv.experiments.suites.twelve_leads import NSR_BETA
from ecgadv.results.paired import shared_seeds
from ecgadv.results.records import load

NOT_RUN_FOR_WANT = "not run here for want of data"
FEWEST_SEEDS = 2
MEASURES = {
    "B1": (grids.area_gain_of, reasons.GAINS),
    "B2": (grids.clean_cost_of, reasons.COSTS),
}


@dataclass(frozen=True)
class StandIn:
    """What stands in for a data set of a claim.

    Attributes:
        claim: id in claims.yml.
        instead_of: the data set in words.
        words: what was run instead.
        verdict: on it, at most partly supported; None if it was not run.
        reason: why, one sentence; empty if it was not run.
        findings: what was measured.
        rule: in words.
    """

    claim: str
    instead_of: str
    words: str
    verdict: str | None
    reason: str
    findings: tuple[Finding, ...]
    rule: str

    @property
    def line(self) -> str:
        """The line of the ledger (MyST markdown)."""
        shown = f"{self.verdict}. {self.reason}" if self.verdict else "not run."
        return f"**{self.instead_of}:** {NOT_RUN_FOR_WANT}. **{self.words}:** {shown}"


def stand_in(claim: Mapping, stores: Sequence[Store]) -> StandIn | None:
    """Return what stands in for the data set that a claim says, or None if it says none.

    Args:
        claim: the entry of claims.yml; its `stand_in` has `instead_of`, `words` and `text`.
        stores: of local and of released records.

    Raises:
        EcgadvError: results that stand side by side have other test examples.
    """
    about = claim.get("stand_in")
    if about is None:
        return None
    results = load(stores, "twelve-leads", "compact")
    pair = tuple(
        results.one(split="folds", network="resnet", variant="faithful", defense=defense)
        for defense in (f"nsr-{NSR_BETA:g}", grids.PLAIN)
    )
    found = StandIn(claim["id"], about["instead_of"], about["words"], None, "", (), about["text"])
    if not all(pair) or not shared_seeds(*pair):
        return found
    measure, reason = MEASURES[claim["id"]]
    grid = measure({grids.RESNET: pair}, claim["rule"]["margin"])
    run = [cell for cell in grid.values() if cell]
    if not run:
        return found
    few = len(shared_seeds(*pair)) < FEWEST_SEEDS
    on_data = OPEN if few else weigh_each(grid)
    # A smaller network on other recordings neither supports the claim nor refutes it.
    verdict = {SUPPORTED: PARTLY, NOT: OPEN}.get(on_data, on_data)
    said = reasons.one_seed(run) if few else reason(grid, on_data)
    return replace(
        found,
        verdict=verdict,
        reason=said + reasons.limits((), narrow=verdict != on_data),
        findings=tuple(run),
    )
