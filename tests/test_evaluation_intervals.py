"""Intervals against scipy, closed forms, and their coverage in small simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.intervals import (
    mcnemar,
    seed_interval,
    seeds_and_examples_interval,
    t_quantile,
)
from ecgadv.evaluation.resampling import _patterns
from ecgadv.evaluation.robustness import NOT_ATTACKED

COUNTS = np.array([60, 30, 10])
Y = np.repeat(np.arange(3), COUNTS)
RATES = np.array([0.9, 0.6, 0.3])


def draw(rng, *shape, rates=RATES):
    return (rng.random((*shape, len(Y))) < rates[Y]).astype(np.uint8)


def of_one_seed(held, *args, **options):
    return seeds_and_examples_interval(np.asarray(held)[None], *args, **options)


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
    ours = of_one_seed(held, np.zeros(90, int), 1, resamples=20000)
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
    interval = of_one_seed(held, Y, 3, balanced=balanced, resamples=50000)
    assert interval.estimate == pytest.approx(weights @ rates)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * sd, rel=0.06)


def test_attacked_subset_only_and_all_labels_as_prior():
    held = draw(np.random.default_rng(2))
    held[::2] = NOT_ATTACKED
    interval = of_one_seed(held, Y, 3)
    assert interval.n_examples == 50
    assert interval.estimate == pytest.approx(metrics.robust_accuracy(held, Y, 3))
    held[Y == 2] = NOT_ATTACKED
    assert math.isnan(of_one_seed(held, Y, 3).low)
    assert math.isnan(of_one_seed(held, Y, 3).estimate)
    absent = of_one_seed(draw(np.random.default_rng(2)), Y, 4, balanced=True)
    assert absent == of_one_seed(draw(np.random.default_rng(2)), Y, 3, balanced=True)


def test_statistic_of_joint_rows_agrees_with_resampling_the_examples():
    rng = np.random.default_rng(3)
    size = rng.random(len(Y)) * RATES[Y]  # the margin of each example: one threshold a level
    eps = np.array([0.0, 0.05, 0.1])
    held = (size[None] > eps[:, None] * 3).astype(np.uint8)

    def summary(accuracies):
        return metrics.acc_robust(accuracies[..., 0], metrics.auc(eps, accuracies))

    interval = of_one_seed(held, Y, 3, statistic=summary, resamples=20000)
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
        interval = of_one_seed(draw(np.random.default_rng(k)), Y, 3, resamples=500, seed=k)
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
        one = of_one_seed(held[0], Y, 3, resamples=400, seed=k)
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


def test_a_statistic_joins_the_conditions_of_each_seed():
    held = draw(np.random.default_rng(5), 4)
    joined = seeds_and_examples_interval(
        held.reshape(2, 2, -1), Y, 3, statistic=lambda a: a[..., 0] - a[..., 1]
    )
    assert joined.estimate == pytest.approx(float((held[::2].mean(1) - held[1::2].mean(1)).mean()))


def minus(a):
    return a[..., 0] - a[..., 1]


def test_pairing_removes_what_both_methods_share():
    rng = np.random.default_rng(6)
    a = draw(rng)
    b = np.where(rng.random(len(Y)) < 0.05, 0, a)  # b loses a few of the examples of a
    paired = of_one_seed(np.stack([a, b]), Y, 3, statistic=minus, resamples=20000)
    assert paired.estimate == pytest.approx(a.mean() - b.mean())
    rates = np.array([(a - b)[c == Y].mean() for c in range(3)])
    sd = math.sqrt((COUNTS * rates * (1 - rates)).sum()) / 100
    assert paired.high - paired.low == pytest.approx(2 * 1.96 * sd, rel=0.15)
    assert paired.low >= 0
    swapped = of_one_seed(np.stack([b, a]), Y, 3, statistic=minus, resamples=20000)
    assert (swapped.low, swapped.high) == pytest.approx((-paired.high, -paired.low), abs=0.011)
    same = of_one_seed(np.stack([a, a]), Y, 3, statistic=minus)
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0)


def people(rng, n, beats):
    """Patients with `beats` beats each, of one class, of whom each holds a share of his own."""
    patients = np.repeat(np.arange(n), beats)
    return patients, (rng.random(n * beats) < rng.random(n)[patients]).astype(np.uint8)


def by_patient(held, patients, **options):
    return of_one_seed(held, np.zeros(len(patients), int), 1, patients=patients, **options)


@pytest.mark.parametrize("balanced", [False, True])
def test_drawing_patients_agrees_with_putting_drawn_patients_together(balanced):
    """Seven patients of unlike size and mix, a class that two of them have, beats not attacked."""
    rng = np.random.default_rng(11)
    patients = np.repeat(list("abcdefg"), [40, 5, 60, 20, 35, 10, 30])
    y = rng.integers(2, size=200)
    y[np.flatnonzero(np.isin(patients, ["c", "f"]))[::4]] = 2
    ease = dict(zip("abcdefg", rng.random(7), strict=True))
    held = (rng.random((4, 200)) < [ease[p] for p in patients]).astype(np.uint8)
    held[1, rng.random(200) < 0.3] = NOT_ATTACKED
    ours = seeds_and_examples_interval(
        held, y, 3, balanced=balanced, patients=patients, resamples=40000
    )
    attacked = (held != NOT_ATTACKED).all(axis=0)

    def accuracy(seeds, beats):
        flags, labels, counts = held[seeds][:, beats], y[beats], attacked[beats]
        shares = [flags[:, counts & (labels == c)].mean() for c in range(3)]
        return np.average(shares, weights=None if balanced else np.bincount(labels))

    whose = [np.flatnonzero(patients == p) for p in "abcdefg"]
    drawn = []
    while len(drawn) < 4000:
        beats = np.concatenate([whose[p] for p in rng.integers(7, size=7)])
        if len(np.unique(y[beats][attacked[beats]])) == 3:
            drawn.append(accuracy(rng.integers(4, size=4), beats))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert high - low > 0.2
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.01)
    assert ours.estimate == pytest.approx(accuracy(range(4), np.arange(200)))
    assert (ours.n_seeds, ours.n_examples) == (4, attacked.sum())


def test_patients_whose_beats_agree_count_once_each():
    holds = np.repeat([1, 0], [14, 8]).astype(np.uint8)  # 14 of 22 patients hold
    one, many = (by_patient(np.repeat(holds, n), np.repeat(np.arange(22), n)) for n in (1, 500))
    assert (one.estimate, one.low, one.high) == (many.estimate, many.low, many.high)
    binomial = stats.binom.ppf([0.025, 0.975], 22, 14 / 22) / 22
    assert (one.low, one.high) == pytest.approx(tuple(binomial))
    beats = of_one_seed(np.repeat(holds, 500), np.zeros(11000, int), 1)
    assert many.high - many.low > 15 * (beats.high - beats.low)  # sqrt(500) is 22


@pytest.mark.parametrize("n", [2, 5])
def test_patients_who_are_alike_leave_nothing_to_vary(n):
    patients = np.repeat(np.arange(n), 20)
    held = np.tile(np.repeat([1, 0], [15, 5]), n)
    found = by_patient(held, patients)
    assert (found.estimate, found.low, found.high) == (0.75, 0.75, 0.75)
    assert found.n_examples == 20 * n


def test_two_networks_meet_the_same_patients():
    """b loses two beats of every patient: each network varies, their difference cannot."""
    patients, a = people(np.random.default_rng(12), 12, 50)
    a[::50] = a[1::50] = 1
    b = a.copy()
    b[::50] = b[1::50] = 0
    gap = by_patient(np.stack([a, b]), patients, statistic=minus)
    assert (gap.low, gap.high) == pytest.approx((0.04, 0.04))
    alone = by_patient(a, patients)
    assert alone.high - alone.low > 0.2


def test_a_class_of_one_patient_stands_in_every_draw():
    """Half of that patient's beats hold and all others do, so no draw differs from the data."""
    patients, y = np.repeat(np.arange(6), 10), np.repeat([0, 1], [50, 10])
    held = np.where(y == 1, np.arange(60) % 2, 1)
    found = of_one_seed(held, y, 2, balanced=True, patients=patients)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.75, 0.75, 0.75))
    never = of_one_seed(np.where(y == 1, NOT_ATTACKED, 1), y, 2, patients=patients)
    assert math.isnan(never.estimate) and math.isnan(never.low)
    absent = of_one_seed(held, y, 4, balanced=True, patients=patients)
    assert absent == found


def test_coverage_of_new_patients():
    """Beats of a patient are alike: drawn singly they promise far more than they can keep."""
    inside = {"patients": 0, "beats": 0}
    for k in range(300):
        patients, held = people(np.random.default_rng(k), 22, 100)  # one half holds in all
        by = by_patient(held, patients, resamples=400, seed=k)
        beats = of_one_seed(held, np.zeros(2200, int), 1, resamples=400, seed=k)
        inside["patients"] += by.low <= 0.5 <= by.high
        inside["beats"] += beats.low <= 0.5 <= beats.high
    assert 0.89 <= inside["patients"] / 300 <= 0.98
    assert inside["beats"] / 300 < 0.5


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
    for patients in (None, np.arange(len(Y)) % 7):
        first, again, other = (
            seeds_and_examples_interval(held, Y, 3, patients=patients, seed=seed)
            for seed in (1, 1, 2)
        )
        assert first == again != other
        assert first.low <= first.estimate <= first.high


def test_bad_arguments_are_named():
    held = draw(np.random.default_rng(10), 2)
    with pytest.raises(EcgadvError, match="level 95"):
        seed_interval([1.0, 2.0], level=95)
    with pytest.raises(EcgadvError, match="at least one"):
        seed_interval([])
    with pytest.raises(EcgadvError, match="resamples 0"):
        of_one_seed(held[0], Y, 3, resamples=0)
    with pytest.raises(EcgadvError, match="pass `statistic`"):
        of_one_seed(held, Y, 3)
    with pytest.raises(EcgadvError, match="99 flags for 100 labels"):
        of_one_seed(held[0, :99], Y, 3)
    with pytest.raises(EcgadvError, match=r"patients of shape \(99,\) for 100"):
        of_one_seed(held[0], Y, 3, patients=np.arange(99))
    with pytest.raises(EcgadvError, match="all examples are of patient 213; give those of two"):
        of_one_seed(held[0], Y, 3, patients=np.full(100, "213"))
    with pytest.raises(EcgadvError, match="pair the same examples"):
        mcnemar(held[0], held[1, :99])
    with pytest.raises(EcgadvError, match="flags of shape"):
        seeds_and_examples_interval(held[0], Y, 3)


@pytest.mark.parametrize("m", [1, 7, 8, 9, 63, 64, 70])
def test_patterns_come_in_the_order_of_their_flags(m):
    columns = np.random.default_rng(m).integers(0, 2, (m, 5), np.uint8)[:, [0, 1, 2, 1, 3, 4, 0]]
    first, counts = _patterns(columns)
    patterns, wanted = np.unique(columns, axis=1, return_counts=True)
    assert np.array_equal(columns[:, first], patterns)
    assert np.array_equal(counts, wanted)
