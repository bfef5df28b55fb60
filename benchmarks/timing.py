"""Rows of the report, and functions timed in turns."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch


@dataclass(frozen=True)
class Row:
    """One line of the report: what was measured, ours and a peer's, or why it was not run."""

    benchmark: str
    what: str
    unit: str = ""
    ours: float | None = None
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None  # above 1: ours is the better
    goal: str = ""
    not_run: str = ""

    def line(self) -> str:
        if self.not_run:
            return f"{self.benchmark:<11}{self.what}: not run: {self.not_run}"
        text = f"{self.benchmark:<11}{self.what}: {_shown(self.ours)} {self.unit}"
        if self.peer is not None:
            text += f"; {self.peer_name} {_shown(self.peer)}"
        if self.ratio is not None:
            text += f"; ratio {self.ratio:.2f}"
        return text + (f" (goal: {self.goal})" if self.goal else "")


def in_turns(functions: Sequence[Callable[[], object]], *, rounds: int) -> list[list[float]]:
    """Return for each function its seconds in every round; a first round is left out.

    The functions run in turns, so that whatever else the machine does falls on all of them.
    """
    seconds = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, taken in zip(functions, seconds, strict=True):
            began = time.perf_counter()
            function()
            if turn:
                taken.append(time.perf_counter() - began)
    return seconds


def ratio(ours: list[float], peer: list[float]) -> float:
    """Return the median over rounds of how many times as long the peer took."""
    return median(b / a for a, b in zip(ours, peer, strict=True))


def matrix_peak(*, rounds: int) -> float:
    """Return the floating-point operations a second of a large float32 matrix product."""
    size = 1536
    a, b = torch.rand(size, size), torch.rand(size, size)
    (seconds,) = in_turns([lambda: a @ b], rounds=rounds)
    return 2 * size**3 / min(seconds)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
