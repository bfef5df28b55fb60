"""The rule behind the heartbeat csv written out row by row, with each of its parts changeable.

It is a second implementation, in plain loops, for tests on synthetic and on real records.
"""

import numpy as np
from scipy.signal import resample_poly

CHANGES = (
    "scale after the cut",
    "beats alone",
    "rounded",
    "own interval",
    "low-pass",
    "mean of three",
    "125 Hz",
)


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
    segment = _thinned(signal, start, span, change)
    low, high = min(segment), max(segment)
    if change == "scale after the cut":
        low, high = min(segment[:187]), max(segment[:187])
    values = np.zeros(187, np.float32)
    for i, value in enumerate(segment[:187]):
        values[i] = np.float32(value - low) / np.float32(max(high - low, 1))  # a flat beat is 0
    return values


def _thinned(signal, start, span, change):
    whole = [int(value) for value in signal[start : start + span]]
    if change == "low-pass":
        return list(resample_poly(np.asarray(whole, float), 1, 3))
    if change == "mean of three":
        return [float(np.mean(whole[i : i + 3])) for i in range(0, len(whole), 3)]
    if change == "125 Hz":
        return list(resample_poly(np.asarray(whole, float), 25, 72))
    return whole[::3]
