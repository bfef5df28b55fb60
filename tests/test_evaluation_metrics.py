"""Metrics against scikit-learn, brute force and the papers' formulas."""

import numpy as np
import pytest

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import NOT_ATTACKED

K = 5


@pytest.fixture(scope="module")
def sk():
    from sklearn import metrics as sk  # here, because every worker imports every file

    return sk


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    y = rng.choice(K, size=400, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    return np.where(rng.random(400) < 0.6, y, rng.integers(K, size=400)), y


def test_all_metrics_agree_with_scikit_learn(predictions, sk):
    pred, y = predictions
    np.testing.assert_array_equal(metrics.confusion(pred, y, K), sk.confusion_matrix(y, pred))
    weights = np.random.default_rng(1).random(400)
    assert metrics.accuracy(pred, y) == pytest.approx(sk.accuracy_score(y, pred))
    assert metrics.accuracy(pred, y, weights) == pytest.approx(
        sk.accuracy_score(y, pred, sample_weight=weights)
    )
    assert metrics.balanced_accuracy(pred, y, K) == pytest.approx(
        sk.balanced_accuracy_score(y, pred)
    )
    np.testing.assert_allclose(
        metrics.sensitivity(pred, y, K), sk.recall_score(y, pred, average=None)
    )
    np.testing.assert_allclose(
        metrics.precision(pred, y, K), sk.precision_score(y, pred, average=None)
    )
    np.testing.assert_allclose(metrics.f1(pred, y, K), sk.f1_score(y, pred, average=None))
    assert metrics.macro_f1(pred, y, K) == pytest.approx(sk.f1_score(y, pred, average="macro"))
    assert metrics.macro_f1(pred, y, K, classes=(0, 1, 2)) == pytest.approx(
        sk.f1_score(y, pred, average="macro", labels=[0, 1, 2])
    )


def test_undefined_values_are_nan_and_only_those():
    y, pred = np.array([0, 0, 1, 1]), np.array([0, 2, 0, 1])
    np.testing.assert_array_equal(metrics.sensitivity(pred, y, 4), [0.5, 0.5, np.nan, np.nan])
    np.testing.assert_array_equal(metrics.precision(pred, y, 4), [0.5, 1.0, 0.0, np.nan])
    np.testing.assert_allclose(metrics.f1(pred, y, 4), [0.5, 2 / 3, 0.0, np.nan])
    assert metrics.balanced_accuracy(pred, y, 4) == 0.5
    assert np.isnan(metrics.macro_f1(pred, y, 4))
    assert metrics.macro_f1(pred, y, 4, classes=(0, 1, 2)) == pytest.approx((0.5 + 2 / 3) / 3)


def test_f1_among_all_examples_is_f1(predictions):
    pred, y = predictions
    np.testing.assert_allclose(
        metrics.f1_among(pred.astype(np.uint8), y, K), metrics.f1(pred, y, K)
    )
    # Class 2 is predicted and never true: 0. Class 3 is neither: undefined.
    y, pred = np.array([0, 0, 1, 1]), np.array([0, 2, 0, 1])
    np.testing.assert_allclose(metrics.f1_among(pred, y, 4), metrics.f1(pred, y, 4))


@pytest.mark.parametrize("seed", range(3))
def test_f1_among_some_weighs_each_class_as_often_as_it_stands_in_all(predictions, sk, seed):
    pred, y = predictions
    rng = np.random.default_rng(seed)
    some = np.full(len(y), NOT_ATTACKED, np.uint8)
    weight = np.zeros(len(y))
    for c in range(K):
        members = np.flatnonzero(y == c)
        chosen = rng.choice(members, size=min(len(members), 12 + c), replace=False)
        some[chosen] = pred[chosen]
        weight[chosen] = len(members) / len(chosen)
    seen = some != NOT_ATTACKED
    wanted = sk.f1_score(y[seen], pred[seen], average=None, sample_weight=weight[seen])
    np.testing.assert_allclose(metrics.f1_among(some, y, K), wanted)
    assert weight.sum() == pytest.approx(len(y))


def test_f1_among_is_undefined_where_a_class_was_never_attacked():
    # How often the examples of class 1 are taken for another class is not known.
    y, some = np.array([0, 0, 1, 2]), np.array([0, 2, NOT_ATTACKED, 2])
    assert np.isnan(metrics.f1_among(some, y, 3)).all()


@pytest.mark.parametrize("wrong", [[5, 0], [-1, 0], []])
def test_labels_out_of_range_are_named(wrong):
    with pytest.raises(EcgadvError, match=r"classes run from 0 to 4|give at least one"):
        metrics.confusion(np.zeros(len(wrong), int), np.array(wrong, dtype=int), K)


def test_unequal_lengths_are_refused():
    with pytest.raises(EcgadvError, match="3 predictions for 2 labels"):
        metrics.confusion(np.zeros(3, int), np.zeros(2, int), K)
    with pytest.raises(EcgadvError, match="3 flags for 2 labels"):
        metrics.held_by_class(np.zeros(3), np.zeros(2, int), K)


def test_full_flags_give_accuracy_and_balanced_accuracy(predictions):
    pred, y = predictions
    held = (pred == y).astype(np.uint8)
    assert metrics.robust_accuracy(held, y, K) == pytest.approx(metrics.accuracy(pred, y))
    assert metrics.robust_accuracy(held, y, K, balanced=True) == pytest.approx(
        metrics.balanced_accuracy(pred, y, K)
    )


def test_subset_is_weighed_back_to_the_whole():
    y = np.array([0] * 90 + [1] * 10)
    held = np.full(100, NOT_ATTACKED, np.uint8)
    held[:4] = [1, 1, 1, 0]  # 3 of 4 in class 0, 1 of 2 in class 1
    held[90:92] = [1, 0]
    counts, attacked = metrics.held_by_class(held, y, 3)
    np.testing.assert_array_equal(counts, [3, 1, 0])
    np.testing.assert_array_equal(attacked, [4, 2, 0])
    assert metrics.robust_accuracy(held, y, 3) == pytest.approx(0.9 * 0.75 + 0.1 * 0.5)
    assert metrics.robust_accuracy(held, y, 3, balanced=True) == pytest.approx(0.625)


def test_subset_estimate_is_unbiased(predictions):
    pred, y = predictions
    right = (pred == y).astype(np.uint8)
    rng = np.random.default_rng(2)
    estimates = []
    for _ in range(2000):
        held = np.full(len(y), NOT_ATTACKED, np.uint8)
        for c in range(K):
            chosen = rng.choice(np.flatnonzero(y == c), size=5, replace=False)
            held[chosen] = right[chosen]
        estimates.append(metrics.robust_accuracy(held, y, K))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - metrics.accuracy(pred, y)) < 4 * error


def test_a_class_that_was_never_attacked_makes_the_accuracy_undefined():
    held, y = np.array([1, 1, NOT_ATTACKED]), np.array([0, 0, 1])
    assert np.isnan(metrics.robust_accuracy(held, y, 2))
    assert np.isnan(metrics.robust_accuracy(held, y, 2, balanced=True))


def test_curve_is_sorted_and_starts_with_the_clean_accuracy():
    y = np.array([0, 0, 0, 1])
    flags = {0.1: [0, 0, 1, 0], 0.0: [1, 1, 1, 0], 0.05: [0, 1, 1, 0]}
    eps, values = metrics.robustness_curve(flags, y, 2)
    np.testing.assert_array_equal(eps, [0.0, 0.05, 0.1])
    np.testing.assert_allclose(values, [0.75, 0.5, 0.25])
    _, balanced = metrics.robustness_curve(flags, y, 2, balanced=True)
    np.testing.assert_allclose(balanced, [1 / 2, 1 / 3, 1 / 6])


def test_auc_follows_the_formula_of_paper_b():
    eps = [0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3]
    a = [0.98, 0.9, 0.7, 0.5, 0.2, 0.1, 0.0]
    area = 0.94 * 0.01 + 0.8 * 0.02 + 0.6 * 0.02 + 0.35 * 0.05
    assert metrics.auc(eps, a) == pytest.approx(area / 0.1)
    assert metrics.auc(eps, a, eps_max=0.2) == pytest.approx((area + 0.15 * 0.1) / 0.2)
    assert metrics.auc(eps, np.full(7, 0.7)) == pytest.approx(0.7)  # a flat curve is its height
    assert metrics.auc(eps, 1 - np.array(eps)) == pytest.approx(1 - 0.1 / 2)  # a straight one
    assert metrics.acc_robust(0.81, 0.64) == pytest.approx(0.72)


def test_auc_of_several_curves_at_once():
    curves = np.random.default_rng(0).random((2, 3, 4))
    eps = [0, 0.03, 0.1, 0.3]
    areas = metrics.auc(eps, curves)
    assert areas.shape == (2, 3)
    assert areas[1, 2] == pytest.approx(metrics.auc(eps, curves[1, 2]))
    np.testing.assert_allclose(
        metrics.acc_robust(curves[..., 0], areas) ** 2, curves[..., 0] * areas
    )


@pytest.mark.parametrize(
    ("eps", "message"),
    [
        ([0.01, 0.05, 0.1], "the clean 0 first"),
        ([0.0, 0.1, 0.05], "ascending"),
        ([0.0, 0.05, 0.2], "eps_max 0.1 is not a noise level"),
        ([0.0, 0.1], "3 accuracies for 2 noise levels"),
    ],
)
def test_auc_refuses_levels_it_cannot_integrate(eps, message):
    with pytest.raises(EcgadvError, match=message):
        metrics.auc(eps, np.ones(3))
