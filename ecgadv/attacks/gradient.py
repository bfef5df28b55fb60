"""Attack losses and their gradient to the input.

The gradient of a loss to the logits is written out, because an ascent step needs no loss value:
the chain rule through the network starts from it.
"""

import torch
from torch import Tensor, nn

from ecgadv.models import forward

LOSSES = ("ce", "margin")


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


def input_gradient(
    model: nn.Module, x_adv: Tensor, y: Tensor, mask: Tensor | None, loss: str
) -> tuple[Tensor, Tensor]:
    """Return the logits (..., B, K) at `x_adv` and the gradient of the summed loss to it.

    `x_adv` must require its gradient. The sum over samples leaves each its own gradient.
    """
    with torch.enable_grad():
        logits = forward(model, x_adv, mask)
    values = logits.detach()
    (gradient,) = torch.autograd.grad(logits, x_adv, logit_gradient(loss, values, y))
    return values, gradient


def unit_gradient(gradient: Tensor) -> Tensor:
    """Return each sample's gradient (..., B, C, L) scaled to length 1; a zero one stays zero."""
    tiny = torch.finfo(gradient.dtype).tiny
    # First by the largest value: squares of a confident network's gradient would underflow.
    scaled = gradient / gradient.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(tiny)
    return scaled / torch.linalg.vector_norm(scaled, dim=(-2, -1), keepdim=True).clamp_min(tiny)
