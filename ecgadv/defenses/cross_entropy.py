"""Cross-entropy with labels or soft labels: no defense, and distillation's student.

Without options `loss` is the baseline of both papers. With a temperature T it is paper A's
S_q(x) = -sum_c q_c log softmax(z(x) / T)_c, which trains the teacher of defensive distillation on
labels and its student on the soft labels of `ecgadv.defenses.distillation` (PROTOCOLS 2.4).
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ecgadv.errors import EcgadvError
from ecgadv.models import forward


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Return logits / temperature; EcgadvError unless the temperature is finite and above 0."""
    if not 0 < temperature < math.inf:
        raise EcgadvError(f"temperature is {temperature}; give a finite number above 0")
    return logits / temperature


def mean_cross_entropy(logits: Tensor, y: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the cross-entropy averaged over the batch and summed over leading seeds.

    Args:
        logits: (..., B, K).
        y: labels (..., B), or soft labels (..., B, K), the probabilities of the classes.
        temperature: what the logits are divided by.
    """
    leading = logits.dim() - 2
    flat = tempered(logits, temperature).flatten(0, leading)
    return F.cross_entropy(flat, y.flatten(0, leading), reduction="sum") / logits.shape[-2]


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    temperature: float = 1.0,
    summed: bool = False,
) -> Tensor:
    """Return the mean cross-entropy of x (..., B, C, L) with labels or soft labels y.

    Args:
        temperature: T, what the logits are divided by.
        summed: sum over the batch instead, as paper A's authors do in distillation (row A6).
    """
    mean = mean_cross_entropy(forward(model, x, mask), y, temperature)
    return mean * x.shape[-3] if summed else mean
