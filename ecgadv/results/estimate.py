"""A mean over seeds with both of its intervals, over seeds alone and over test examples too."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np

from ecgadv.evaluation import metrics
from ecgadv.evaluation.intervals import Interval, seed_interval, seeds_and_examples_interval
from ecgadv.evaluation.robustness import NOT_ATTACKED


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its two 95 % intervals."""

    seeds: Interval  # Student's t over the seeds; NaN bounds for one seed
    both: Interval  # two-level bootstrap over seeds and test examples, or their patients

    @property
    def value(self) -> float:
        """The mean on the examples that all seeds attacked."""
        return self.both.estimate

    @property
    def low(self) -> float:
        """The lower of the lower ends, a single seed's missing one left out."""
        return float(np.nanmin([self.seeds.low, self.both.low]))

    @property
    def high(self) -> float:
        """The higher of the higher ends, likewise."""
        return float(np.nanmax([self.seeds.high, self.both.high]))

    def __format__(self, form: str) -> str:
        """Return a share or a difference as sentences write it.

        "%" gives "28.5 %"; "%i" adds the outer ends, "28.5 % [24.0, 32.9]"; "points" and "points i"
        give a difference in percentage points, "+17.1 [12.2, 22.0]", with its sign.
        """
        plain, signed = "{:z.1f}".format, "{:+z.1f}".format
        number, ends = {
            "%": (plain, ""),
            "%i": (plain, plain),
            "points": (signed, ""),
            "points i": (signed, signed),
        }[form]
        text = number(100 * self.value) + ("\u00a0%" if form.startswith("%") else "")
        if ends:
            low, high = self.low, self.high
            if form == "%i":  # Student's interval may leave what a share can be
                low, high = max(low, 0.0), min(high, 1.0)
            text += f" [{ends(100 * low)},\u00a0{ends(100 * high)}]"
        return text


NO_DIFFERENCE = "no clear difference"


def told(gap: Estimate, more: str, less: str) -> str:
    """Return the words for a difference that its interval allows.

    It is clear where both intervals leave out 0, and then `more` or `less`.
    """
    if gap.low > 0:
        return more
    return less if gap.high < 0 else NO_DIFFERENCE


def estimate(
    rows: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    balanced: bool = True,
    patients: np.ndarray | None = None,
) -> Estimate:
    """Return a statistic of the accuracies of M rows of flags with both intervals.

    Args:
        rows: flags (S, M, N).
        y: labels (N,).
        n_classes: number of classes.
        statistic: takes accuracies (..., M) and gives (...); the accuracy of the first row if None.
        balanced: average the classes equally.
        patients: whose each example is (N,), where the bootstrap draws patients; None: examples.
    """
    join = statistic or (lambda accuracies: accuracies[..., 0])
    both = seeds_and_examples_interval(
        rows, y, n_classes, balanced=balanced, statistic=join, patients=patients
    )
    common = (rows != NOT_ATTACKED).all(axis=(0, 1))
    kept = np.where(common, rows, NOT_ATTACKED)
    accuracies = [
        [metrics.robust_accuracy(row, y, n_classes, balanced=balanced) for row in seed]
        for seed in kept
    ]
    return Estimate(seed_interval(join(np.array(accuracies))), both)


def once(compute: Callable[..., Estimate]) -> Callable[..., Estimate]:
    """Keep with a result what its method computed: tables and figures ask for the same numbers."""
    asked = signature(compute)

    @wraps(compute)
    def kept(result: Any, *about: Any, **named: Any) -> Estimate:
        found = result.__dict__.setdefault("_estimates", {})
        given = asked.bind(result, *about, **named)
        given.apply_defaults()
        key = (compute.__name__, *list(given.arguments.values())[1:])
        if key not in found:
            found[key] = compute(result, *about, **named)
        return found[key]

    return kept
