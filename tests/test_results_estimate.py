"""A mean over seeds and its two intervals, where they can be said in closed form."""

import numpy as np
import pytest

from ecgadv.evaluation.intervals import Interval, t_quantile
from ecgadv.results.estimate import NO_DIFFERENCE, Estimate, estimate, told


def of(*seeds):
    """The estimate of one row of flags a seed, all examples of one class."""
    rows = np.array(seeds, np.uint8)[:, None]
    return estimate(rows, np.zeros(rows.shape[-1], int), 1)


def test_the_wider_interval_gives_both_ends():
    # All examples of a seed agree, so the bootstrap only draws seeds: 0, 1/2 or 1.
    few = of([1] * 4, [0] * 4)
    half = t_quantile(0.975, 1) * np.std([0, 1], ddof=1) / np.sqrt(2)
    assert (few.both.low, few.both.high) == (0, 1)
    assert (few.low, few.high) == pytest.approx((0.5 - half, 0.5 + half))
    # The seeds agree, so Student's t is a point: half of four examples, drawn with replacement.
    alike = of([1, 1, 0, 0], [1, 1, 0, 0])
    assert (alike.seeds.low, alike.seeds.high) == (0.5, 0.5)
    assert (alike.low, alike.high) == (0, 1)


def test_a_single_seed_has_the_interval_of_the_bootstrap():
    one = of([1, 1, 0, 0])
    assert np.isnan([one.seeds.low, one.seeds.high]).all()
    assert (one.low, one.high) == (0, 1)


def test_only_what_every_seed_attacked_counts():
    found = of([1, 1, 0, 255], [255, 1, 0, 0])  # apart they are 2/3 and 1/3, together 1/2 twice
    assert (found.value, found.both.n_examples) == (0.5, 2)
    assert (found.seeds.low, found.seeds.high) == (0.5, 0.5)


def test_sentences_write_shares_and_differences_with_their_ends():
    found = of([1, 1, 0, 0])
    assert f"{found:%}" == "50.0\u00a0%"
    assert f"{found:%i}" == "50.0\u00a0% [0.0,\u00a0100.0]"
    assert f"{found:points i}" == "+50.0 [+0.0,\u00a0+100.0]"
    wide = Interval(0.5, -0.4, 1.4, 0.95, 2)
    assert f"{Estimate(wide, wide):%i}" == "50.0\u00a0% [0.0,\u00a0100.0]"
    assert f"{Estimate(wide, wide):points i}" == "+50.0 [-40.0,\u00a0+140.0]"
    nothing = Interval(-1e-9, -1e-9, 1e-9, 0.95, 3)
    assert f"{Estimate(nothing, nothing):points i}" == "+0.0 [+0.0,\u00a0+0.0]"
    assert f"{Estimate(nothing, nothing):%}" == "0.0\u00a0%"


def test_a_difference_is_clear_where_both_intervals_leave_out_nothing():
    surely, unsure = of([1, 1], [1, 1]), of([1, 0], [1, 0])
    assert told(surely, "more", "less") == "more"
    assert told(unsure, "more", "less") == NO_DIFFERENCE
