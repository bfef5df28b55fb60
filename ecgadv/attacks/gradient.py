"""Attack losses and their gradient to the input.

The gradient of a loss to the logits is written out, because an ascent step needs no loss value:
the chain rule through the network starts from it.
"""

import torch
from torch import Tensor, nn

from ecgadv.border.networks import forward, gradient_to
from ecgadv.errors import EcgadvError
from ecgadv.threat import l2_length

LOSSES = ("ce", "margin", "dlr", "soft-margin")


def attack_loss(loss: str, logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """Return the loss (..., B) that an attack raises, from logits (..., B, K) and y (..., B).

    "ce" is the cross-entropy; "margin" is max_{i != y} z_i - z_y, positive once misclassified,
    or z_t - z_y where the attack aims at classes t, `target` (..., B). "dlr", the difference of
    logits ratio (Croce and Hein, ICML 2020, section 4), divides the margin by z_pi1 - z_pi3, with
    a target by z_pi1 - (z_pi3 + z_pi4) / 2, where pi sorts the logits from the largest down: no
    rescaling of the logits changes it. Where that divisor is 0 it is the margin. "soft-margin" is
    logsumexp_{i != y} z_i - z_y, with which paper B trains on CPSC2018; it takes no target.

    Labels of several classes at once are signs y (..., B, K), see `misread`: "ce" is then the sum
    of the labels' cross-entropies, "margin" the largest -sign(y_k) z_k of those that count.

    Raises EcgadvError for "dlr" with fewer than three classes, four with a target.
    """
    if y.dim() == logits.dim():
        return _loss_of_signs(loss, logits, y)
    label = y.unsqueeze(-1)
    z_y = logits.gather(-1, label).squeeze(-1)
    if loss == "ce":
        return logits.logsumexp(-1) - z_y
    if loss == "soft-margin":
        return logits.scatter(-1, label, -torch.inf).logsumexp(-1) - z_y
    if target is None:
        margin = logits.scatter(-1, label, -torch.inf).amax(-1) - z_y
    else:
        margin = logits.gather(-1, target.unsqueeze(-1)).squeeze(-1) - z_y
    if loss == "margin":
        return margin
    spread, _ = _spread(logits, targeted=target is not None)
    return margin / spread.masked_fill(spread == 0, 1.0)


def logit_gradient(loss: str, logits: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """Return the gradient of `attack_loss` to the logits, (..., B, K).

    Among equal logits "margin" and "dlr" take one that is largest. For "ce" y may also be soft
    labels, probabilities q (..., B, K) that sum to 1: the gradient of
    -sum_c q_c log softmax(z)_c is softmax(z) - q.

    Raises EcgadvError for "dlr" with too few classes.
    """
    if y.is_floating_point():
        return torch.softmax(logits, -1).sub_(y)
    if y.dim() == logits.dim():
        return _slope_of_signs(loss, logits, y)
    label = y.unsqueeze(-1)
    if loss == "dlr":
        return _dlr_gradient(logits, label, target)
    one_hot = torch.zeros_like(logits).scatter_(-1, label, 1.0)
    if loss == "ce":
        return torch.softmax(logits, -1).sub_(one_hot)
    if loss == "soft-margin":
        return torch.softmax(logits.scatter(-1, label, -torch.inf), -1).sub_(one_hot)
    if target is None:
        target = logits.scatter(-1, label, -torch.inf).argmax(-1)
    return one_hot.neg_().scatter_(-1, target.unsqueeze(-1), 1.0)


def misread(logits: Tensor, y: Tensor) -> Tensor:
    """Return bool (..., B): True where logits (..., B, K) do not say what the labels say.

    Arguments:
        y: one class each (..., B); or for sigmoid outputs, labels of several classes at once, their
            signs (..., B, K): above 0 where a logit must be so, below 0 where it must not, and 0
            where it does not count.
    """
    if y.dim() == logits.dim():
        return ((logits > 0) != (y > 0)).logical_and_(y != 0).any(-1)
    return logits.argmax(-1) != y


def _loss_of_signs(loss: str, logits: Tensor, y: Tensor) -> Tensor:
    against = -y.sign() * logits
    if loss == "ce":
        return torch.where(y == 0, 0.0, nn.functional.softplus(against)).sum(-1)
    _refuse_ranks(loss)
    return against.masked_fill(y == 0, -torch.inf).amax(-1)


def _slope_of_signs(loss: str, logits: Tensor, y: Tensor) -> Tensor:
    signs = y.sign().to(logits)
    if loss == "ce":
        return -signs * torch.sigmoid(-signs * logits)
    _refuse_ranks(loss)
    nearest = (-signs * logits).masked_fill(y == 0, -torch.inf).argmax(-1, keepdim=True)
    return torch.zeros_like(logits).scatter_(-1, nearest, -signs.gather(-1, nearest))


def _refuse_ranks(loss: str) -> None:
    if loss != "margin":
        raise EcgadvError(
            f"attack loss {loss!r} compares the classes of a softmax; for labels of several "
            "classes at once use loss='margin' or 'ce'"
        )


def _spread(logits: Tensor, *, targeted: bool) -> tuple[Tensor, Tensor]:
    """Return the divisor (..., B) of "dlr" and where the 3 or 4 largest logits are, in order."""
    largest = 4 if targeted else 3
    if logits.shape[-1] < largest:
        aim = "with targets" if targeted else "without a target"
        raise EcgadvError(
            f"attack loss 'dlr' {aim} needs {largest} classes or more, not {logits.shape[-1]}; "
            "use loss='margin'"
        )
    values, places = logits.topk(largest)
    return values[..., 0] - values[..., 2:].mean(-1), places


def _dlr_gradient(logits: Tensor, label: Tensor, target: Tensor | None) -> Tensor:
    """Return (m' - m / d d') / d, the gradient of margin m over divisor d; m' where d is 0."""
    spread, places = _spread(logits, targeted=target is not None)
    if target is None:
        # Of equal logits the one that has this rank in the divisor: else the slopes could cancel.
        first, second = places[..., :1], places[..., 1:2]
        other = torch.where(first == label, second, first)
    else:
        other = target.unsqueeze(-1)
    of_margin = torch.zeros_like(logits).scatter_(-1, label, -1.0).scatter_(-1, other, 1.0)
    of_spread = torch.zeros_like(logits).scatter_(-1, places[..., :1], 1.0)
    of_spread.scatter_(-1, places[..., 2:], -1.0 / (places.shape[-1] - 2))
    margin, spread = logits.gather(-1, other) - logits.gather(-1, label), spread.unsqueeze(-1)
    gradient = (of_margin - margin / spread * of_spread) / spread
    return torch.where(spread == 0, of_margin, gradient)


def input_gradient(
    model: nn.Module,
    x_adv: Tensor,
    y: Tensor,
    mask: Tensor | None,
    loss: str,
    target: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the logits (..., B, K) at `x_adv` and the gradient of the summed loss to it.

    `x_adv` must require its gradient; y and target are as in `logit_gradient`. The sum over
    samples leaves each its own gradient.
    """
    with torch.enable_grad():
        logits = forward(model, x_adv, mask)
    values = logits.detach()
    return values, gradient_to(x_adv, logits, logit_gradient(loss, values, y, target))


def unit_gradient(gradient: Tensor) -> Tensor:
    """Return each sample's gradient (..., B, C, L) scaled to length 1; a zero one stays zero."""
    tiny = torch.finfo(gradient.dtype).tiny
    # First by the largest value: squares of a confident network's gradient would underflow.
    scaled = gradient / gradient.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(tiny)
    return unit(scaled)


def unit(delta: Tensor) -> Tensor:
    """Return each sample of delta (..., B, C, L) scaled to length 1; a zero one stays zero."""
    return delta / l2_length(delta).clamp_min(torch.finfo(delta.dtype).tiny)
