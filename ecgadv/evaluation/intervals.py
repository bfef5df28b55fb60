"""Intervals over seeds and over test examples, and a test of paired differences.

The bootstraps draw seeds, and test examples in one of the two ways of `resampling`. Within the
classes they keep the number of examples of each class, and take examples as independent: beats of
one patient are not, so such an interval over beats speaks of these patients only. Drawn by patient
it speaks of new patients, too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecgadv.border import arrays
from ecgadv.border.arrays import NOT_ATTACKED
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.resampling import draw_examples, draw_patients

RESAMPLES, LEVEL = 2000, 0.95  # of every interval on a page
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """An estimate with its bounds, the level they were made for and the n they rest on."""

    estimate: float
    low: float
    high: float
    level: float
    n_seeds: int
    n_examples: int | None = None


@dataclass(frozen=True)
class McNemar:
    """Examples that only a held, only b held, all compared, and the two-sided p-value."""

    only_a: int
    only_b: int
    n_examples: int
    p_value: float


def seed_interval(values: np.ndarray, *, level: float = LEVEL) -> Interval:
    """Return the mean over seeds with Student's t interval; one seed has NaN bounds."""
    _check_level(level)
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise EcgadvError(f"values of shape {values.shape}; give one number a seed, at least one")
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return Interval(mean, math.nan, math.nan, level, n)
    half = t_quantile((1 + level) / 2, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, level, n)


def seeds_and_examples_interval(
    held: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    *,
    balanced: bool = False,
    statistic: Statistic | None = None,
    patients: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Return a two-level percentile bootstrap interval of the mean over training seeds.

    Seeds and examples are drawn independently of each other and all seeds see the same examples,
    as they do in the data. With S seeds the seed part of the variance is too small by (S-1)/S,
    so for two or three seeds report `seed_interval` beside it.

    Args:
        held: flags (S, N), or (S, M, N) for M conditions on the same examples.
        y: labels (N,).
        n_classes: K.
        balanced: average the classes equally instead of by their share of y.
        statistic: maps accuracies (..., M) to (...); None, for M = 1, is the accuracy itself.
            Example, with the clean flags first: `lambda a: acc_robust(a[..., 0], auc(eps, a))`.
            A difference of two networks is one, too: all M conditions meet the same draws.
        patients: whose each example is (N,), to draw patients with all their examples; None draws
            examples within their classes.
        resamples: bootstrap resamples.
        level: confidence level.
        seed: seed of the resampling.

    Only examples that were attacked under all M conditions count. NaN if a class that occurs in
    y has none. Where every example of a class holds, or none does, its share does not vary and
    the interval can collapse to a point: read it with n. Of few patients the interval is somewhat
    too narrow, as of few seeds; `draw_patients` says what becomes of draws that lack a class.
    """
    held = _seed_rows(held)  # (S, M, N)
    if statistic is None and held.shape[1] > 1:
        raise EcgadvError(f"{held.shape[1]} rows of flags a seed; pass `statistic` to join them")
    rng = _rng(resamples, level, seed)
    n_seeds, n_rows = held.shape[:2]
    rows = held.reshape(n_seeds * n_rows, -1)
    how = {"balanced": balanced, "resamples": resamples, "rng": rng}
    if patients is None:
        means, draws, n = draw_examples(rows, y, n_classes, **how)
    else:
        means, draws, n = draw_patients(rows, y, patients, n_classes, **how)
    join = statistic or (lambda accuracies: accuracies[..., 0])
    estimate = join(means.reshape(n_seeds, n_rows)).mean()
    return over_seeds(
        join(draws.reshape(resamples, n_seeds, n_rows)), estimate, n, rng, level=level
    )


def over_seeds(
    values: np.ndarray,
    estimate: float,
    n_examples: int,
    rng: np.random.Generator,
    *,
    level: float = LEVEL,
) -> Interval:
    """Return the percentile interval of resampled examples, whose seeds are drawn now, too.

    Args:
        values: of each resample and seed, (R, S).
        estimate: of the examples as they are, the mean over the seeds.
        n_examples: how many these are.
        rng: generator of the draws.
        level: confidence level.
    """
    resamples, n_seeds = values.shape
    shares = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=resamples) / n_seeds
    low, high = np.quantile((values * shares).sum(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high), level, n_seeds, n_examples)


def mcnemar(held_a: np.ndarray, held_b: np.ndarray) -> McNemar:
    """Return McNemar's exact two-sided test of two networks on the same examples (N,).

    Under the null hypothesis each example on which the two differ is a fair coin, so the p-value
    is `min(1, 2 P(X <= min(only_a, only_b)))`, X binomial of only_a + only_b fair draws. Only
    examples attacked in both count; without a difference p is 1.
    """
    a, b = arrays.flags(held_a, name="held_a"), arrays.flags(held_b, name="held_b")
    if a.shape != b.shape:
        raise EcgadvError(f"{len(a)} against {len(b)} examples; pair the same examples")
    both = (a != NOT_ATTACKED) & (b != NOT_ATTACKED)
    only_a = int((a[both] > b[both]).sum())
    only_b = int((b[both] > a[both]).sum())
    n = only_a + only_b
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(min(only_a, only_b) + 1)
    log_mass = log_factorial[n] - log_factorial[k] - log_factorial[n - k] - n * math.log(2)
    p_value = min(1.0, 2 * float(np.exp(log_mass).sum()))
    return McNemar(only_a, only_b, int(both.sum()), p_value)


def t_quantile(p: float, dof: int) -> float:
    """Return the p-quantile of Student's t with a whole number of degrees of freedom.

    Bisection on the finite series of Abramowitz & Stegun 26.7.3-4 for the distribution function
    (so that a training node needs no scipy).
    """
    if p < 0.5:
        return -t_quantile(1 - p, dof)
    low, high = 0.0, math.pi / 2  # of the angle atan(t / sqrt(dof))
    for _ in range(100):
        middle = (low + high) / 2
        if (1 + _t_central(middle, dof)) / 2 < p:
            low = middle
        else:
            high = middle
    return math.sqrt(dof) * math.tan((low + high) / 2)


def _t_central(angle: float, dof: int) -> float:
    """Return P(|T| < sqrt(dof) tan(angle))."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = dof % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(dof // 2):
        total += term
        term *= cosine**2 * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _seed_rows(held: np.ndarray) -> np.ndarray:
    """Return flags (S, N) or (S, M, N) as (S, M, N)."""
    held = np.asarray(held)
    if held.ndim == 2:
        return held[:, None]
    if held.ndim != 3 or not len(held):
        raise EcgadvError(f"flags of shape {held.shape}; give (N,), (M, N) or one such a seed")
    return held


def _rng(resamples: int, level: float, seed: int) -> np.random.Generator:
    _check_level(level)
    if resamples < 1:
        raise EcgadvError(f"resamples {resamples}; give at least 1, 2000 for a 95 % interval")
    return np.random.default_rng(seed)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise EcgadvError(f"level {level}; give a confidence level between 0 and 1, such as 0.95")
