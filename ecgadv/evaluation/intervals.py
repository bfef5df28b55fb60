"""Intervals over seeds and over test examples, and tests of paired differences.

Resampling the examples of one class with replacement and averaging their flags is the same as
drawing how often each pattern of flags occurs from a multinomial distribution (a binomial one
for a single row of flags). All bootstraps here draw those counts, so their cost depends on the
number of patterns and not on the number of examples.

Every bootstrap is stratified: it keeps the number of examples of each class, and the weights of
the classes are known, not estimated. It takes examples as independent; beats of one patient are
not, so an interval over beats speaks of these patients only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.metrics import class_weights, weigh
from ecgadv.evaluation.robustness import NOT_ATTACKED, check_flags

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


def seed_interval(values: np.ndarray, *, level: float = 0.95) -> Interval:
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


def bootstrap_interval(held: np.ndarray, y: np.ndarray, n_classes: int, **options) -> Interval:
    """Return a percentile bootstrap interval over the test examples of one network.

    Args:
        held: flags (N,), or (M, N) for M conditions on the same examples (noise levels, say).

    The other arguments, and what counts, are those of `seeds_and_examples_interval`.
    """
    return seeds_and_examples_interval(np.asarray(held)[None], y, n_classes, **options)


def seeds_and_examples_interval(
    held: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    *,
    balanced: bool = False,
    statistic: Statistic | None = None,
    resamples: int = 2000,
    level: float = 0.95,
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
        resamples: bootstrap resamples.
        level: confidence level.
        seed: seed of the resampling.

    Only examples that were attacked under all M conditions count. NaN if a class that occurs in
    y has none. Where every example of a class holds, or none does, its share does not vary and
    the interval can collapse to a point: read it with n.
    """
    held = _seed_rows(held)  # (S, M, N)
    if statistic is None and held.shape[1] > 1:
        raise EcgadvError(f"{held.shape[1]} rows of flags a seed; pass `statistic` to join them")
    rng = _rng(resamples, level, seed)
    n_seeds, n_rows = held.shape[:2]
    means, draws, n = _accuracies(
        held.reshape(n_seeds * n_rows, -1), y, n_classes, balanced, resamples, rng
    )
    join = statistic or (lambda accuracies: accuracies[..., 0])
    estimate = join(means.reshape(n_seeds, n_rows)).mean()
    values = join(draws.reshape(resamples, n_seeds, n_rows))  # (R, S)
    values = (values * _seed_shares(n_seeds, resamples, rng)).sum(axis=1)
    return _percentile(float(estimate), values, level, n_seeds, n)


def paired_bootstrap(
    held_a: np.ndarray,
    held_b: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    *,
    balanced: bool = False,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the accuracy of a minus that of b on the same examples, with its interval.

    Args:
        held_a: flags (N,) of one network, or (S, N) of several seeds of one method.
        held_b: flags of the other method, (N,) or (S', N).

    Examples are drawn jointly for both methods, seeds independently for each; only examples
    attacked in all rows count. `n_seeds` of the result is the smaller number of seeds. The other
    arguments are those of `seeds_and_examples_interval`.
    """
    a, b = np.atleast_2d(held_a), np.atleast_2d(held_b)
    if a.shape[1] != b.shape[1]:
        raise EcgadvError(f"{a.shape[1]} against {b.shape[1]} examples; pair the same examples")
    rng = _rng(resamples, level, seed)
    means, draws, n = _accuracies(np.concatenate([a, b]), y, n_classes, balanced, resamples, rng)
    shares = (_seed_shares(len(a), resamples, rng), -_seed_shares(len(b), resamples, rng))
    values = (draws * np.concatenate(shares, axis=1)).sum(axis=1)
    estimate = float(means[: len(a)].mean() - means[len(a) :].mean())
    return _percentile(estimate, values, level, min(len(a), len(b)), n)


def mcnemar(held_a: np.ndarray, held_b: np.ndarray) -> McNemar:
    """Return McNemar's exact two-sided test of two networks on the same examples (N,).

    Under the null hypothesis each example on which the two differ is a fair coin, so the p-value
    is `min(1, 2 P(X <= min(only_a, only_b)))`, X binomial of only_a + only_b fair draws. Only
    examples attacked in both count; without a difference p is 1.
    """
    a, b = check_flags(held_a, name="held_a"), check_flags(held_b, name="held_b")
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


def _accuracies(
    rows: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    balanced: bool,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return accuracies (M,), their resamples (R, M) and n for M rows of flags (M, N)."""
    rows, y = check_flags(rows), np.asarray(y)
    weights = class_weights(y, n_classes, balanced=balanced)
    if rows.shape[1:] != y.shape:
        raise EcgadvError(f"{rows.shape[-1]} flags for {len(y)} labels; give one each")
    common = (rows != NOT_ATTACKED).all(axis=0)
    means = np.full((len(rows), n_classes), np.nan)
    draws = np.full((resamples, len(rows), n_classes), np.nan)
    for c in range(n_classes):
        stratum = rows[:, common & (y == c)]
        if stratum.shape[1]:
            means[:, c] = stratum.mean(axis=1)
            draws[:, :, c] = _resample_means(stratum, resamples, rng)
    return weigh(means, weights), weigh(draws, weights), int(common.sum())


def _resample_means(stratum: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the row means (R, M) of resamples of the columns of 0/1 flags (M, n)."""
    packed = np.packbits(stratum, axis=0).T  # (n, ceil(M / 8)), one code an example
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    n = stratum.shape[1]
    drawn = rng.multinomial(n, counts / n, size=resamples)  # (R, patterns)
    return drawn @ stratum[:, first].T.astype(float) / n


def _seed_rows(held: np.ndarray) -> np.ndarray:
    """Return flags (S, N) or (S, M, N) as (S, M, N)."""
    held = np.asarray(held)
    if held.ndim == 2:
        return held[:, None]
    if held.ndim != 3 or not len(held):
        raise EcgadvError(f"flags of shape {held.shape}; give (N,), (M, N) or one such a seed")
    return held


def _seed_shares(n_seeds: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how large a share of each resample every seed has, (R, S)."""
    return rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=resamples) / n_seeds


def _percentile(
    estimate: float, values: np.ndarray, level: float, n_seeds: int, n_examples: int
) -> Interval:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level, n_seeds, n_examples)


def _rng(resamples: int, level: float, seed: int) -> np.random.Generator:
    _check_level(level)
    if resamples < 1:
        raise EcgadvError(f"resamples {resamples}; give at least 1, 2000 for a 95 % interval")
    return np.random.default_rng(seed)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise EcgadvError(f"level {level}; give a confidence level between 0 and 1, such as 0.95")
