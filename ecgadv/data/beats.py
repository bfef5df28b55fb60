"""The form of a beat in the Kaggle heartbeat csv, paper B's input, cut from any 125 Hz signal.

Kachuee et al., arXiv:1805.00794, section III-A: from an R peak over 1.2 median RR intervals of its
10 s window, zero-padded. Where the text and the published rows differ the rows decide: each beat is
min-max normalised by itself, and its values are rounded A/D counts.
"""

import numpy as np

from ecgadv.data.dataset import Dataset

CLASSES = ("N", "S", "V", "F", "Q")
FS = 125  # Hz
LENGTH = 187  # samples; a longer beat is cut, a shorter one padded with zeros
STRETCH = 1.2  # a beat spans this many median RR intervals
WINDOW = 10  # seconds
SEARCH = 1  # samples between an annotation and the peak it marks


def window_rr(r_peaks, *, fs):
    """Median RR interval of the 10 s window in which each beat starts.

    An interval belongs to the window of its first beat. The last beat has no interval and is
    dropped, as the csv drops it.

    Args:
        r_peaks: int (n,), samples, ascending.
        fs: sampling rate of `r_peaks` in Hz.

    Returns:
        float (n - 1,), in samples.
    """
    intervals = np.diff(r_peaks)
    windows = r_peaks[:-1] // (WINDOW * fs)
    median = np.empty(len(intervals))
    for window in np.unique(windows):
        inside = windows == window
        median[inside] = np.median(intervals[inside])
    return median


def cut(signal, *, peaks, lengths):
    """Cut beats from a signal in A/D counts.

    Args:
        signal: int (T,), 125 Hz.
        peaks: (n,), annotated R peaks, in samples of `signal`.
        lengths: (n,), samples wanted of each beat; at least 1 and at most LENGTH are given.

    Returns:
        dict: `counts`, uint16, the beats end to end, each less its own minimum; `length` and
        `range`, (n,), the samples of a beat and its maximum count.
    """
    pieces = []
    for peak, length in zip(peaks, lengths, strict=True):
        start = _summit(signal, int(peak))
        piece = signal[start : start + min(max(int(length), 1), LENGTH)]
        pieces.append(piece - piece.min())
    return {
        "counts": np.concatenate(pieces).astype(np.uint16),
        "length": np.array([len(piece) for piece in pieces], np.uint8),
        "range": np.array([piece.max() for piece in pieces], np.uint16),
    }


def _summit(signal, peak):
    """The highest sample within SEARCH of `peak`: annotations stand about the peak, not on it.

    With it the median beat starts at its maximum, as the rows of the csv do (without: at 0.976).
    """
    first = max(min(peak, len(signal) - 1) - SEARCH, 0)
    return first + int(np.argmax(signal[first : peak + SEARCH + 1]))


def assemble(arrays, *, name, labels, note):
    """A Dataset from beats in counts: x = counts / range exactly, zero-padded to (N, 1, 187).

    Args:
        arrays: what `cut` returns, and (N,) arrays `y`, `record`, `onset`, `gain` (counts/mV).
        name, labels, note: of the Dataset.
    """
    length = arrays["length"].astype(np.int64)
    # A flat beat has range 0: it becomes all zeros, and its unit one A/D count.
    span = np.maximum(arrays["range"], 1).astype(np.float32)
    x = np.zeros((len(length), 1, LENGTH), np.float32)
    inside = np.arange(LENGTH) < length[:, None, None]
    x[inside] = arrays["counts"].astype(np.float32) / np.repeat(span, length)
    return Dataset(
        name=name,
        x=x,
        y=arrays["y"],
        length=length,
        record=arrays["record"],
        onset=arrays["onset"],
        unit_mv=span / arrays["gain"].astype(np.float32),
        classes=CLASSES,
        fs=float(FS),
        unit="normalised",
        labels=labels,
        note=note,
    )
