"""Attack losses and their input gradients, and the checks every attack makes at its entry.

The gradient of a loss to the logits is written out, because an ascent step needs no loss value:
the chain rule through the network starts from it.
"""

import torch
from torch import Tensor, nn

from ecgadv.errors import EcgadvError
from ecgadv.models import forward
from ecgadv.threat import Threat


def attack_loss(loss: str, logits: Tensor, y: Tensor) -> Tensor:
    """Return the loss (..., B) that an attack raises, from logits (..., B, K) and y (..., B).

    "ce" is the cross-entropy; "margin" is max_{i != y} z_i - z_y, positive once misclassified.
    """
    target = y.unsqueeze(-1)
    z_y = logits.gather(-1, target).squeeze(-1)
    if loss == "ce":
        return logits.logsumexp(-1) - z_y
    return logits.scatter(-1, target, -torch.inf).amax(-1) - z_y


def logit_gradient(loss: str, logits: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of `attack_loss` to the logits, (..., B, K)."""
    target = y.unsqueeze(-1)
    one_hot = torch.zeros_like(logits).scatter_(-1, target, 1.0)
    if loss == "ce":
        return torch.softmax(logits, -1).sub_(one_hot)
    runner_up = logits.scatter(-1, target, -torch.inf).argmax(-1, keepdim=True)
    return one_hot.neg_().scatter_(-1, runner_up, 1.0)


def ascend(
    model: nn.Module, x_adv: Tensor, y: Tensor, mask: Tensor | None, loss: str
) -> tuple[Tensor, Tensor]:
    """Return the logits (..., B, K) at `x_adv` and the gradient of the summed loss to it.

    `x_adv` must require its gradient. The sum over samples leaves each its own gradient.
    """
    with torch.enable_grad():
        logits = forward(model, x_adv, mask)
    detached = logits.detach()
    (gradient,) = torch.autograd.grad(logits, x_adv, logit_gradient(loss, detached, y))
    return detached, gradient


def unit_gradient(gradient: Tensor) -> Tensor:
    """Return each sample's gradient (..., B, C, L) scaled to length 1; a zero one stays zero."""
    tiny = torch.finfo(gradient.dtype).tiny
    # First by the largest value: squares of a confident network's gradient would underflow.
    scaled = gradient / gradient.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(tiny)
    return scaled / torch.linalg.vector_norm(scaled, dim=(-2, -1), keepdim=True).clamp_min(tiny)


def check_options(*, loss: str = "ce", step_size: float = 1.0, **counts: int) -> None:
    """Raise EcgadvError for an unknown loss, a step size <= 0, or a count that is not >= 1."""
    if loss not in ("ce", "margin"):
        raise EcgadvError(f"unknown attack loss {loss!r}; choose one of ce, margin")
    if not 0 < step_size < float("inf"):
        raise EcgadvError(f"step_size is {step_size}; give a finite number above 0, in units of x")
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise EcgadvError(f"{name} is {count!r}; give a whole number of at least 1")


def check_shapes(x: Tensor, y: Tensor, mask: Tensor | None) -> None:
    """Raise EcgadvError unless x is (..., B, C, L), y (..., B) and mask bool (..., B, 1, L)."""
    if x.dim() < 3 or not x.is_floating_point():
        raise EcgadvError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; give floats of shape (batch, leads, time)"
        )
    if y.shape != x.shape[:-2]:
        raise EcgadvError(
            f"y of shape {tuple(y.shape)} does not match x of shape {tuple(x.shape)}; give one "
            f"label per sample, shape {tuple(x.shape[:-2])}"
        )
    if mask is None:
        return
    if mask.dtype != torch.bool or mask.dim() < 3 or mask.shape[-1] != x.shape[-1]:
        raise EcgadvError(
            f"mask is {mask.dtype} of shape {tuple(mask.shape)}; give bool of shape "
            f"{(*x.shape[:-2], 1, x.shape[-1])}, True where the recording is"
        )


def check_values(x: Tensor, threat: Threat) -> None:
    """Raise EcgadvError if x holds a NaN or infinity, or lies outside the threat's bounds.

    This waits for the device, so the training path (keep="last") leaves it out.
    """
    if not bool(torch.isfinite(x).all()):
        count = int((~torch.isfinite(x)).sum())
        raise EcgadvError(f"x holds {count} values that are not finite; repair or drop them first")
    if bool(threat.at(0.0).violations(x, x).any()):
        raise EcgadvError(
            f"x spans {float(x.min()):.4g} to {float(x.max()):.4g}, outside the bounds "
            f"{threat.low} to {threat.high}; widen the bounds or clip the signal first"
        )
