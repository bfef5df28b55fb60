"""Projected gradient descent (Madry et al., ICLR 2018) with sign or normalised steps."""

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import LOSSES, input_gradient, unit_gradient
from ecgadv.attacks.search import KEEPS, Best, search
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked
from ecgadv.errors import EcgadvError
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
    clip_start: bool = True,
    mask_start: bool = True,
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
        loss: "ce" (cross-entropy), "margin" (max_{i != y} z_i - z_y), "dlr" or "soft-margin"
            (`attack_loss`).
        random_start, restarts: begin uniformly within the budget, so many times.
        clip_start: bring the random start within the bounds of the signal before the first
            gradient; False (only with keep="last") is the order of paper B's authors, whose
            clipping begins with the first step (PROTOCOLS 3.4).
        mask_start: leave the padding out of the random start, too; False (only with keep="last")
            is the order of paper B's authors on CPSC2018 (row B12), whose first step clears it.
        early_stop: let a sample leave the batch once misclassified (x of three dimensions).
        keep: "best" returns each sample's best example, where a misclassified one beats any
            correct one; "last" returns the last iterate, which is all that training needs: no
            extra forward and no wait for the device, so only options and shapes are checked.
        train_mode: craft in training mode.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient (keep="best").
    """
    options.word("attack loss", loss, LOSSES)
    wait = options.word("keep", keep, KEEPS) == "best"
    steps, restarts = options.whole("steps", steps), options.whole("restarts", restarts)
    step_size = options.size("step_size", step_size)
    soft = loss == "ce" and not wait
    x, y, mask = signals.admit(x, y, threat, mask, generator, soft=soft, wait=wait)
    free_start = [
        f"{name}=False"
        for name, given in (("clip_start", clip_start), ("mask_start", mask_start))
        if not given
    ]
    _check_combination(x, random_start, free_start, restarts, early_stop, keep)

    def start() -> Tensor:
        if not random_start:
            return x.clone()
        where = mask if mask_start else None
        return threat.random_start(x, mask=where, generator=generator, clip=clip_start)

    with attacked(model, y, train_mode=train_mode, wait=wait) as network:
        if keep == "last":
            iterate = PGDIterate(start(), x, mask, threat, step_size)
            for _ in range(steps):
                iterate.step(input_gradient(network, iterate.example(), y, mask, loss)[1])
            return iterate.x_adv.detach()
        best = Best(x, loss=loss, stop_at_success=early_stop)
        for _ in range(restarts):
            iterate, y_left, mask_left = PGDIterate(start(), x, mask, threat, step_size), y, mask
            if best.index is not None:
                iterate, y_left = iterate.take(best.index), y[best.index]
                mask_left = None if mask is None else mask[best.index]
            search(network, iterate, y_left, mask_left, best, loss=loss, steps=steps)
            if early_stop:
                best.shrink(worth=1.0)
                if best.broken.numel() == 0:
                    break
        return best.result()


class PGDIterate:
    """x_adv (..., B, C, L), moved in place by one step and back into the threat around x."""

    target = None

    def __init__(
        self, x_adv: Tensor, x: Tensor, mask: Tensor | None, threat: Threat, step_size: float
    ):
        self.x_adv = x_adv.requires_grad_()
        self.x, self.mask, self.threat, self.step_size = x, mask, threat, step_size
        # Budget, bounds and mask in one clamp, worked out once and not at every step.
        self.box = threat.box(x, mask) if threat.norm == "linf" else None

    def example(self) -> Tensor:
        return self.x_adv

    @torch.no_grad()
    def step(self, gradient: Tensor, *_) -> None:
        if self.box is not None:
            self.x_adv.add_(gradient.sign(), alpha=self.step_size).clamp_(*self.box)
            return
        if self.mask is not None:
            gradient = torch.where(self.mask, gradient, 0.0)
        moved = self.x_adv.add(unit_gradient(gradient), alpha=self.step_size)
        self.x_adv.copy_(self.threat.project(moved, self.x, self.mask))

    def take(self, rows: Tensor) -> "PGDIterate":
        mask = None if self.mask is None else self.mask[rows]
        return PGDIterate(
            self.x_adv.detach()[rows], self.x[rows], mask, self.threat.take(rows), self.step_size
        )


def _check_combination(x, random_start, free_start, restarts, early_stop, keep):
    if free_start and (keep == "best" or not random_start):
        raise EcgadvError(f"{free_start[0]} needs random_start=True and keep='last'")
    if restarts > 1 and (keep == "last" or not random_start):
        raise EcgadvError(f"restarts={restarts} needs random_start=True and keep='best'")
    if early_stop and (keep == "last" or x.dim() != 3):
        raise EcgadvError("early_stop=True needs keep='best' and x of shape (batch, leads, time)")
