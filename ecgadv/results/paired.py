"""Two networks compared, on the same test examples seed by seed, or on others."""

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.intervals import Interval
from ecgadv.results.estimate import Estimate
from ecgadv.results.result import Result


def shared_seeds(a: Result, b: Result) -> list[tuple[int, int]]:
    """Return the positions in a and in b of the seeds that both have.

    Raises:
        EcgadvError: other test examples.
    """
    if not np.array_equal(a.ids, b.ids):
        raise EcgadvError(f"{a.label} and {b.label} have different test examples: compare others")
    return [(a.seeds.index(seed), b.seeds.index(seed)) for seed in a.seeds if seed in b.seeds]


def difference(
    a: Result,
    b: Result,
    attack: str,
    *,
    eps: float | None = None,
    balanced: bool = True,
    against: str | None = None,
) -> Estimate:
    """Return a minus b on the same examples, seed by seed.

    The bootstrap draws the same examples, or the same patients, for both.

    Args:
        a, b: results on the same test examples.
        attack: name of the attack.
        eps: the noise level whose accuracies are compared, 0 for clean ones; None compares
            AUC(0.1).
        balanced: average the classes equally.
        against: the attack on b; the same one if None.

    Raises:
        EcgadvError: other test examples, or no seed in common.
    """
    shared = shared_seeds(a, b)
    if not shared:
        raise EcgadvError(f"{a.label} and {b.label} share no seed: run the same seeds of both")
    each = (a, attack), (b, against or attack)
    if eps is None:
        (levels, rows_a), (_, rows_b) = (result.area_rows(name) for result, name in each)
    else:
        rows_a, rows_b = (result.held(name, eps)[:, None] for result, name in each)
    m = rows_a.shape[1]

    def compared(accuracies: np.ndarray) -> np.ndarray:
        return accuracies[..., 0] if eps is not None else metrics.auc(levels, accuracies)

    own, other = map(list, zip(*shared, strict=True))
    known = a if a.patients is not None else b  # the same beats: either may say whose they are
    return known.estimate(
        np.concatenate([rows_a[own], rows_b[other]], axis=1),
        lambda v: compared(v[..., :m]) - compared(v[..., m:]),
        balanced=balanced,
    )


def apart(a: Estimate, b: Estimate) -> Estimate:
    """Return a minus b for independent estimates: their distances to each end, squared and added.

    The method of variance estimates recovery: Zou and Donner, Statistics in Medicine 27 (2008)
    1693.
    """

    def joined(one: Interval, other: Interval) -> Interval:
        gap = one.estimate - other.estimate
        low = gap - np.hypot(one.estimate - one.low, other.high - other.estimate)
        high = gap + np.hypot(one.high - one.estimate, other.estimate - other.low)
        n = None
        if one.n_examples and other.n_examples:
            n = min(one.n_examples, other.n_examples)
        seeds = min(one.n_seeds, other.n_seeds)
        return Interval(gap, float(low), float(high), one.level, seeds, n)

    return Estimate(joined(a.seeds, b.seeds), joined(a.both, b.both))
