"""No defense: mean cross-entropy, the baseline of both papers."""

import torch.nn.functional as F
from torch import Tensor, nn

from ecgadv.models import forward


def mean_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy averaged over the batch and summed over leading seeds.

    Args:
        logits: (..., B, K).
        y: labels (..., B).
    """
    total = F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="sum")
    return total / y.shape[-1]


def loss(model: nn.Module, x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of x (..., B, C, L) with labels y (..., B)."""
    return mean_cross_entropy(forward(model, x, mask), y)
