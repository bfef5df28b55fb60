"""Beats in the form of the Kaggle csv, against definitions written out naively."""

import numpy as np
import pytest

from ecgadv.data import beats


def test_window_rr_is_the_median_of_intervals_that_start_in_the_window():
    rng = np.random.RandomState(0)
    peaks = np.cumsum(rng.randint(150, 500, 300))
    found = beats.window_rr(peaks, fs=360)
    assert found.shape == (299,)
    for i in range(299):
        near = [peaks[j + 1] - peaks[j] for j in range(299) if peaks[j] // 3600 == peaks[i] // 3600]
        assert found[i] == np.median(near)


def test_cut_takes_counts_from_the_peak_on():
    signal = np.array([3, 5, 9, 4, 2, 2, 8, 1, 0, 7, 6])
    found = beats.cut(signal, peaks=[2, 5], lengths=[3, 4])
    # The second annotation stands one sample before its peak.
    assert found["counts"].tolist() == [7, 2, 0, 8, 1, 0, 7]
    assert found["length"].tolist() == [3, 4]
    assert found["range"].tolist() == [7, 8]
    assert found["counts"].dtype == np.uint16


def test_cut_at_the_edges():
    signal = np.arange(500)[::-1].copy()
    found = beats.cut(signal, peaks=[0, 1, 490, 499, 510], lengths=[400, 0, 50, 5, 5])
    # At most 187, at least 1, never past the end of the signal.
    assert found["length"].tolist() == [187, 1, 11, 2, 2]
    assert found["range"].tolist() == [186, 0, 10, 1, 1]


def assembled(found, n):
    arrays = {
        **found,
        "y": np.arange(n) % 5,
        "record": np.array(["a"] * n),
        "onset": np.arange(n),
        "gain": np.full(n, 200.0),
    }
    return beats.assemble(arrays, name="demo", labels="v", note="")


def test_assemble_is_exact_and_padded_with_zeros():
    rng = np.random.RandomState(1)
    signal = rng.randint(-1000, 1000, 5000)
    peaks, lengths = np.arange(0, 4000, 100), rng.randint(1, 187, 40)
    dataset = assembled(beats.cut(signal, peaks=peaks, lengths=lengths), 40)
    assert dataset.x.shape == (40, 1, 187)
    for i, length in enumerate(dataset.length):
        start = max(peaks[i] - 1, 0)
        start += int(np.argmax(signal[start : peaks[i] + 2]))
        piece = signal[start : start + length].astype(np.float64)
        span = max(np.ptp(piece), 1)
        expected = ((piece - piece.min()) / span).astype(np.float32)
        np.testing.assert_array_equal(dataset.x[i, 0, :length], expected)
        assert not dataset.x[i, 0, length:].any()
        assert dataset.unit_mv[i] == pytest.approx(span / 200)
    assert dataset.mask().sum() == lengths.sum()


def test_a_flat_beat_is_zero_and_not_nan():
    dataset = assembled(beats.cut(np.full(300, 7), peaks=[10, 100], lengths=[90, 90]), 2)
    assert not dataset.x.any()
    assert dataset.unit_mv == pytest.approx([1 / 200] * 2)
