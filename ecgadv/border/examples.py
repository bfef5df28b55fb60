"""Examples of an evaluation: as handed in, which are attacked, and what an attack made of them."""

import inspect
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ecgadv.border.arrays import OWNED, array, whole
from ecgadv.border.networks import home
from ecgadv.errors import EcgadvError

Array = np.ndarray | Tensor


def examples(model: Callable, x: Array, mask: Array | None) -> tuple[Tensor, Tensor | None]:
    """Return examples (N, C, L) and their mask (N, 1, L), or None, as tensors.

    They take the type of the network's parameters; of a network without any, arrays of float64
    and of whole numbers become float32.
    """
    stated = home(model)[1]
    if not isinstance(x, Tensor):
        found = array("examples", x)
        wide = found.dtype.kind != "f" or found.dtype.itemsize > 4
        x = torch.from_numpy(np.require(found, np.float32 if wide else None, OWNED))
    kind = x.dtype if x.layout == torch.strided else x.layout
    real = not x.is_complex() and x.dtype != torch.bool and x.layout == torch.strided
    if not real or x.dim() != 3 or 0 in x.shape:
        raise EcgadvError(
            f"examples of shape {tuple(x.shape)}, {kind}; give at least one, floats (N, C, L)"
        )
    x = x.detach().to(stated or (x.dtype if x.is_floating_point() else torch.float32))
    return x, None if mask is None else _mask(mask, x)


def _mask(mask: Array, x: Tensor) -> Tensor:
    if not isinstance(mask, Tensor):
        mask = torch.from_numpy(np.require(array("mask", mask), None, OWNED))
    if mask.dtype != torch.bool or mask.shape != (len(x), 1, x.shape[-1]):
        raise EcgadvError(
            f"mask is {mask.dtype} of shape {tuple(mask.shape)} for examples {tuple(x.shape)}; "
            "give bool (N, 1, L), True where the recording is"
        )
    return mask


def candidates(values: Array | None, n: int) -> Tensor:
    """Return the candidates, bool (n,) or indices, as sorted unique indices (M,) on the CPU."""
    if values is None:
        return torch.arange(n)
    found = array("candidates", values)
    if found.dtype == bool:
        if found.shape != (n,):
            raise EcgadvError(f"candidates of shape {found.shape}; give ({n},) bools")
        return torch.from_numpy(np.flatnonzero(found))
    found = np.unique(whole("candidates", found))
    if len(found) and not 0 <= found[0] <= found[-1] < n:
        wrong = found[0] if found[0] < 0 else found[-1]
        raise EcgadvError(f"candidate {wrong} is out of range; indices run from 0 to {n - 1}")
    return torch.from_numpy(found)


def called_alike(name: str, attack: Callable) -> None:
    """Raise EcgadvError for an attack that cannot be called as all are."""
    if not callable(attack):
        raise EcgadvError(f"the attack is {attack!r}; give a function, such as attacks.fgsm")
    try:
        inspect.signature(attack).bind(None, None, None, None, mask=None, generator=None)
    except TypeError as error:
        raise EcgadvError(
            f"attack {name!r}: {error}; it is called as attack(model, x, y, threat, mask=..., "
            "generator=...): give what else it needs by functools.partial"
        ) from None
    except ValueError:
        pass  # written in C, it shows no signature


def made(x_adv, x: Tensor) -> Tensor:
    """Return what an attack made of the signals x; EcgadvError unless they are examples like it."""
    if not isinstance(x_adv, Tensor) or x_adv.shape != x.shape or not x_adv.is_floating_point():
        found = f"a {type(x_adv).__name__}"
        if isinstance(x_adv, Tensor):
            found = f"{x_adv.dtype} of shape {tuple(x_adv.shape)}"
        raise EcgadvError(
            f"the attack returned {found}; it must return examples of the type and shape of x, "
            f"{x.dtype} {tuple(x.shape)}"
        )
    return x_adv.detach().to(x)
