"""What of a test set is attacked, and how far: shared by the attacks and the proof."""

import numpy as np
import torch
from torch import Tensor

from ecgadv.data import Dataset, Split
from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import Attack, Config
from ecgadv.experiments.session import Session
from ecgadv.threat import Threat

# The range a signal can take, by the unit of the data; None where there is no physical bound.
BOUNDS = {"normalised": (0.0, 1.0), "lead maximum": (-1.0, 1.0)}


def threat(unit: str, eps: float | Tensor, *, bounded: bool = True) -> Threat:
    """Return the "linf" threat of size eps on data in `unit`, within its range if `bounded`."""
    low, high = BOUNDS.get(unit, (None, None)) if bounded else (None, None)
    return Threat(eps, low=low, high=high, unit=unit)


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


def threat_of(attack: Attack, eps: float, dataset: Dataset, index: np.ndarray) -> Threat:
    """Return the threat of an attack of a config, at one eps, on the examples at `index`."""
    if attack.unit == "uV":
        eps = in_microvolts(eps, dataset.unit_mv[index])
    elif attack.unit:
        raise EcgadvError(f"attack {attack.name}: eps in {attack.unit!r}; give uV or nothing")
    budget = of_leads(1.0, attack.leads, dataset.x.shape[1]) * eps
    return threat(dataset.unit, budget, bounded=attack.bounded)


def tested(
    config: Config, dataset: Dataset, parts: Split, session: Session
) -> tuple[Dataset, np.ndarray]:
    """Return the dataset that the test part of a config is of, and its indices."""
    if not config.tested_on:
        return dataset, parts.test
    if config.tested_on == "validation":
        return dataset, parts.validation
    found = session.dataset(config.tested_on)
    if (found.classes, found.unit) != (dataset.classes, dataset.unit):
        raise EcgadvError(
            f"{config.label}: {found.name} has classes {', '.join(found.classes)} in "
            f"{found.unit}, {dataset.name} others; choose a dataset like it"
        )
    return found, np.arange(len(found))


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
