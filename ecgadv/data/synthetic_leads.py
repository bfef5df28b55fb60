"""The embedded synthetic recordings of twelve leads: nine classes from a heart's moving dipole.

They are not recordings of anybody, and no result on them is evidence about a paper's claim. Each
wave of a beat is a Gaussian bump of a dipole in space (as in McSharry et al., IEEE Trans. Biomed.
Eng. 50(3), 2003, and for twelve leads Clifford et al., IEEE Trans. Biomed. Eng. 57(10), 2010), and
Dower's matrix (Dower et al., J. Electrocardiol. 13, 1980) turns the dipole into leads. The classes'
numbers are our own.
"""

import numpy as np

from ecgadv.data import leads
from ecgadv.data.cpsc2018 import CLASSES

FS = 100  # Hz
SECONDS = 10
PEOPLE = 60  # of each class, a recording each; a tenth of them in each fold
SEED = 20_180_101
LABELS = "synthetic-12 1"
NOTE = (
    "Synthetic recordings of twelve leads from a moving dipole, for demonstration and tests only: "
    "never evidence about real electrocardiograms."
)
# Leads I, II, V1 to V6 from the dipole's components to the left, the feet and the back.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)
# Waves P, Q, R, S, ST, T: centre and width (one sigma) in ms from R, dipole in mV.
_NORMAL = (
    (-160, 20, (0.06, 0.12, -0.03)),
    (-26, 8, (-0.10, 0.02, -0.18)),
    (0, 11, (0.85, 0.75, 0.20)),
    (26, 11, (-0.15, -0.10, 0.55)),
    (110, 45, (0.00, 0.00, 0.00)),
    (260, 45, (0.26, 0.22, -0.18)),
)
_P, _Q, _R, _S, _ST, _T = range(6)
# What a class changes of them, by wave: (centre, width, dipole).
_CHANGES = {
    "N": {},
    "AF": {_P: (-160, 20, (0.0, 0.0, 0.0))},
    "I-AVB": {_P: (-290, 20, (0.06, 0.12, -0.03))},
    "LBBB": {
        _Q: (-30, 14, (0.30, 0.10, 0.30)),
        _R: (15, 26, (0.80, 0.25, 0.75)),
        _S: (60, 20, (0.35, 0.05, 0.35)),
        _T: (290, 55, (-0.35, -0.10, -0.35)),
    },
    "RBBB": {_S: (52, 22, (-0.45, -0.05, -0.55)), _T: (280, 50, (0.28, 0.20, 0.10))},
    "STD": {_ST: (120, 55, (-0.16, -0.14, 0.10))},
    "STE": {_ST: (120, 60, (0.12, 0.08, -0.26))},
}
# Early beats: PAC comes with another P and a usual QRS, PVC without P and wide.
_EARLY = {
    "PAC": {_P: (-115, 16, (-0.05, -0.10, -0.02))},
    "PVC": {
        _P: (-160, 20, (0.0, 0.0, 0.0)),
        _Q: (-45, 20, (-0.25, 0.30, -0.25)),
        _R: (0, 34, (-0.80, 0.95, -0.55)),
        _S: (75, 30, (0.35, -0.45, 0.40)),
        _T: (300, 60, (0.40, -0.45, 0.30)),
    },
}


def load():
    """The synthetic Dataset: 540 recordings (8, 1000), the same on every call and platform."""
    # The stream of RandomState is frozen for good (NEP 19), and counts are rounded to integers.
    rng = np.random.RandomState(SEED)
    y = np.repeat(np.arange(len(CLASSES)), PEOPLE)
    signals = [_recording(rng, CLASSES[label]) for label in y]
    person = np.arange(len(y))
    return leads.dataset(
        signals,
        length=FS * SECONDS,
        fs=FS,
        name="synthetic-12",
        y=y,
        record=np.array([f"s{number:03d}" for number in person]),
        classes=CLASSES,
        labels=LABELS,
        note=NOTE,
        facts={"patient": person, "fold": person % 10 + 1},
    )


def _recording(rng, name):
    """Counts (8, T) of one person, whose waves, axis, rate, baseline and noise are his own."""
    time = np.arange(FS * SECONDS) / FS
    peaks, early = _rhythm(rng, name)
    usual, other = _waves(rng, _CHANGES.get(name, {})), _waves(rng, _EARLY.get(name, {}))
    beats = [
        (peak, other if is_early else usual) for peak, is_early in zip(peaks, early, strict=True)
    ]
    centre = np.concatenate([peak + centres / 1000 for peak, (centres, _, _) in beats])
    width = np.concatenate([widths / 1000 for _, (_, widths, _) in beats])
    vector = np.concatenate([vectors for _, (_, _, vectors) in beats])
    dipole = vector.T @ np.exp(-0.5 * ((time - centre[:, None]) / width[:, None]) ** 2)
    if name == "AF":  # the atria's own waves in place of P
        phase = 2 * np.pi * (rng.uniform(5, 8) * time + 0.4 * np.sin(2 * np.pi * 0.7 * time))
        dipole += np.outer(rng.uniform(0.02, 0.05) * np.array([0.3, 1.0, -0.8]), np.sin(phase))
    signal = rng.uniform(0.7, 1.4) * DOWER @ _turn(rng) @ dipole
    drift = np.sin(2 * np.pi * rng.uniform(0.1, 0.35) * time + rng.uniform(0, 6.28))
    signal += rng.uniform(0.0, 0.06, (8, 1)) * drift
    signal += rng.uniform(0.005, 0.02) * rng.standard_normal(signal.shape)
    return np.rint(leads.COUNTS_PER_MV * signal).astype(np.int16)


def _rhythm(rng, name):
    """Times of the R peaks in seconds, and which beats are early ones, bool."""
    rr = rng.uniform(0.65, 1.05)
    count = int(SECONDS / rr) + 3
    jitter = rng.uniform(-0.3, 0.5, count) if name == "AF" else 0.03 * rng.standard_normal(count)
    factor, early = 1 + jitter, np.zeros(count, bool)
    if name in _EARLY:
        early[rng.randint(2, 4) :: rng.randint(3, 6)] = True
        factor[np.flatnonzero(early) - 1] *= 0.68
        factor[early] *= 1.25 if name == "PVC" else 1.05
    return np.cumsum(np.concatenate([[rng.uniform(-0.4, 0.3)], rr * factor[:-1]])), early


def _waves(rng, changes):
    """A class's waves in one person: centres and widths (6,) in ms, dipoles (6, 3) in mV."""
    table = [changes.get(wave, usual) for wave, usual in enumerate(_NORMAL)]
    centre, width, vector = (np.array(column, float) for column in zip(*table, strict=True))
    return (
        centre * np.exp(0.06 * rng.standard_normal(len(centre))),
        width * np.exp(0.08 * rng.standard_normal(len(width))),
        vector * np.exp(0.15 * rng.standard_normal(vector.shape)),
    )


def _turn(rng):
    """A small rotation in space, (3, 3): hearts do not all lie alike."""
    a, b = 0.2 * rng.standard_normal(2)
    around_back = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    around_feet = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    return around_back @ around_feet
