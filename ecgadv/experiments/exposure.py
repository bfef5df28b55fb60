"""What of a test set is attacked, and how far: shared by the attacks and the proof."""

import numpy as np

from ecgadv.threat import Threat

# The range a signal can take, by the unit of the data; None where there is no physical bound.
BOUNDS = {"normalised": (0.0, 1.0)}


def threat(unit: str, eps: float, *, bounded: bool = True, norm: str = "linf") -> Threat:
    """Return the threat of that size on data in `unit`, clipped to its range if `bounded`."""
    low, high = BOUNDS.get(unit, (None, None)) if bounded else (None, None)
    return Threat(eps, norm=norm, low=low, high=high, unit=unit)


def subset(y: np.ndarray, per_class: int | None) -> np.ndarray:
    """Return which test examples are attacked: all, or the same random few of each class."""
    chosen = np.ones(len(y), bool)
    if per_class is None:
        return chosen
    rng = np.random.default_rng(0)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        chosen[members[per_class:]] = False
    return chosen
