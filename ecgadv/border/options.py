"""Options: whole numbers, sizes, words, and the levels of a threat."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

from ecgadv.border import arrays
from ecgadv.errors import EcgadvError


def whole(name: str, value, *, least: int = 1) -> int:
    """Return a whole number, NumPy's too, as an int; True is none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise EcgadvError(f"{name} is {value!r}; give a whole number of at least {least}")
    return int(value)


def size(name: str, value, *, most: float = math.inf, what: str = "in units of x") -> float:
    """Return a finite number above 0 and at most `most` as a float."""
    if _is_number(value) and 0 < value <= most and value < math.inf:
        return float(value)
    limit = "a finite number above 0" if most == math.inf else f"a number above 0, at most {most}"
    raise EcgadvError(f"{name} is {value}; give {limit}, {what}")


def word(name: str, value, allowed: Sequence[str]) -> str:
    """Return one of the words that are allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise EcgadvError(f"unknown {name} {value!r}; choose one of {', '.join(allowed)}")
    return value


def level(name: str, value) -> float | Tensor:
    """Return a level of signals (..., B, C, L): a float, or a tensor that says which is whose.

    Values of fewer than three dimensions are refused: a row of B could be one of L.
    """
    if _is_number(value):
        return float(value)
    if isinstance(value, np.ndarray | list | tuple):
        value = _tensor(name, value)
    if not isinstance(value, Tensor) or value.is_complex() or value.dtype == torch.bool:
        raise EcgadvError(f"{name} is {value!r}; give a number, or a tensor of shape (B, 1, 1)")
    if value.numel() == 1:
        return float(value)
    if value.dim() < 3:
        raise EcgadvError(
            f"{name} has shape {tuple(value.shape)}, which could mean samples, leads or time; "
            "give a number, (B, 1, 1) for each sample or (1, C, 1) for each lead"
        )
    return value.detach()


def generator(value) -> torch.Generator | None:
    """Return a generator, or None for torch's own."""
    if value is not None and not isinstance(value, torch.Generator):
        raise EcgadvError(
            f"generator is {value!r}; give torch.Generator().manual_seed(0), or None for torch's"
        )
    return value


def _is_number(value) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
    return True


def _tensor(name: str, value) -> Tensor:
    arrays.unmasked(name, value)
    try:
        return torch.as_tensor(np.require(value, None, arrays.OWNED))
    except (TypeError, ValueError):
        raise EcgadvError(f"{name} is {value!r}; give numbers alone") from None
