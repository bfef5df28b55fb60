"""The embedded synthetic set: beats of five classes made from sums of Gaussian waves.

It lets a fresh clone run everything in minutes. It is not a recording of anybody, and no result on
it is evidence about a paper's claim. Idea: McSharry et al., IEEE Trans. Biomed. Eng. 50(3), 2003,
who place Gaussian P, Q, R, S and T waves along the beat; the classes and numbers here are our own.
"""

import functools

import numpy as np

from ecgadv.data import beats

PATIENTS = 40
BEATS = 152  # a patient; the first and the last are not cut
GAIN = 200.0  # counts per millivolt, as in MIT-BIH
SEED = 20_220_317
SHARES = (0.48, 0.16, 0.14, 0.10, 0.12)  # of N, S, V, F, Q over all patients

LABELS = "synthetic 2"
NOTE = (
    "Synthetic beats from sums of Gaussian waves, for demonstration and tests only: never evidence "
    "about real electrocardiograms."
)

# Waves P, Q, R, S, T of each class as (amplitude mV, centre in ms from R, width (one sigma) in ms).
# V and Q have no P; F is a mixture of N and V and is drawn beat by beat.
_WAVES = {
    "N": ((0.14, -165, 22), (-0.10, -30, 9), (1.10, 0, 12), (-0.20, 30, 11), (0.34, 260, 45)),
    "S": ((0.05, -125, 18), (-0.09, -30, 9), (1.00, 0, 12), (-0.42, 42, 17), (0.14, 225, 38)),
    "V": ((0.00, -165, 22), (-0.12, -55, 18), (1.25, 0, 32), (-0.70, 90, 36), (-0.38, 290, 55)),
    "Q": ((0.00, -165, 22), (-0.30, -40, 8), (0.95, 0, 22), (-0.80, 55, 22), (0.30, 300, 70)),
}
# RR before and after a beat of each class, in units of the patient's RR.
_BEFORE = {"N": 1.0, "S": 0.78, "V": 0.74, "F": 0.95, "Q": 1.0}
_AFTER = {"N": 1.0, "S": 1.14, "V": 1.22, "F": 1.04, "Q": 1.0}
_REACH = 192  # samples (533 ms) drawn to each side of a wave's centre
FS = beats.RECORDED_FS  # Hz, of the signals that beats are cut from


def load():
    """The synthetic Dataset: 6,000 beats of 40 patients, the same on every call and platform."""
    own = {key: values.copy() for key, values in _rows().items()}
    return beats.assemble(own, name="synthetic", labels=LABELS, note=NOTE)


@functools.cache
def _rows():
    """The arrays that `beats.assemble` takes; a process draws them once."""
    # The stream of RandomState is frozen for good (NEP 19), and counts are rounded to integers.
    rng = np.random.RandomState(SEED)
    parts = [_patient(rng, f"p{number:02d}") for number in range(PATIENTS)]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _patient(rng, name):
    """Beats of one patient, in the arrays that `beats.assemble` takes."""
    shares = rng.dirichlet(12 * np.array(SHARES))
    y = rng.choice(len(SHARES), size=BEATS, p=shares)
    rr = rng.uniform(0.62, 1.05) * FS
    peaks = _rhythm(rng, y, rr)
    signal = _signal(rng, y, peaks, rr)
    inner = slice(1, -1)
    found = beats.cut(signal, peaks, np.arange(BEATS) % (BEATS - 1) > 0)
    return {
        **found,
        "y": y[inner],
        "record": np.full(BEATS - 2, name),
        "gain": np.full(BEATS - 2, GAIN),
    }


def _rhythm(rng, y, rr):
    """R peaks (n,) in samples: early S and V beats, a pause after V, a few per cent of jitter."""
    before = np.array([_BEFORE[name] for name in beats.CLASSES])[y[1:]]
    after = np.array([_AFTER[name] for name in beats.CLASSES])[y[:-1]]
    jitter = 1 + 0.04 * rng.randn(len(y) - 1)
    intervals = rr * np.clip(before * after * jitter, 0.6, 1.5)
    return _REACH + np.concatenate([[0], np.cumsum(np.rint(intervals).astype(np.int64))])


def _signal(rng, y, peaks, rr):
    """A/D counts (T,) of a whole recording: waves, wandering baseline, mains hum and noise."""
    waves = _draw_waves(rng, y, rr)  # (n, 5, 3)
    amplitude, centre, width = np.moveaxis(waves, -1, 0)
    centre = peaks[:, None] + centre * FS / 1000
    nearest = np.rint(centre).astype(np.int64)
    index = nearest[..., None] + np.arange(-_REACH, _REACH + 1)
    z = (index - centre[..., None]) / (width * FS / 1000)[..., None]
    value = amplitude[..., None] * np.exp(-0.5 * z**2)
    n = int(peaks[-1]) + 2 * FS
    inside = (index >= 0) & (index < n)
    signal = np.bincount(index[inside], value[inside], n)
    seconds = np.arange(n) / FS
    drift = rng.uniform(0.02, 0.10) * np.sin(2 * np.pi * (rng.uniform(0.15, 0.4) * seconds))
    hum = rng.uniform(0.0, 0.02) * np.sin(2 * np.pi * 50 * seconds + rng.uniform(0, 2 * np.pi))
    noise = rng.uniform(0.01, 0.03) * rng.randn(n)
    return np.rint(GAIN * (signal + drift + hum + noise)).astype(np.int64)


def _draw_waves(rng, y, rr):
    """Waves of every beat, (n, 5, 3): the class's own, changed per patient and again per beat."""
    table = {name: np.array(waves, dtype=float) for name, waves in _WAVES.items()}
    person = {name: waves * _spread(rng, waves.shape, 0.13) for name, waves in table.items()}
    size = rng.uniform(0.7, 1.5)
    out = np.empty((len(y), 5, 3))
    for beat, label in enumerate(y):
        name = beats.CLASSES[label]
        if name == "F":
            share = rng.uniform(0.35, 0.65)
            waves = share * person["N"] + (1 - share) * person["V"]
        else:
            waves = person[name]
        out[beat] = waves * _spread(rng, waves.shape, 0.075)
    out[..., 0] *= size
    out[:, 4, 1] *= np.sqrt(rr / (0.8 * FS))  # a faster heart repolarises sooner (Bazett)
    return out


def _spread(rng, shape, sigma):
    """Positive factors about 1."""
    return np.exp(sigma * rng.randn(*shape))
