"""A verdict on a claim of paper A, with what it rests on, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from ecgadv.pages.cells import percent
from ecgadv.pages.judgements import Finding, Judgement, within

NARROW = "compact"  # the profile that cannot settle a claim about the full network
# How the numbers of a claim are made and which one is named.
HEADINGS = {
    "A1": "ADT minus the defense that withstands most, in percentage points (distance: in %)",
    "A2": "ADT minus the network that withstands most, in percentage points",
    "A3": "The best defense minus what counts as doing well, in percentage points",
    "A4": "ADT minus adversarial training, in percentage points",
}


@dataclass(frozen=True)
class Compared(Finding):
    """A finding of paper A: `what` is the measure.

    Args:
        against: what ADT is compared with; in A3 the defense that is judged.
        counts: False for what is shown beside.
        reached: in A3, the defense's accuracy, whose distance from the bar is the estimate.
    """

    against: str
    counts: bool = True
    reached: float | None = None

    @property
    def bar(self) -> float | None:
        """What `reached` is measured against."""
        return None if self.reached is None else self.reached - self.estimate.value


@dataclass(frozen=True)
class Ruling(Judgement):
    """The verdict on a claim of paper A; `on_data` is the one before what the profile allows."""

    profile: str

    @property
    def counted(self) -> list[Compared]:
        return [f for f in self.findings if f.counts]

    @property
    def evidence(self) -> str:
        """By measure the finding that decides (MyST markdown)."""
        lines = [f"{HEADINGS[self.claim]}, with 95 % interval. {self._seeds}{self.remarks}", ""]
        for what in dict.fromkeys(f.what for f in self.counted):
            column = [f for f in self.counted if f.what == what]
            shown = (max if self.claim == "A3" else min)(column, key=lambda f: f.estimate.value)
            lines.append(
                f"* {what}: {within(shown.estimate)}, {shown.against}{_against_bar(shown)}, "
                f"n = {shown.estimate.both.n_examples:,}; {self._clear(column)}"
            )
        return "\n".join(lines)

    def _clear(self, column: Sequence[Compared]) -> str:
        """Say for how many networks the whole interval lies above what is asked."""
        number = f"{sum(f.above for f in column)} of {len(column)}"
        if self.claim == "A3":
            return f"{number} defenses clearly do well"
        if len(column) == 1:
            return "clearly better" if column[0].above else "not clearly better"
        return f"ADT is clearly better than {number}"

    @property
    def _seeds(self) -> str:
        n = min(f.estimate.seeds.n_seeds for f in self.counted)
        alone = "one seed, so intervals are the bootstrap over examples alone"
        return f"CinC 2017, {alone if n == 1 else f'{n} seeds'}."

    @property
    def remarks(self) -> str:
        """What was not run, and what the profile keeps the numbers from deciding."""
        rest = f" Not run: {', '.join(self.missing)}." if self.missing else ""
        if self.verdict != self.on_data and self.profile == NARROW:
            rest += f" By the numbers alone {self.on_data}; this narrow network cannot settle it."
        return rest


def _against_bar(finding: Compared) -> str:
    if finding.reached is None:
        return ""
    return f" ({percent(finding.reached)} % against a bar of {percent(finding.bar)} %)"
