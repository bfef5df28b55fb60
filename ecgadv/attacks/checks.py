"""What every attack checks before it starts: options, shapes and values."""

import math

import torch
from torch import Tensor

from ecgadv.attacks.gradient import LOSSES
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def check_options(
    *, loss: str = "ce", keep: str = "best", step_size: float = 1.0, **counts: int
) -> None:
    """Raise EcgadvError for an unknown loss or keep, a step size <= 0, or a count below 1."""
    if loss not in LOSSES:
        raise EcgadvError(f"unknown attack loss {loss!r}; choose one of {', '.join(LOSSES)}")
    if keep not in ("best", "last"):
        raise EcgadvError(f"unknown keep {keep!r}; choose one of best, last")
    if not 0 < step_size < math.inf:
        raise EcgadvError(f"step_size is {step_size}; give a finite number above 0, in units of x")
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise EcgadvError(f"{name} is {count!r}; give a whole number of at least 1")


def check_norm(attack: str, threat: Threat) -> None:
    """Raise EcgadvError if an attack that is made for "linf" gets another norm."""
    if threat.norm != "linf":
        raise EcgadvError(f"{attack} knows only norm 'linf', not {threat.norm!r}; use pgd for it")


def check_shapes(x: Tensor, y: Tensor, mask: Tensor | None) -> None:
    """Raise EcgadvError unless x is (..., B, C, L), y (..., B) and mask bool (..., B, 1, L).

    y may also be soft labels, floats (..., B, K).
    """
    if x.dim() < 3 or not x.is_floating_point():
        raise EcgadvError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; give floats of shape (batch, leads, time)"
        )
    samples = y.shape[:-1] if y.is_floating_point() else y.shape
    if samples != x.shape[:-2]:
        raise EcgadvError(
            f"y of shape {tuple(y.shape)} does not match x of shape {tuple(x.shape)}; give one "
            f"label per sample, shape {tuple(x.shape[:-2])}, or one row of probabilities"
        )
    wanted = (*x.shape[:-2], 1, x.shape[-1])
    if mask is not None and (mask.dtype != torch.bool or mask.shape != wanted):
        raise EcgadvError(
            f"mask is {mask.dtype} of shape {tuple(mask.shape)}; give bool of shape {wanted}, "
            "True where the recording is"
        )


def check_values(x: Tensor, threat: Threat) -> None:
    """Raise EcgadvError if x holds a NaN or infinity, or lies outside the threat's bounds.

    This waits for the device, so the training path (keep="last") leaves it out.
    """
    finite = torch.isfinite(x)
    if not bool(finite.all()):
        raise EcgadvError(
            f"x holds {int((~finite).sum())} values that are not finite; repair or drop them first"
        )
    if bool(threat.violations(x, x).any()):
        raise EcgadvError(
            f"x spans {float(x.min()):.4g} to {float(x.max()):.4g}, outside the bounds "
            f"{threat.low} to {threat.high}; widen the bounds or clip the signal first"
        )


def check_gradient(gradient: Tensor) -> None:
    """Raise EcgadvError if the gradient (or its sum, which shows a NaN too) is NaN.

    The sign of NaN is 0, so without this check a broken gradient would look like robustness.
    """
    if bool(torch.isnan(gradient).any()):
        raise EcgadvError(
            "the network's input gradient became NaN during the attack; check its weights and "
            "operations (a square root or a logarithm at 0 is the usual cause)"
        )
