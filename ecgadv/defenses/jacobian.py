"""Jacobian regularization as paper B and paper A compare it (PROTOCOLS 3.4 and 2.4)."""

import torch
from torch import Tensor, nn

from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.errors import EcgadvError
from ecgadv.models import forward, pullback
from ecgadv.models.slopes import Pull

NORMS = ("l1", "l2", "rooted", "frobenius")


def penalty(logits: Tensor, pull: Pull, *, norm: str, divisor: int, projections: int = 0) -> Tensor:
    """Return `(1 / (B * divisor)) sum_n sum_c ||d z_c(x_n) / d x_n||`, summed over seeds.

    "frobenius" and "rooted" take the root of squared L2 norms summed over classes and over the
    batch. Paper B's "rooted" on CPSC2018 falls with the batch size for the same network (row B15):
    for samples all alike it is 1 / sqrt(B) of "frobenius", which takes the root of each sample.

    Args:
        logits, pull: (..., B, K) and what gives their slopes, from `ecgadv.models.pullback`.
        norm: "l1" for the L1 norm, "l2" for the squared L2 norm, "rooted" or "frobenius".
        divisor: what the authors divide by beside the batch size: their X.size(1), which is 187
            on beats stored as (B, 187) and 1 on recordings stored as (B, 1, L) (row B7).
        projections: 0 for the norms of all K slopes; else they are estimated from so many random
            vectors of signs, whose products have the same mean square (Hoffman et al., 2019,
            arXiv:1908.02729), drawn from torch's global generator. Not for "l1".
    """
    if norm not in NORMS:
        raise EcgadvError(f"unknown norm {norm!r} of the Jacobian; choose {', '.join(NORMS)}")
    if projections and norm == "l1":
        raise EcgadvError("projections estimate squared norms, not norm 'l1'; choose another")
    jacobian = pull(_signs(logits, projections) if projections else _rows(logits))
    if norm == "l1":
        total = jacobian.abs().sum()
    else:
        squares = jacobian.square().sum((0, -2, -1)) / max(1, projections)  # (..., B)
        if norm == "rooted":
            squares = squares.sum(-1)
        total = (squares if norm == "l2" else squares.sqrt()).sum()
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
    projections: int = 0,
) -> Tensor:
    """Return cross-entropy + beta * penalty.

    Paper B's beta is 0.9 (MLP) and 0.7 (CNN) with norm "l1" and divisor 187; paper A's is 44 with
    norm "l2" and divisor 1, the mean squared Frobenius norm. On CPSC2018 paper B's is 24 with norm
    "rooted" and the number of classes as divisor (PROTOCOLS 3.6).

    Args:
        own_pass: compute the penalty in a second forward pass, as the authors do: in a network
            with dropout and batch norm it sees other dropped units, and the running statistics
            move twice (row A14).
        projections: see `penalty`.
    """
    entropy = mean_cross_entropy(forward(model, x, mask), y) if own_pass else None
    logits, pull = pullback(model, x, mask)
    if not own_pass:
        entropy = mean_cross_entropy(logits, y)
    return entropy + beta * penalty(
        logits, pull, norm=norm, divisor=divisor, projections=projections
    )


def _rows(logits: Tensor) -> Tensor:
    """Return each class's own vector for all samples, (K, ..., B, K)."""
    classes = logits.shape[-1]
    rows = torch.eye(classes, dtype=logits.dtype, device=logits.device)
    return rows.view(classes, *[1] * (logits.dim() - 1), classes).expand(classes, *logits.shape)


def _signs(logits: Tensor, count: int) -> Tensor:
    """Return random vectors of +1 and -1, (count, ..., B, K)."""
    signs = torch.randint(2, (count, *logits.shape), device=logits.device)
    return (2 * signs - 1).to(logits.dtype)
