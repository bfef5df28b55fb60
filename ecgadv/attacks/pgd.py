"""Projected gradient descent (Madry et al., ICLR 2018) with sign or normalised steps."""

import torch
from torch import Tensor, nn

from ecgadv.attacks.best import Best, check_gradient
from ecgadv.attacks.frozen import frozen
from ecgadv.attacks.gradient import (
    ascend,
    check_options,
    check_shapes,
    check_values,
    unit_gradient,
)
from ecgadv.errors import EcgadvError
from ecgadv.models import forward
from ecgadv.threat import Threat


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    steps: int,
    step_size: float,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    loss: str = "ce",
    random_start: bool = True,
    restarts: int = 1,
    early_stop: bool = False,
    keep: str = "best",
    train_mode: bool = False,
) -> Tensor:
    """Return examples (..., B, C, L) that raise the loss of the labels y within the threat.

    Arguments:
        x, y, mask: signals (..., B, C, L), labels (..., B), True where the recording is.
        steps, step_size: number of steps, and their size in units of x: along the sign of the
            gradient for "linf", along the gradient of length 1 for "l2".
        loss: "ce" (cross-entropy) or "margin" (max_{i != y} z_i - z_y).
        random_start, restarts: begin uniformly within the budget, so many times.
        early_stop: let a sample leave the batch once misclassified (x of three dimensions).
        keep: "best" returns each sample's best example, where a misclassified one beats any
            correct one; "last" returns the last iterate, which is all that training needs: no
            extra forward and no wait for the device, so nothing is checked but shapes.
        train_mode: craft in training mode.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient (keep="best").
    """
    check_options(loss=loss, step_size=step_size, steps=steps, restarts=restarts)
    check_shapes(x, y, mask)
    _check_combination(x, random_start, restarts, early_stop, keep)

    def start():
        if not random_start:
            return x.detach().clone()
        return threat.random_start(x.detach(), mask=mask, generator=generator)

    with frozen(model, train_mode=train_mode):
        if keep == "last":
            climber = _Climber(threat, x, mask, step_size)
            x_adv = start().requires_grad_()
            for _ in range(steps):
                climber.step(x_adv, ascend(model, x_adv, y, mask, loss)[1])
            return x_adv.detach()
        check_values(x, threat)
        best = Best(x, loss=loss, stop_at_success=early_stop)
        for _ in range(restarts):
            _climb(model, x, y, threat, mask, start(), best, loss, steps, step_size)
        return best.result()


def _climb(model, x, y, threat, mask, x_adv, best, loss, steps, step_size):
    """One restart of the active samples: record every iterate in `best`, the last one too."""
    if best.stop_at_success:
        best.shrink(always=True)
    if best.index is not None:
        threat = threat.take(best.index)
    x, y, mask, x_adv = best.active(x, y, mask, x_adv)
    climber = _Climber(threat, x, mask, step_size)
    x_adv.requires_grad_()
    for _ in range(steps):
        if not len(x_adv):
            return
        logits, gradient = ascend(model, x_adv, y, mask, loss)
        best.record(x_adv, logits, y)
        rows = best.shrink() if best.stop_at_success else None
        if rows is not None:
            x_adv = x_adv.detach()[rows].requires_grad_()
            gradient, y = gradient[rows], y[rows]
            mask = None if mask is None else mask[rows]
            climber = climber.take(rows)
        climber.step(x_adv, gradient)
    if not len(x_adv):
        return
    check_gradient(x_adv)
    with torch.no_grad():
        best.record(x_adv, forward(model, x_adv, mask), y)


class _Climber:
    """Move x_adv in place along a gradient and back into the threat around x."""

    def __init__(self, threat: Threat, x: Tensor, mask: Tensor | None, step_size: float):
        self.threat, self.x, self.mask, self.step_size = threat, x, mask, step_size
        self.box = threat.box(x, mask) if threat.norm == "linf" else None

    @torch.no_grad()
    def step(self, x_adv: Tensor, gradient: Tensor) -> None:
        if self.box is not None:
            x_adv.add_(gradient.sign(), alpha=self.step_size).clamp_(*self.box)
            return
        if self.mask is not None:
            gradient = torch.where(self.mask, gradient, 0.0)
        moved = x_adv.add_(unit_gradient(gradient), alpha=self.step_size)
        x_adv.copy_(self.threat.project(moved, self.x, self.mask))

    def take(self, rows: Tensor) -> "_Climber":
        mask = None if self.mask is None else self.mask[rows]
        return _Climber(self.threat.take(rows), self.x[rows], mask, self.step_size)


def _check_combination(x, random_start, restarts, early_stop, keep):
    if keep not in ("best", "last"):
        raise EcgadvError(f"keep is {keep!r}; choose one of best, last")
    if restarts > 1 and (keep == "last" or not random_start):
        raise EcgadvError(f"restarts={restarts} needs random_start=True and keep='best'")
    if early_stop and (keep == "last" or x.dim() != 3):
        raise EcgadvError("early_stop=True needs keep='best' and x of shape (batch, leads, time)")
