"""Findings, the numbers that a claim stands or falls by, and the verdict that they give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecgadv.evaluation.intervals import Interval
from ecgadv.results.estimate import Estimate

SUPPORTED, PARTLY, NOT, OPEN = "supported", "partly supported", "not supported", "inconclusive"
VERDICTS = (SUPPORTED, PARTLY, NOT, OPEN)
NARROW = "compact"  # the profile whose network cannot settle a claim about the full one


@dataclass(frozen=True)
class Finding:
    """One number that a claim stands or falls by.

    Args:
        measure: what was measured.
        subject: whom it is about: a rival, the defense that is judged, or a network.
        dataset: whose test examples it was measured on.
        estimate: a difference of two networks, with its intervals.
        threshold: what it is compared with.
        counts: False for what is shown beside and decides nothing.
        reached: an accuracy whose distance from a bar is the estimate.
    """

    measure: str
    subject: str
    dataset: str
    estimate: Estimate
    threshold: float
    counts: bool = True
    reached: float | None = None

    @property
    def above(self) -> bool:
        return self.estimate.low > self.threshold

    @property
    def below(self) -> bool:
        return self.estimate.high < self.threshold

    @property
    def decided_by_examples(self) -> bool:
        """Whether the bootstrap alone would decide."""
        ends = self.estimate.both
        return ends.low > self.threshold or ends.high < self.threshold

    @property
    def number(self) -> str:
        """The difference with its deciding interval; no line ends within it."""
        unit = "%" if "distance" in self.measure else "points"
        return f"{self.estimate:points i}".replace(" [", f"\u00a0{unit} [")


Grid = Mapping[tuple[str, str], Finding | None]  # by measure and subject; None: not run


@dataclass(frozen=True)
class Judgement:
    """The verdict on one claim and what it rests on.

    Attributes:
        claim: id in claims.yml.
        verdict: one of `VERDICTS`.
        on_data: the verdict on what was run, before what is missing or the profile limits it.
        reason: one sentence on what was shown, what was not, and why the verdict follows.
        findings: what was measured.
        missing: measures, networks and data sets of the claim that were not run.
        profile: of the records behind it.
        at_best, at_worst: the verdict if all that is open or was not run came out above, or below.
    """

    claim: str
    verdict: str
    on_data: str
    reason: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    profile: str
    at_best: str
    at_worst: str

    @property
    def counted(self) -> list[Finding]:
        return [f for f in self.findings if f.counts]

    @property
    def outlook(self) -> str:
        """Say what would change the verdict."""
        counted = self.counted
        text = "Only other attacks, networks or data can change it."
        unsure = [f for f in counted if not (f.above or f.below)]
        if unsure or self.missing:
            text = f"If all that is open or was not run spoke for it: **{self.at_best}**"
            text += f"; if all spoke against it: **{self.at_worst}**."
            if self.at_best == self.at_worst:
                text = f"Whatever is open or was not run, it stays **{self.verdict}**."
        if unsure:
            seeds = sum(f.decided_by_examples for f in unsure)
            text += f" {len(unsure)} of {len(counted)} numbers are open"
            text += f", {seeds} of them for want of seeds alone." if seeds else "."
        if self.profile == NARROW:
            text += f" The network of profile `{self.profile}` is narrower than the paper's: only "
            text += "the full one can support the claim or refute it."
        return text

    def table(self, head: str) -> dict[str, list[str]]:
        """Return the findings as columns of a table, numbers in percentage points.

        Args:
            head: what a subject is.
        """
        found = self.findings
        bar = any(f.reached is not None for f in found)
        asked = "the bar" if bar else _points(found[0].threshold)
        reached = [f.reached for f in found] if bar else []
        bars = {
            "reached, %": [f"{100 * value:.1f}" for value in reached],
            "bar, %": [
                f"{100 * (value - f.estimate.value):.1f}"
                for value, f in zip(reached, found, strict=False)
            ],
        }
        gap = {"difference": [f"{f.estimate:points}" for f in found]}
        return {
            "measure": [f.measure for f in found],
            head: [f.subject if f.counts else f"{f.subject} (does not count)" for f in found],
            **(bars if bar else gap),
            "t over seeds": [_ends(f.estimate.seeds) for f in found],
            "bootstrap": [_ends(f.estimate.both) for f in found],
            "n; seeds": [
                f"{f.estimate.both.n_examples:,}; {f.estimate.seeds.n_seeds}" for f in found
            ],
            f"above {asked}?": [_word(f) for f in found],
        }


def joined(names: Sequence[str], last: str = "and") -> str:
    """Return names as a list within a sentence."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _word(finding: Finding) -> str:
    return "yes" if finding.above else "no" if finding.below else "open"


def _points(value: float) -> str:
    return f"{100 * value:+z.1f}"


def _ends(interval: Interval) -> str:
    one = interval.n_seeds == 1 and interval.n_examples is None
    return "one seed" if one else f"{_points(interval.low)}\u00a0to\u00a0{_points(interval.high)}"
