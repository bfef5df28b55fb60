"""Recordings of twelve leads: what the leads are called, how networks take them, how they are kept.

Source of the form: paper B on CPSC2018 (PROTOCOLS 3.6): eight leads, each divided by its own
largest absolute value, shorter recordings at the end of zeros.
"""

import numpy as np

from ecgadv.data import cache
from ecgadv.data.dataset import Dataset
from ecgadv.errors import EcgadvError

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
# The other four are sums of I and II.
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
UNIT = "lead maximum"  # of each lead of each recording
COUNTS_PER_MV = 1000  # one count is one microvolt


def rows(leads):
    """The rows of `leads` among the twelve, list of int."""
    return [LEADS.index(lead) for lead in leads]


def twelve(eight):
    """All twelve leads of the eight that networks take.

    Args:
        eight: (8, T) in a voltage, the same for all leads.

    Returns:
        {lead: (T,)} in the order of LEADS.

    Source: Einthoven's III = II - I, and Goldberger's leads, each from one limb to the mean of the
    other two: aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2.
    """
    found = dict(zip(EIGHT, eight, strict=True))
    one, two = found["I"], found["II"]
    found["III"] = two - one
    found["aVR"], found["aVL"], found["aVF"] = -(one + two) / 2, one - two / 2, two - one / 2
    return {lead: found[lead] for lead in LEADS}


def scaled(signal):
    """Each lead divided by its largest absolute value; a flat lead of zeros stays as it is.

    Args:
        signal: (C, T), in any unit.

    Returns:
        (x, unit): float32 (C, T) within [-1, 1], and float32 (C,), what 1 stands for; 1 for a
        lead of zeros.

    Source: PROTOCOLS 3.6, point 8; the scaling comes after the recording is cut.
    """
    signal = np.asarray(signal, np.float32)
    unit = np.abs(signal).max(-1)
    unit[unit == 0] = 1
    return signal / unit[:, None], unit


def arrange(signals, *, length, most=None):
    """Recordings of any length in one array, each scaled and at the end of zeros.

    Args:
        signals: sequence of N arrays (C, T), T at least 1.
        length: samples of each row, L.
        most: samples of a recording that are taken, from its first on; L if None.

    Returns:
        (x, start, unit): float32 (N, C, L); int64 (N,), where in x each recording starts; float32
        (N, C), what 1 stands for in each lead, in the unit of the signals.
    """
    most = length if most is None else most
    leads = signals[0].shape[0]
    # Untouched zeros of a large array take no memory.
    x = np.zeros((len(signals), leads, length), np.float32)
    unit = np.zeros((len(signals), leads), np.float32)
    start = np.zeros(len(signals), np.int64)
    for row, signal in enumerate(signals):
        part = signal[:, :most]
        start[row] = length - part.shape[1]
        x[row, :, start[row] :], unit[row] = scaled(part)
    return x, start, unit


def train_start(samples, *, length, shift, draw):
    """Where a recording starts in training: up to `shift` samples, less one, before its place.

    Args:
        samples: of the recording.
        draw: uniform in [0, 1).

    Source: PROTOCOLS 3.6, point 8 (cpsc/app/ECG/CPSC2018_Dataset.py).
    """
    return length - samples - int(shift * draw)


class Packer:
    """Recordings one after the other into small arrays for the cache, without holding them all."""

    def __init__(self):
        self._parts, self._samples, self.flat = [], [], 0

    def add(self, counts):
        """Take a recording, int16 (12, T)."""
        self._parts.append(cache.pack(np.ascontiguousarray(counts).ravel()))
        self._samples.append(counts.shape[1])
        self.flat += int((counts == counts[:, :1]).all(1).sum())

    def arrays(self):
        """{name: array} of all recordings, for `unpack`."""
        return {
            "packed": np.concatenate(self._parts),
            "ends": np.cumsum([len(part) for part in self._parts], dtype=np.int64),
            "samples": np.array(self._samples, np.int32),
        }


def unpack(arrays, *, leads, keep=None):
    """The recordings that a `Packer` took, one by one.

    Args:
        arrays: of the cache.
        leads: names of those wanted.
        keep: bool (N,), the recordings wanted; all if None.

    Yields:
        int16 (len(leads), T).
    """
    wanted = rows(leads)
    keep = np.ones(len(arrays["samples"]), bool) if keep is None else keep
    pieces = np.split(arrays["packed"], arrays["ends"][:-1])
    for piece, samples, kept in zip(pieces, arrays["samples"], keep, strict=True):
        if kept:
            yield cache.unpack(piece).reshape(len(LEADS), samples)[wanted]


def dataset(signals, *, length, most=None, fs, **about):
    """A Dataset of recordings in counts, scaled by lead; `about` are its other fields.

    Raises:
        EcgadvError: there is no recording.
    """
    signals = list(signals)
    if not signals:
        raise EcgadvError(f"{about['name']}: no recording with one label: fetch more of it")
    x, start, unit = arrange(signals, length=length, most=most)
    return Dataset(
        x=x,
        start=start,
        length=length - start,
        unit_mv=unit / COUNTS_PER_MV,
        onset=np.zeros(len(x)),
        unit=UNIT,
        fs=float(fs),
        **about,
    )
