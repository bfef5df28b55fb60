"""Intervals of F1 scores, of shares of a few examples, and of medians."""

import numpy as np
import pytest

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import scores
from ecgadv.evaluation.intervals import seeds_and_examples_interval


def test_f1_of_two_classes_has_the_interval_of_its_accuracy():
    """With classes of equal size and symmetric errors macro-F1 is close to the accuracy."""
    y = np.repeat([0, 1], 200)
    right = np.tile(np.arange(200) < 150, 2)
    predicted = np.where(right, y, 1 - y).astype(np.uint8)
    found = scores.f1_interval(predicted[None], y, 2, (0, 1))
    accuracy = seeds_and_examples_interval(right[None].astype(np.uint8), y, 2)
    assert found.estimate == pytest.approx(0.75)
    assert found.low == pytest.approx(accuracy.low, abs=0.01)
    assert found.high == pytest.approx(accuracy.high, abs=0.01)
    assert found.n_examples == 400


def test_f1_leaves_out_what_was_not_attacked():
    y = np.array([0] * 8 + [1] * 4)
    predicted = np.array([0, 0, 1, 1] + [255] * 4 + [1] * 4, np.uint8)
    # Four of the eight N speak for all: 4 of them read right, 4 read as the other class.
    expected = np.mean([2 * 4 / (4 + 8), 2 * 4 / (8 + 4)])
    assert scores.macro_f1(predicted[None], y, 2, (0, 1)) == pytest.approx(expected)


def test_a_few_records_that_all_hold_prove_little():
    """Wilson's interval of 31 of 31: from n / (n + z^2) to 1."""
    found = scores.share(np.ones((2, 31), np.uint8))
    assert (found.value, found.high, found.n) == (1, 1, 31)
    assert found.low == pytest.approx(31 / (31 + 1.959964**2), abs=1e-6)
    assert np.isnan(scores.share(np.full((1, 3), 255, np.uint8)).value)


def test_shares_span_the_seeds():
    flags = np.array([[1] * 10, [0] * 10], np.uint8)
    found = scores.share(flags)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0, 1))


def test_medians_leave_skipped_pairs_out():
    values = np.array([[1.0, 2, 3, np.nan], [1, 2, 3, np.nan]])
    found = scores.median_interval(values)
    assert (found.estimate, found.n_examples, found.n_seeds) == (2, 3, 2)
    assert 1 <= found.low <= 2 <= found.high <= 3
    with pytest.raises(EcgadvError, match="no values"):
        scores.median_interval(np.full((1, 2), np.nan))
