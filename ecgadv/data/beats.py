"""The rows of the Kaggle heartbeat csv, paper B's input, cut from a recording by their true rule.

The rule was recovered from genuine rows, which it gives bit for bit (notebooks/heartbeat-csv). It
is not what Kachuee et al., arXiv:1805.00794, section III-A, describe (125 Hz, 1.2 median RR
intervals): a row starts at a beat's annotation and spans the interval to the next annotation, of
whatever type, and a fifth of the one after; every third sample of the 360 Hz counts is taken
without a filter, so that rows are at 120 Hz; the whole of it is min-max normalised, then cut or
padded.
"""

import numpy as np

from ecgadv.border.arrays import whole
from ecgadv.data.dataset import Dataset

CLASSES = ("N", "S", "V", "F", "Q")
RECORDED_FS = 360  # Hz, of the signal that rows are cut from
STEP = 3  # every so many samples are taken
FS = RECORDED_FS // STEP  # Hz, of the rows
LENGTH = 187  # samples; a longer beat is cut, a shorter one padded with zeros
OVERLAP = 0.2  # the share of the next interval that a row spans beside its own


def windows(samples, is_beat):
    """Where the row of each beat lies: of every beat but one that is the last annotation.

    Args:
        samples: int (n,), the annotations of all types, ascending, in samples at RECORDED_FS.
        is_beat: bool (n,), True for annotations that are beats.

    Returns:
        dict of arrays (m,), one value a row:
        `annotation`, its place among all annotations; `onset`, where it starts and `span`, how
        many samples it reaches over, both at RECORDED_FS; `other`, True if one of the two
        annotations that set the span is no beat; `guessed`, True if the one after the next does
        not exist. No genuine row at hand says what the span is then: 1.2 own intervals is our
        guess.
    """
    samples, is_beat = np.asarray(samples, np.int64), np.asarray(is_beat, bool)
    beat = np.flatnonzero(is_beat[:-1])
    after = np.minimum(beat + 2, len(samples) - 1)
    guessed = after == beat + 1
    own, following = samples[beat + 1] - samples[beat], samples[after] - samples[beat + 1]
    # The sum is cut to a whole number, as the rows demand; rounding gives other lengths.
    span = (own + OVERLAP * np.where(guessed, own, following)).astype(np.int64)
    return {
        "annotation": beat,
        "onset": samples[beat],
        "span": span,
        "other": ~is_beat[beat + 1] | ~is_beat[after],
        "guessed": guessed,
    }


def cut(signal, samples, is_beat):
    """Cut the row of every beat from a signal in A/D counts.

    Args:
        signal: whole numbers (T,), at RECORDED_FS.
        samples, is_beat: as in `windows`.

    Returns:
        dict: what `windows` gives but `span`, and of each row its `counts`, end to end, less the
        minimum of the whole segment; `length`, how many of them it has; `uncut`, how many it had
        before the cut at LENGTH; `range`, the maximum less the minimum of all these.
    """
    signal = whole("signal", signal)  # int64: a range of 16-bit counts may need 17 bits
    found = windows(samples, is_beat)
    pieces, uncut, spans = [], [], []
    for start, span in zip(found["onset"], found.pop("span"), strict=True):
        # Two annotations at one sample would leave nothing; a row has at least its first sample.
        segment = signal[start : start + max(span, 1) : STEP]
        lowest = segment.min()
        pieces.append(segment[:LENGTH] - lowest)
        uncut.append(len(segment))
        spans.append(segment.max() - lowest)
    counts = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
    return {
        **found,
        "counts": counts.astype(np.min_scalar_type(max(spans, default=0))),
        "length": np.array([len(piece) for piece in pieces], np.uint8),
        "uncut": np.array(uncut, np.int32),
        "range": np.array(spans, np.int64),
    }


# What `cut` gives that a Dataset keeps beside its own fields.
FACTS = ("annotation", "uncut", "other", "guessed")


def assemble(arrays, *, name, labels, note):
    """A Dataset from rows in counts: x = counts / range in float32, zero-padded to (N, 1, 187).

    Args:
        arrays: what `cut` returns, and (N,) arrays `y`, `record`, `gain` (counts/mV).
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
        facts={key: arrays[key] for key in FACTS},
    )
