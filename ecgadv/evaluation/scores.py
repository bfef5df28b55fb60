"""Intervals of what is no mean of flags: F1 scores, shares of a few examples, medians.

The bootstraps are those of `intervals`: two levels, seeds and test examples, and the classes keep
their numbers of examples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.intervals import LEVEL, RESAMPLES, Interval, over_seeds
from ecgadv.evaluation.metrics import f1_among
from ecgadv.evaluation.robustness import NOT_ATTACKED


@dataclass(frozen=True)
class Share:
    """A share of few examples with an interval that never shrinks to a point."""

    value: float
    low: float
    high: float
    n: int


def share(held: np.ndarray) -> Share:
    """Return the mean over seeds of the share of examples that held.

    The interval runs from the lowest to the highest end of the seeds' Wilson intervals, because a
    bootstrap of examples that all held, or of which none did, has no width. NaN without examples.

    Args:
        held: flags (S, n), 1, 0, or 255 where not attacked; the same examples in every seed.
    """
    seen = (held != NOT_ATTACKED).all(axis=0)
    n = int(seen.sum())
    if not n:
        return Share(math.nan, math.nan, math.nan, 0)
    means = held[:, seen].mean(axis=1)
    ends = [wilson(mean, n) for mean in means]
    return Share(float(means.mean()), min(e[0] for e in ends), max(e[1] for e in ends), n)


def wilson(mean: float, n: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % score interval of a share of n examples."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def macro_f1(
    predicted: np.ndarray, y: np.ndarray, n_classes: int, classes: Sequence[int]
) -> np.ndarray:
    """Return the mean F1 over some classes for every seed, (S,), from predictions (S, N).

    A class counts as often as it stands in y, however many of it have a prediction (255: none).
    """
    return np.array([f1_among(row, y, n_classes)[list(classes)].mean() for row in predicted])


def f1_interval(
    predicted: np.ndarray, y: np.ndarray, n_classes: int, classes: Sequence[int]
) -> Interval:
    """Return a two-level 95 % percentile bootstrap interval of `macro_f1`.

    Args:
        predicted: classes (S, N), 255 where not attacked; only examples seen in all seeds count.
        y: labels (N,).
        n_classes: K.
        classes: those of the mean, such as Han's N, AF and O.
    """
    rng = np.random.default_rng(0)
    common = (predicted != NOT_ATTACKED).all(axis=0)
    every = np.bincount(y, minlength=n_classes)
    shape = (RESAMPLES, len(predicted), n_classes, n_classes)
    counts = np.full(shape, math.nan)  # of true and predicted class, a resample and seed
    for c in range(n_classes):
        members = predicted[:, common & (y == c)]
        n = members.shape[1]
        if n:
            patterns, times = np.unique(members, axis=1, return_counts=True)  # (S, P), (P,)
            drawn = rng.multinomial(n, times / n, size=RESAMPLES) / n
            rows = np.einsum("rp,spk->rsk", drawn, np.eye(n_classes)[patterns])
            counts[:, :, c] = every[c] * rows
    right = np.diagonal(counts, axis1=2, axis2=3)
    scores = 2 * right / (counts.sum(axis=2) + counts.sum(axis=3))
    values = scores[..., list(classes)].mean(axis=-1)  # (R, S)
    means = macro_f1(np.where(common, predicted, NOT_ATTACKED), y, n_classes, classes)
    return over_seeds(values, means.mean(), int(common.sum()), rng)


def median_interval(values: np.ndarray) -> Interval:
    """Return the median over seeds and examples with a two-level 95 % percentile bootstrap.

    Args:
        values: (S, P), NaN where there is none; an example is drawn with all its seeds.

    Raises EcgadvError if no value is there.
    """
    found = ~np.isnan(values)
    if not found.any():
        raise EcgadvError("a median of no values; give one at least")
    values = values[:, found.any(axis=0)]
    rng = np.random.default_rng(0)
    s, p = values.shape
    rows = rng.integers(s, size=(RESAMPLES, s, 1))
    columns = rng.integers(p, size=(RESAMPLES, 1, p))
    drawn = values[rows, columns].reshape(RESAMPLES, -1)
    drawn = drawn[~np.isnan(drawn).all(axis=1)]  # by chance one can hold none
    low, high = np.quantile(np.nanmedian(drawn, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        float(np.nanmedian(values)), float(low), float(high), LEVEL, s, int(found.any(0).sum())
    )
