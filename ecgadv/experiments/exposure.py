"""What of a test set is attacked, and how far: shared by the attacks and the proof."""

import numpy as np
import torch
from torch import Tensor

from ecgadv.threat import Threat

# The range a signal can take, by the unit of the data; None where there is no physical bound.
BOUNDS = {"normalised": (0.0, 1.0), "lead maximum": (-1.0, 1.0)}


def threat(unit: str, eps: float | Tensor, *, bounded: bool = True, norm: str = "linf") -> Threat:
    """Return the threat of that size on data in `unit`, clipped to its range if `bounded`."""
    low, high = BOUNDS.get(unit, (None, None)) if bounded else (None, None)
    return Threat(eps, norm=norm, low=low, high=high, unit=unit)


def of_leads(eps: float, leads: tuple[int, ...], count: int) -> float | Tensor:
    """Return eps on the leads named, rows of x, and 0 on the others, (1, C, 1); eps if none is."""
    if not leads:
        return eps
    budget = torch.zeros(1, count, 1)
    budget[:, list(leads)] = eps
    return budget


def in_microvolts(eps: float, unit_mv: np.ndarray) -> Tensor:
    """Return eps microvolts in units of x, from millivolts a unit (N, C): (N, C, 1)."""
    return torch.from_numpy(eps / 1000 / unit_mv).float().unsqueeze(-1)


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
