"""By what two networks are compared: differences with both intervals.

A measure takes two results, pairs their seeds and their test records (for the boundary attack:
pairs of records), and gives None where one of them was not put through the attack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.intervals import (
    RESAMPLES,
    over_seeds,
    seed_interval,
    seeds_and_examples_interval,
)
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.results.estimate import Estimate
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.result import WORST, Result

Measure = Callable[[Result, Result], Estimate | None]


def accuracy_gain(attack: str, levels: Sequence[float]) -> Measure:
    """Return a measure: the mean natural accuracy over the levels of a, minus that of b."""

    def measure(a: Result, b: Result) -> Estimate | None:
        if any(eps not in r.own_attacks.get(attack, ()) for r in (a, b) for eps in levels):
            return None
        m = len(levels)
        return _estimate(
            [(a, b, attack, levels), (b, a, attack, levels)],
            lambda v: v[..., :m].mean(axis=-1) - v[..., m:].mean(axis=-1),
        )

    return measure


def clean_change(*, balanced: bool) -> Measure:
    """Return a measure: the accuracy of a without an attack, minus that of b."""
    return lambda a, b: difference(a, b, WORST, eps=0, balanced=balanced)


def area_gain(attack: str) -> Measure:
    """Return a measure: the class-balanced AUC(0.1) of a under an attack, minus that of b."""
    return lambda a, b: (
        difference(a, b, attack) if attack in a.attacks and attack in b.attacks else None
    )


def kept(attack: str, eps: float, margin: float | None) -> Measure:
    """Return a measure: a's natural accuracy under an attack, minus what counts as well.

    That is c + margin (clean - c): always giving the most frequent class is right for a share c,
    and `clean` is the accuracy of b, the undefended network, without an attack. Without a margin
    it is the accuracy itself.
    """

    def measure(a: Result, b: Result) -> Estimate | None:
        if eps not in a.own_attacks.get(attack, ()):
            return None
        share = _most_frequent(a.y)
        return _estimate(
            [(a, b, attack, (eps,)), (b, a, "", (0.0,))],
            lambda v: v[..., 0] - (0 if margin is None else share + margin * (v[..., 1] - share)),
        )

    return measure


@dataclass(frozen=True)
class Walks:
    """Arrays of the boundary attack on two networks, for the seeds that both have.

    Attributes:
        y: classes of the originals (P,).
        a, b: one array of each network (S, P).
    """

    y: np.ndarray
    a: np.ndarray
    b: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each example was read as the original's class (S, 2, P), 255 where skipped."""
        read = np.stack([self.a, self.b], axis=1)
        return np.where(read == NOT_ATTACKED, read, read == self.y).astype(np.uint8)


def walks(a: Result, b: Result, name: str) -> Walks | None:
    """Return the arrays `boundary/NAME`, None if the attack was not run on both.

    Raises:
        EcgadvError: other pairs of records.
    """
    if not (a.config.get("boundary") and b.config.get("boundary")):
        return None
    drawn = np.concatenate([_drawn(r) for r in (a, b)])
    if (drawn != drawn[0]).any():
        raise EcgadvError(f"{a.label} and {b.label} were walked on different pairs of records")
    own, other = zip(*shared_seeds(a, b), strict=True)
    values_a, values_b = (r.arrays(f"boundary/{name}") for r in (a, b))
    return Walks(a.y[drawn[0, 0]], values_a[list(own)], values_b[list(other)])


def transfer_gain(a: Result, b: Result) -> Estimate | None:
    """Return the share of the transferred examples that a reads right, minus that of b."""
    found = walks(a, b, "transfer")
    return None if found is None else _over_pairs(found.right, lambda v: v[..., 0] - v[..., 1])


def transfer_kept(margin: float | None) -> Measure:
    """Return a measure: the share of transferred examples that a reads right, minus what is well.

    That is c + margin (1 - c), c being the share of the most frequent class of the originals: all
    of them were read right by b, the undefended network, or else skipped. Without a margin it is
    the share itself.
    """

    def measure(a: Result, b: Result) -> Estimate | None:
        found = walks(a, b, "transfer")
        if found is None:
            return None
        rows = found.right[:, :1]
        seen = found.y[_common(rows)]
        share = _most_frequent(seen) if len(seen) else 0.0
        bar = 0.0 if margin is None else share + margin * (1 - share)
        return _over_pairs(rows, lambda v: v[..., 0] - bar)

    return measure


def distance_gain(a: Result, b: Result) -> Estimate | None:
    """Return by what share a's median distance exceeds b's, on the pairs walked against both."""
    found = walks(a, b, "distance")
    if found is None:
        return None
    both = np.stack([found.a, found.b]).astype(float)  # (2, S, P)
    both = both[..., ~np.isnan(both).any(axis=(0, 1))]
    n_seeds, n_pairs = both.shape[1:]
    if not n_pairs:
        return None
    rng = np.random.default_rng(0)
    drawn = rng.integers(n_pairs, size=(RESAMPLES, n_pairs))
    values = np.stack([_excess(both[:, s, drawn]) for s in range(n_seeds)], axis=1)
    seeds = seed_interval(_excess(both))
    return Estimate(seeds, over_seeds(values, seeds.estimate, n_pairs, rng))


def _estimate(
    parts: Sequence[tuple[Result, Result, str, Sequence[float]]],
    statistic: Callable[[np.ndarray], np.ndarray],
) -> Estimate:
    """Return a statistic of natural accuracies (..., M).

    Args:
        parts: a result, the one whose seeds it must share, and its attack at some levels: a row
            each.
        statistic: see `estimates.estimate`.
    """
    rows = [
        result.held(attack, eps)[[own for own, _ in shared_seeds(result, other)], None]
        for result, other, attack, levels in parts
        for eps in levels
    ]
    return parts[0][0].estimate(np.concatenate(rows, axis=1), statistic, balanced=False)


def _drawn(result: Result) -> np.ndarray:
    """Return the pairs of every seed (S, 2, P): originals and starts."""
    return np.stack([result.arrays(f"boundary/{side}") for side in ("original", "start")], axis=1)


def _common(rows: np.ndarray) -> np.ndarray:
    """Return which pairs (P,) no row of flags (S, M, P) skipped."""
    return (rows != NOT_ATTACKED).all(axis=(0, 1))


def _over_pairs(rows: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate | None:
    """Return a statistic of the shares of M rows of flags (S, M, P), None without a pair."""
    common = _common(rows)
    if not common.any():
        return None
    one_class = np.zeros(rows.shape[-1], np.int64)
    both = seeds_and_examples_interval(rows, one_class, 1, statistic=statistic)
    return Estimate(seed_interval(statistic(rows[..., common].mean(axis=-1))), both)


def _excess(both: np.ndarray) -> np.ndarray:
    """Return the median over the last axis of both[0] as a share of that of both[1], minus 1."""
    medians = np.median(both, axis=-1)
    return medians[0] / medians[1] - 1


def _most_frequent(y: np.ndarray) -> float:
    """Return the share of the most frequent class."""
    return float(np.bincount(y).max() / len(y))
