"""The rule behind the heartbeat csv written out row by row, with each of its parts changeable.

It is a second implementation, in plain loops, for the page on the csv and for tests. Beside it
stands the csv's own description, as we read it.
"""

import numpy as np
from scipy.signal import resample_poly

# Each single change of the rule: the step that it changes, and what is done instead.
CHANGES = {
    "low-pass": (1, "with a low-pass before the thinning"),
    "from the peak": (2, "from the highest sample near the annotation"),
    "own interval": (3, "1.2 times the own interval"),
    "beats alone": (3, "counting annotations of beats alone"),
    "rounded": (4, "rounded to the nearest"),
    "mean of three": (5, "the mean of every three samples"),
    "125 Hz": (5, "resampled to 125 Hz"),
    "scale after the cut": (6, "scaled after the cut"),
}

DESCRIBED_FS = 125  # Hz, that the csv's description gives its rows


def row(signal, samples, is_beat, k, change=None):
    """The 187 values of annotation k in float32, or None where annotation k + 2 is missing."""
    after = [i for i in range(k + 1, len(samples)) if is_beat[i] or change != "beats alone"]
    if len(after) < 2:
        return None
    own, following = samples[after[0]] - samples[k], samples[after[1]] - samples[after[0]]
    span = own + 0.2 * following
    if change == "own interval":
        span = 1.2 * own
    span = round(span) if change == "rounded" else int(span)
    start = samples[k]
    if change == "from the peak":  # at the highest of the samples near it, as `described` does
        start = max(range(max(start - 3, 0), start + 4), key=lambda i: signal[i])
    segment = _thinned(signal, start, span, change)
    low, high = min(segment), max(segment)
    if change == "scale after the cut":
        low, high = min(segment[:187]), max(segment[:187])
    return _padded((value - low, high - low) for value in segment[:187])


def _thinned(signal, start, span, change):
    whole = [int(value) for value in signal[start : start + span]]
    if change == "low-pass":
        return list(resample_poly(np.asarray(whole, float), 1, 3))
    if change == "mean of three":
        return [float(np.mean(whole[i : i + 3])) for i in range(0, len(whole), 3)]
    if change == "125 Hz":
        return list(resample_poly(np.asarray(whole, float), 25, 72))
    return whole[::3]


def _padded(pairs):
    values = np.zeros(187, np.float32)
    for i, (value, span) in enumerate(pairs):
        values[i] = np.float32(value) / np.float32(max(span, 1))  # a flat beat is 0
    return values


def described(record):
    """A function from k to the row and its length as the csv's description has them, as we read it.

    The record at 125 Hz, from the highest of the three samples about the annotated beat over 1.2
    median intervals of the beats in its ten seconds (arXiv:1805.00794, section III-A), each row
    scaled by itself.
    """
    slow = np.rint(resample_poly(record.signal.astype(float), 25, 72))
    peaks = record.samples[record.is_beat]
    tens = peaks[:-1] // (10 * 360)

    def made(k):
        i = int(record.is_beat[:k].sum())
        median = np.median(np.diff(peaks)[tens == tens[i]])
        near = round(peaks[i] * 25 / 72)
        start = max(range(max(near - 1, 0), near + 2), key=lambda j: slow[j])
        segment = slow[start : start + min(round(1.2 * median * 25 / 72), 187)]
        low, high = segment.min(), segment.max()
        return _padded((value - low, high - low) for value in segment), len(segment)

    return made
