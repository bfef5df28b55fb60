"""Jacobian regularization as paper B and paper A compare it (PROTOCOLS 3.4 and 2.4)."""

import torch
from torch import Tensor, nn

from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.errors import EcgadvError
from ecgadv.models import forward, pullback
from ecgadv.models.slopes import Pull


def penalty(logits: Tensor, pull: Pull, *, norm: str, divisor: int) -> Tensor:
    """Return `(1 / (B * divisor)) sum_n sum_c ||d z_c(x_n) / d x_n||`, summed over seeds.

    Args:
        logits, pull: (..., B, K) and what gives their slopes, from `ecgadv.models.pullback`.
        norm: "l1" for the L1 norm, "l2" for the squared L2 norm.
        divisor: what the authors divide by beside the batch size: their X.size(1), which is 187
            on beats stored as (B, 187) and 1 on recordings stored as (B, 1, L) (row B7).
    """
    if norm not in ("l1", "l2"):
        raise EcgadvError(f"unknown norm {norm!r} of the Jacobian; choose l1 or l2")
    classes = logits.shape[-1]
    rows = torch.eye(classes, dtype=logits.dtype, device=logits.device)
    rows = rows.view(classes, *[1] * (logits.dim() - 1), classes).expand(classes, *logits.shape)
    jacobian = pull(rows)
    total = jacobian.abs().sum() if norm == "l1" else jacobian.square().sum()
    return total / (logits.shape[-2] * divisor)


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    beta: float,
    norm: str = "l1",
    divisor: int = 187,
    own_pass: bool = False,
) -> Tensor:
    """Return cross-entropy + beta * penalty.

    Paper B's beta is 0.9 (MLP) and 0.7 (CNN) with norm "l1" and divisor 187; paper A's is 44 with
    norm "l2" and divisor 1, the mean squared Frobenius norm.

    Args:
        own_pass: compute the penalty in a second forward pass, as the authors do: in a network
            with dropout and batch norm it sees other dropped units, and the running statistics
            move twice (row A14).
    """
    entropy = mean_cross_entropy(forward(model, x, mask), y) if own_pass else None
    logits, pull = pullback(model, x, mask)
    if not own_pass:
        entropy = mean_cross_entropy(logits, y)
    return entropy + beta * penalty(logits, pull, norm=norm, divisor=divisor)
