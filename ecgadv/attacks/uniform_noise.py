"""White noise: what chance alone does within the budget."""

import torch
from torch import Tensor, nn

from ecgadv.border import signals
from ecgadv.threat import Threat


def uniform_noise(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return x (..., B, C, L) plus one uniform draw from the budget, projected.

    For "linf" that is U(-eps, eps) and a clamp to the bounds, as in paper B. Neither the
    network nor the labels matter; they are arguments so that all attacks are called alike.

    Raises EcgadvError for bad shapes or values.
    """
    x, _, mask = signals.admit(x, y, threat, mask, generator, soft=True)
    return threat.random_start(x, mask=mask, generator=generator)
