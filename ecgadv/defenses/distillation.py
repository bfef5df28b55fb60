"""The soft labels that a teacher gives its student (PROTOCOLS 2.4, rows A4 and A5).

The student's loss is `cross_entropy.loss` in defensive distillation (Papernot et al., IEEE S&P
2016) and `adversarial.loss` in paper A's ADT, with these labels and the same temperature.
"""

import copy

import torch
from torch import Tensor, nn

from ecgadv.defenses.cross_entropy import tempered
from ecgadv.models import forward


@torch.no_grad()
def soft_labels(
    teacher: nn.Module,
    x: Tensor,
    *,
    temperature: float,
    train_mode: bool,
    mask: Tensor | None = None,
    batch_size: int = 16,
) -> Tensor:
    """Return q = softmax(z(x) / T) of the teacher, (..., N, K); the teacher stays as it was.

    Args:
        x: clean recordings (..., N, C, L).
        temperature: T.
        train_mode: leave the teacher in training mode, as paper A's authors do (row A4): each
            label is one draw of dropout, from torch's global generator, which the caller seeds,
            and depends on the batch through its statistics. False gives the teacher's
            predictions.
        batch_size: samples that share their batch statistics, taken in the order of x.
    """
    network = copy.deepcopy(teacher).train(train_mode)  # its running statistics move
    parts = x.split(batch_size, dim=-3)
    masks = [None] * len(parts) if mask is None else mask.split(batch_size, dim=-3)
    logits = [forward(network, *part) for part in zip(parts, masks, strict=True)]
    return tempered(torch.cat(logits, dim=-2), temperature).softmax(-1)
