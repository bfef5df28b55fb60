"""Fast gradient sign method (Goodfellow et al., ICLR 2015, equation 1)."""

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import LOSSES, input_gradient, misread, unit_gradient
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked, refuse_nan, warn_of_flat
from ecgadv.threat import Threat


def fgsm(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    loss: str = "ce",
) -> Tensor:
    """Return x (..., B, C, L) moved by one step of the whole budget along the gradient at x.

    The step goes along the sign of the gradient for "linf", along the gradient scaled to
    length eps for "l2", and is then projected. Where the gradient is zero nothing moves.

    Arguments:
        x, y, mask: signals (..., B, C, L), labels (..., B), True where the recording is.
        generator: unused, as nothing is random; here so that all attacks are called alike.
        loss: "ce" (cross-entropy), "margin" (max_{i != y} z_i - z_y) or "dlr" (`attack_loss`).

    Raises EcgadvError for an unknown loss, bad shapes or values, and for a NaN gradient.
    """
    options.word("attack loss", loss, LOSSES)
    x, y, mask = signals.admit(x, y, threat, mask, generator, soft=loss == "ce")
    with attacked(model, y) as network, torch.no_grad():
        logits, gradient = input_gradient(network, x.clone().requires_grad_(), y, mask, loss)
        refuse_nan(gradient)
        if not y.is_floating_point():
            flat = (gradient == 0).flatten(-2).all(-1) & ~misread(logits, y)
            warn_of_flat(flat, of=flat.numel(), loss=loss)
        if mask is not None:
            gradient = torch.where(mask, gradient, 0.0)
        direction = gradient.sign() if threat.norm == "linf" else unit_gradient(gradient)
        return threat.project(x + torch.as_tensor(threat.eps).to(x) * direction, x, mask)
