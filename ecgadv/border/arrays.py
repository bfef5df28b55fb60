"""Arrays: whole numbers, classes and flags, from NumPy, torch or a list.

Without torch, because data is read without it.
"""

import numpy as np

from ecgadv.errors import EcgadvError

BROKEN, HELD, NOT_ATTACKED = 0, 1, 255
OWNED = ("C", "W")  # contiguous and writable, as torch wants what it shares with NumPy

TOO_LARGE = np.float64(2**63)  # for int64


def array(name: str, values) -> np.ndarray:
    """Return values as an array in this machine's byte order, from whatever device."""
    try:
        found = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    except (TypeError, ValueError) as error:
        raise EcgadvError(f"{name}: {str(error).splitlines()[0]}; give an array") from None
    unmasked(name, values)
    if found.dtype.kind not in "biuf":
        raise EcgadvError(f"{name} holds {found.dtype}; give numbers")
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def unmasked(name: str, values) -> None:
    """Raise EcgadvError for values of which NumPy hides some: they would count all the same."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise EcgadvError(f"{name} is a masked array, whose mask would be lost; fill it first")


def whole(name: str, values) -> np.ndarray:
    """Return whole numbers as int64; floats that are whole pass, .9 does not become 0."""
    found = array(name, values)
    if found.dtype.kind == "f":
        odd = ~np.isfinite(found) | (found != np.round(found))
        if odd.any():
            raise EcgadvError(f"{name} holds {found[odd][0]}; give whole numbers")
    large = np.abs(found) >= TOO_LARGE if found.dtype.kind in "fu" else np.False_
    if large.any():
        raise EcgadvError(f"{name} holds {found[large][0]}; give whole numbers below 2**63")
    return np.ascontiguousarray(found, np.int64).reshape(found.shape)


def classes(name: str, values, n_classes: int | None = None) -> np.ndarray:
    """Return one class number for each of at least one example, int64 (N,), 0 to n_classes - 1."""
    found = whole(name, values)
    if found.ndim != 1 or not len(found):
        raise EcgadvError(f"{name} of shape {found.shape}; give at least one, as (N,)")
    if n_classes is not None:
        wrong = (found < 0) | (found >= n_classes)
        if wrong.any():
            raise EcgadvError(f"{name} {found[wrong][0]}; classes run from 0 to {n_classes - 1}")
    return found


def flags(held, *, name: str = "held") -> np.ndarray:
    """Return flags as uint8 after checking that they hold nothing but 0, 1 and 255."""
    found = array(name, held)
    wrong = ~np.isin(found, (BROKEN, HELD, NOT_ATTACKED))
    if wrong.any():
        raise EcgadvError(
            f"flag {found[wrong][0]} in {name!r}; flags are 1 held, 0 broken, 255 not attacked"
        )
    return found.astype(np.uint8)


def one_each(name: str, values, of, *, what: str = "labels") -> None:
    """Raise EcgadvError unless there is one value (N,) for each of the N others."""
    if tuple(values.shape) != tuple(of.shape[:1]):
        found = len(values) if values.ndim == 1 else f"shape {tuple(values.shape)} of"
        raise EcgadvError(f"{found} {name} for {len(of)} {what}; give one each, as ({len(of)},)")
