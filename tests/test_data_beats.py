"""Beats in the form of the Kaggle csv, against its rule written out naively."""

import numpy as np
import pytest
from heartbeat_rule import CHANGES, row

from ecgadv.data import beats
from ecgadv.errors import EcgadvError

# Awkward annotations: a rhythm mark between two beats, a beat right after another, one of 10
# samples, a long pause, a noise mark as the second next, and a beat at the very end.
SAMPLES = np.array([5, 400, 550, 700, 712, 722, 1010, 1300, 2900, 3200, 3203, 3600, 3900, 3998])
IS_BEAT = np.array([0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1], bool)


@pytest.fixture
def signal():
    """4,000 samples at 360 Hz with detail that no low-pass would leave as it is."""
    rng = np.random.RandomState(3)
    return np.cumsum(rng.randint(-9, 10, 4000)) + rng.randint(-30, 31, 4000)


def assembled(found, gain=200.0):
    n = len(found["length"])
    arrays = {**found, "y": np.arange(n) % 5, "record": np.full(n, "a"), "gain": np.full(n, gain)}
    return beats.assemble(arrays, name="demo", labels="v", note="")


def test_rows_are_those_of_the_rule_bit_for_bit(signal):
    found = beats.cut(signal, SAMPLES, IS_BEAT)
    dataset = assembled(found)
    assert found["annotation"].tolist() == [1, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    assert dataset.onset.tolist() == SAMPLES[found["annotation"]].tolist()
    for i, k in enumerate(found["annotation"]):
        expected = row(signal, SAMPLES, IS_BEAT, k)
        if k == 12:  # its successor is the last annotation: our guess
            expected = row(signal, [*SAMPLES, 3998 + 98], [*IS_BEAT, True], 12)
        assert dataset.x[i, 0].tobytes() == expected.tobytes()
    assert dataset.fs == 120


def test_what_is_kept_of_each_row(signal):
    found = beats.cut(signal, SAMPLES, IS_BEAT)
    # Each its own interval and a fifth of the next, as whole samples.
    spans = [150 + 30, 12 + 2, 10 + 57, 288 + 58, 290 + 320, 1600 + 60, 300 + 0, 3 + 79, 300 + 19]
    spans.append(98 + 19)
    uncut = [-(-span // 3) for span in spans]
    uncut[-1] = -(-min(spans[-1], 4000 - 3900) // 3)  # the signal ends
    assert found["uncut"].tolist() == uncut
    assert found["length"].tolist() == [min(n, 187) for n in uncut]
    assert found["guessed"].tolist() == [False] * 9 + [True]
    # A mark among the next two annotations: the rhythm mark, and the noise mark twice.
    assert found["annotation"][found["other"]].tolist() == [1, 8, 9]
    facts = assembled(found).facts
    assert facts.keys() == {"annotation", "uncut", "other", "guessed"}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_the_rule_shows(signal, change):
    dataset = assembled(beats.cut(signal, SAMPLES, IS_BEAT))
    ks = dataset.facts["annotation"]
    changed = [row(signal, SAMPLES, IS_BEAT, k, change) for k in ks]
    same = [
        new is not None and np.array_equal(new, own)
        for new, own in zip(changed, dataset.x[:, 0], strict=True)
    ]
    assert not all(same)


def test_the_last_annotation_gives_no_row_even_if_it_is_a_mark():
    found = beats.windows([10, 100, 200], [True, True, False])
    assert found["annotation"].tolist() == [0, 1]
    assert found["guessed"].tolist() == [False, True]
    assert found["span"].tolist() == [90 + 20, 120]


def test_values_beyond_16_bit_do_not_wrap():
    signal = np.zeros(400, np.int64)
    signal[30] = 70_000
    found = beats.cut(signal, [0, 150, 300], [True] * 3)
    assert found["range"].tolist() == [70_000, 0]
    assert found["counts"].max() == 70_000
    assert assembled(found).unit_mv[0] == pytest.approx(350)


def test_a_flat_beat_is_zero_and_not_nan():
    dataset = assembled(beats.cut(np.full(900, 7), [0, 300, 600], [True] * 3))
    assert not dataset.x.any()
    assert dataset.unit_mv == pytest.approx([1 / 200] * 2)


def test_two_annotations_at_one_sample_leave_one_value():
    found = beats.cut(np.arange(900), [300, 300, 300, 600], [True] * 4)
    assert found["length"].tolist() == [1, 20, 120]
    assert np.isfinite(assembled(found).x).all()


def test_a_range_of_16_bit_counts_may_need_17_bits():
    signal = np.zeros(400, np.int16)
    signal[30], signal[60] = 30_000, -30_000
    found = beats.cut(signal, [0, 150, 300], [True] * 3)
    assert found["range"].tolist() == [60_000, 0]
    assert found["counts"][:60:10].tolist() == [30_000, 60_000, 0, 30_000, 30_000, 30_000]


@pytest.mark.parametrize(("value", "words"), [(0.5, "signal holds 0.5"), (np.nan, "holds nan")])
def test_a_signal_that_is_not_in_counts_is_refused(value, words):
    with pytest.raises(EcgadvError, match=f"{words}; give whole numbers"):
        beats.cut(np.full(400, value), [0, 150, 300], [True] * 3)
