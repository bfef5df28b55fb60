"""Intervals against scipy, closed forms, and their coverage in small simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.intervals import (
    bootstrap_interval,
    mcnemar,
    paired_bootstrap,
    seed_interval,
    seeds_and_examples_interval,
    t_quantile,
)
from ecgadv.evaluation.robustness import NOT_ATTACKED

COUNTS = np.array([60, 30, 10])
Y = np.repeat(np.arange(3), COUNTS)
RATES = np.array([0.9, 0.6, 0.3])


def draw(rng, *shape, rates=RATES):
    return (rng.random((*shape, len(Y))) < rates[Y]).astype(np.uint8)


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 9, 30, 101])
def test_t_quantile_agrees_with_scipy(dof):
    for p in (0.5, 0.6, 0.95, 0.975, 0.999, 0.025):
        assert t_quantile(p, dof) == pytest.approx(stats.t.ppf(p, dof), rel=1e-9, abs=1e-12)


def test_seed_interval_agrees_with_scipy():
    values = [0.91, 0.93, 0.88, 0.95]
    interval = seed_interval(values, level=0.9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))
    assert interval.estimate == pytest.approx(np.mean(values))
    assert (interval.n_seeds, interval.n_examples, interval.level) == (4, None, 0.9)


def test_one_seed_has_no_bounds():
    interval = seed_interval([0.5])
    assert (interval.estimate, interval.n_seeds) == (0.5, 1)
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_bootstrap_of_one_class_agrees_with_scipy():
    held = draw(np.random.default_rng(0))[:90]
    ours = bootstrap_interval(held, np.zeros(90, int), 1, resamples=20000)
    theirs = stats.bootstrap(
        (held,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=1.5 / 90)
    assert ours.estimate == pytest.approx(held.mean())


@pytest.mark.parametrize("balanced", [False, True])
def test_stratified_bootstrap_has_the_variance_of_resampled_strata(balanced):
    held = draw(np.random.default_rng(1))
    rates = np.array([held[c == Y].mean() for c in range(3)])
    weights = np.full(3, 1 / 3) if balanced else COUNTS / COUNTS.sum()
    sd = math.sqrt((weights**2 * rates * (1 - rates) / COUNTS).sum())
    interval = bootstrap_interval(held, Y, 3, balanced=balanced, resamples=50000)
    assert interval.estimate == pytest.approx(weights @ rates)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sd, rel=0.06)


def test_attacked_subset_only_and_all_labels_as_prior():
    held = draw(np.random.default_rng(2))
    held[::2] = NOT_ATTACKED
    interval = bootstrap_interval(held, Y, 3)
    assert interval.n_examples == 50
    assert interval.estimate == pytest.approx(metrics.robust_accuracy(held, Y, 3))
    held[Y == 2] = NOT_ATTACKED
    assert math.isnan(bootstrap_interval(held, Y, 3).low)
    assert math.isnan(bootstrap_interval(held, Y, 3).estimate)
    absent = bootstrap_interval(draw(np.random.default_rng(2)), Y, 4, balanced=True)
    assert absent == bootstrap_interval(draw(np.random.default_rng(2)), Y, 3, balanced=True)


def test_statistic_of_joint_rows_agrees_with_resampling_the_examples():
    rng = np.random.default_rng(3)
    size = rng.random(len(Y)) * RATES[Y]  # the margin of each example: one threshold a level
    eps = np.array([0.0, 0.05, 0.1])
    held = (size[None] > eps[:, None] * 3).astype(np.uint8)

    def summary(accuracies):
        return metrics.acc_robust(accuracies[..., 0], metrics.auc(eps, accuracies))

    interval = bootstrap_interval(held, Y, 3, statistic=summary, resamples=20000)
    drawn = []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(np.flatnonzero(c == Y), COUNTS[c]) for c in range(3)])
        drawn.append(float(summary(held[:, rows].mean(axis=1))))
    assert interval.estimate == pytest.approx(float(summary(held.mean(axis=1))))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.006)


def test_coverage_of_the_bootstrap():
    truth = RATES @ COUNTS / COUNTS.sum()
    inside = 0
    for k in range(400):
        interval = bootstrap_interval(draw(np.random.default_rng(k)), Y, 3, resamples=500, seed=k)
        inside += interval.low <= truth <= interval.high
    assert 0.90 <= inside / 400 <= 0.985


def test_coverage_over_seeds_and_examples():
    """Both parts of the variance matter: ten seeds whose rates differ, one set of examples."""
    inside = {"two-level": 0, "examples only": 0}
    for k in range(200):
        rng = np.random.default_rng(k)
        ease = rng.random(len(Y))  # shared by all seeds, so that errors are correlated
        shift = rng.normal(0, 0.08, size=10)
        held = ease[None] < (RATES[Y][None] + shift[:, None]).clip(0, 1)
        truth = RATES @ COUNTS / COUNTS.sum()
        two = seeds_and_examples_interval(held, Y, 3, resamples=400, seed=k)
        one = bootstrap_interval(held[0], Y, 3, resamples=400, seed=k)
        inside["two-level"] += two.low <= truth <= two.high
        inside["examples only"] += one.low <= truth <= one.high
    assert 0.88 <= inside["two-level"] / 200 <= 0.99
    assert inside["examples only"] < inside["two-level"]


def test_two_levels_have_the_variance_of_both():
    rng = np.random.default_rng(4)
    held = draw(rng, 6)
    interval = seeds_and_examples_interval(held, Y, 3, resamples=40000)
    drawn = []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(np.flatnonzero(c == Y), COUNTS[c]) for c in range(3)])
        drawn.append(held[np.ix_(rng.integers(6, size=6), rows)].mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.006)
    assert interval.estimate == pytest.approx(held.mean())
    assert (interval.n_seeds, interval.n_examples) == (6, 100)


def test_one_seed_of_two_levels_is_the_bootstrap_over_examples():
    held = draw(np.random.default_rng(5), 4)
    by_row = seeds_and_examples_interval(held[:1], Y, 3)
    assert by_row == bootstrap_interval(held[0], Y, 3)
    joined = seeds_and_examples_interval(
        held.reshape(2, 2, -1), Y, 3, statistic=lambda a: a[..., 0] - a[..., 1]
    )
    assert joined.estimate == pytest.approx(float((held[::2].mean(1) - held[1::2].mean(1)).mean()))


def test_pairing_removes_what_both_methods_share():
    rng = np.random.default_rng(6)
    a = draw(rng)
    b = np.where(rng.random(len(Y)) < 0.05, 0, a)  # b loses a few of the examples of a
    paired = paired_bootstrap(a, b, Y, 3, resamples=20000)
    assert paired.estimate == pytest.approx(a.mean() - b.mean())
    rates = np.array([(a - b)[c == Y].mean() for c in range(3)])
    sd = math.sqrt((COUNTS * rates * (1 - rates)).sum()) / 100
    assert paired.high - paired.low == pytest.approx(2 * 1.96 * sd, rel=0.15)
    assert paired.low >= 0
    swapped = paired_bootstrap(b, a, Y, 3, resamples=20000)
    assert (swapped.low, swapped.high) == pytest.approx((-paired.high, -paired.low), abs=0.011)
    same = paired_bootstrap(a, a, Y, 3)
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0)


def test_paired_bootstrap_over_seeds_agrees_with_resampling_both():
    rng = np.random.default_rng(7)
    a, b = draw(rng, 3), draw(rng, 4, rates=RATES - 0.1)
    interval = paired_bootstrap(a, b, Y, 3, resamples=40000)
    drawn = []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(np.flatnonzero(c == Y), COUNTS[c]) for c in range(3)])
        seeds_a, seeds_b = rng.integers(3, size=3), rng.integers(4, size=4)
        drawn.append(a[np.ix_(seeds_a, rows)].mean() - b[np.ix_(seeds_b, rows)].mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.008)
    assert interval.n_seeds == 3


def test_mcnemar_agrees_with_the_exact_binomial_test():
    rng = np.random.default_rng(8)
    for n in (1, 5, 40, 5000):
        a, b = rng.integers(2, size=n), (rng.random(n) < 0.47).astype(int)
        result = mcnemar(a, b)
        wins, losses = int((a > b).sum()), int((b > a).sum())
        assert (result.only_a, result.only_b, result.n_examples) == (wins, losses, n)
        expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        assert result.p_value == pytest.approx(expected, rel=1e-9)
        assert mcnemar(b, a).p_value == result.p_value


def test_mcnemar_ignores_what_either_attack_did_not_see():
    a, b = np.array([1, 1, 255, 0]), np.array([0, 255, 1, 0])
    result = mcnemar(a, b)
    assert (result.only_a, result.only_b, result.n_examples, result.p_value) == (1, 0, 2, 1.0)
    assert mcnemar(a, a).p_value == 1.0


def test_same_seed_same_interval():
    held = draw(np.random.default_rng(9), 2)
    for function, flags in (
        (seeds_and_examples_interval, (held,)),
        (bootstrap_interval, (held[0],)),
        (paired_bootstrap, (held[0], held[1])),
    ):
        first = function(*flags, Y, 3, seed=1)
        assert first == function(*flags, Y, 3, seed=1)
        assert first.low <= first.estimate <= first.high


def test_bad_arguments_are_named():
    held = draw(np.random.default_rng(10), 2)
    with pytest.raises(EcgadvError, match="level 95"):
        seed_interval([1.0, 2.0], level=95)
    with pytest.raises(EcgadvError, match="at least one"):
        seed_interval([])
    with pytest.raises(EcgadvError, match="resamples 0"):
        bootstrap_interval(held[0], Y, 3, resamples=0)
    with pytest.raises(EcgadvError, match="pass `statistic`"):
        bootstrap_interval(held, Y, 3)
    with pytest.raises(EcgadvError, match="99 flags for 100 labels"):
        bootstrap_interval(held[0, :99], Y, 3)
    with pytest.raises(EcgadvError, match="pair the same examples"):
        paired_bootstrap(held[0], held[1, :99], Y, 3)
    with pytest.raises(EcgadvError, match="pair the same examples"):
        mcnemar(held[0], held[1, :99])
    with pytest.raises(EcgadvError, match="flags of shape"):
        seeds_and_examples_interval(held[0], Y, 3)
