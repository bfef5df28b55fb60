"""Verdicts on claims: what they rest on, how chapters write and publish them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgadv.claims import save_verdict
from ecgadv.figures import Table
from ecgadv.pages.cells import points, signed_bounds
from ecgadv.pages.markdown import Markdown
from ecgadv.results.estimate import Estimate

SUPPORTED, PARTLY, NOT, OPEN = "supported", "partly supported", "not supported", "inconclusive"


@dataclass(frozen=True)
class Finding:
    """One number that a claim stands or falls by.

    Args:
        what: the number in words.
        network: mlp or cnn, or paper A's han.
        estimate: a difference of two networks, with its intervals.
        threshold: what it is compared with.
    """

    what: str
    network: str
    estimate: Estimate
    threshold: float

    @property
    def above(self) -> bool:
        return self.estimate.low > self.threshold

    @property
    def below(self) -> bool:
        return self.estimate.high < self.threshold


@dataclass(frozen=True)
class Judgement(ABC):
    """The verdict on one claim and what it rests on."""

    claim: str
    verdict: str  # one of ecgadv.claims.VERDICTS
    on_data: str  # the verdict on the data set that was run, before any cap
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]  # networks and data sets of the claim that were not run

    @property
    @abstractmethod
    def evidence(self) -> str:
        """A sentence on what was measured, then a list of the numbers (MyST markdown)."""


def columns(findings: Sequence[Finding]) -> dict[str, list]:
    """Return the columns of numbers of a table of findings."""
    estimates = [f.estimate for f in findings]
    return {
        "difference, points": [points(e.value) for e in estimates],
        "difference, t over seeds": [signed_bounds(e.seeds) for e in estimates],
        "difference, bootstrap": [signed_bounds(e.both) for e in estimates],
        "compared with": [points(f.threshold) for f in findings],
        "n": [f"{e.both.n_examples:,}" for e in estimates],
        "seeds": [e.seeds.n_seeds for e in estimates],
    }


def within(estimate: Estimate) -> str:
    """Return a difference in percentage points and, in brackets, its interval."""
    return f"{points(estimate.value)} [{points(estimate.low)}, {points(estimate.high)}]"


def statement(claim: Mapping, found: Table | None, verdict: str) -> Markdown:
    """Write a claim, its rule, what was found, and the verdict; without findings it was not run.

    Args:
        verdict: text that begins within bold type.
    """
    margin = f"{100 * claim['rule']['margin']:g}"
    lines = [
        f"### Claim {claim['id']}",
        "",
        f"> {claim['text']}",
        "",
        f"**Rule.** {claim['rule']['text'].replace('{margin}', margin)}",
        "",
    ]
    if found is None:
        return Markdown("\n".join([*lines, "**Verdict: not run.**"]))
    return Markdown("\n".join([*lines, found._repr_markdown_(), f"**Verdict: {verdict}"]))


def publish(
    judgements: Iterable[Judgement | None], *, profile: str, page: str, out: str | Path
) -> None:
    """Save the verdicts for the front page; a claim that was not run has none.

    Args:
        judgements: of `judge`.
        profile: of the records behind them.
        page: the page that shows the evidence.
        out: the notebook's output folder.
    """
    for judgement in filter(None, judgements):
        save_verdict(
            judgement.claim,
            verdict=judgement.verdict,
            evidence=judgement.evidence,
            page=page,
            profile=profile,
            out=out,
        )
