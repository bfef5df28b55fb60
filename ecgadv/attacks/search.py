"""The loop that attacks share: try an iterate, keep the best, drop who is broken, step on."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import attack_loss, input_gradient, misread
from ecgadv.border.networks import forward, refuse_nan, warn_of_flat
from ecgadv.errors import EcgadvError

KEEPS = ("best", "last")
# Gathering the survivors copies them, so it waits until an eighth of the batch has left.
WORTH_SHRINKING = 7 / 8


class Iterate(Protocol):
    """Where an attack stands: how it moves is all in which the attacks differ.

    Attributes:
        target: the classes (B,) it aims at, or None.
    """

    target: Tensor | None

    def example(self) -> Tensor:
        """Return the present x_adv (..., B, C, L), requiring its gradient."""

    def step(self, gradient: Tensor, logits: Tensor, y: Tensor) -> None:
        """Move along the gradient of the loss to `example()`, where the logits (B, K) are."""

    def take(self, rows: Tensor) -> "Iterate":
        """Return the iterate of some samples of the batch."""


class Best:
    """The best example of each sample: any misclassified one beats any correct one.

    Among equals the higher attack loss wins. With `stop_at_success` the first misclassified
    example is final, so that the result does not depend on when broken samples leave the
    batch; they leave only from x of three dimensions.

    Attributes:
        index: positions of the active samples in the whole batch, or None while all are active.
        blind: whether the attack sees no gradient, so that there is none to be flat.
    """

    def __init__(self, x: Tensor, *, loss: str, stop_at_success: bool, blind: bool = False):
        self.whole = x.detach().clone()
        self.example = self.whole
        self.loss_name = loss
        self.stop_at_success, self.blind = stop_at_success, blind
        self.shrinks = stop_at_success and x.dim() == 3
        self.index = None
        self.loss = torch.full(x.shape[:-2], -torch.inf, dtype=x.dtype, device=x.device)
        self.felt = torch.zeros_like(self.loss)
        self.broken = torch.zeros(x.shape[:-2], dtype=torch.bool, device=x.device)

    def feel(self, gradient: Tensor) -> None:
        """Add up how much gradient (..., B, C, L) there was, for `result` to look at."""
        self.felt = self.felt + gradient.abs().sum((-2, -1))

    def record(self, x_adv: Tensor, logits: Tensor, y: Tensor) -> None:
        """Take over the active samples of `x_adv` that beat what was found before."""
        loss = attack_loss(self.loss_name, logits, y)
        wrong = misread(logits, y)
        better = torch.where(wrong == self.broken, loss > self.loss, wrong)
        if self.stop_at_success:
            better &= ~self.broken
        better &= loss == loss  # a NaN logit must not pass for a success
        self.loss = torch.where(better, loss, self.loss)
        self.broken = torch.where(better, wrong, self.broken)
        self.example = torch.where(better[..., None, None], x_adv.detach(), self.example)

    def shrink(self, *, worth: float = WORTH_SHRINKING) -> Tensor | None:
        """Let the broken samples leave; return the rows that stay, or None if nobody left.

        Rows count among the samples that were active before. Nobody leaves while more than
        the share `worth` of them would stay, except that the last ones always do.
        """
        staying = int((~self.broken).sum())
        if staying == self.broken.numel() or staying > max(0, worth * self.broken.numel()):
            return None
        self._store()
        rows = (~self.broken).nonzero().squeeze(-1)
        self.index = rows if self.index is None else self.index[rows]
        self.example, self.loss = self.example[rows], self.loss[rows]
        self.broken, self.felt = self.broken[rows], self.felt[rows]
        return rows

    def result(self) -> Tensor:
        """Return the best examples of the whole batch; EcgadvError if a sample has none.

        It warns of samples that hold without any gradient.
        """
        if bool(torch.isneginf(self.loss).any()):
            raise EcgadvError("the network gave NaN logits during the attack; check its weights")
        if not self.blind:
            flat, batch = (self.felt == 0) & ~self.broken, self.whole.shape[:-2].numel()
            warn_of_flat(flat, of=batch, loss=self.loss_name)
        self._store()
        return self.whole

    def _store(self) -> None:
        if self.index is None:
            self.whole = self.example
        else:
            self.whole[self.index] = self.example


def likeliest(
    model: nn.Module, x: Tensor, y: Tensor, mask: Tensor | None, targets: int, *, loss: str
) -> list[Tensor | None]:
    """Return the classes (B,) to aim at in turn, the likeliest wrong one of x first.

    Without targets that is None alone: any wrong class will do.

    Raises EcgadvError for more targets than wrong classes, or a loss that knows none.
    """
    if targets == 0:
        return [None]
    if y.dim() > x.dim() - 2:
        raise EcgadvError(f"targets={targets} for labels of several classes at once; give 0")
    with torch.no_grad():
        logits = forward(model, x, mask)
    if loss in ("ce", "soft-margin") or not 1 <= targets < logits.shape[-1]:
        raise EcgadvError(
            f"targets={targets} with loss {loss!r} and {logits.shape[-1]} classes; give 0 to "
            f"{logits.shape[-1] - 1} targets, and loss='margin' or 'dlr' with them"
        )
    others = logits.scatter(-1, y.unsqueeze(-1), -torch.inf)
    return list(others.topk(targets).indices.unbind(-1))


def search(
    model: nn.Module,
    iterate: Iterate,
    y: Tensor,
    mask: Tensor | None,
    best: Best,
    *,
    loss: str,
    steps: int,
    gradient_of: Callable = input_gradient,
) -> None:
    """Take `steps` steps with the active samples of `best`; record every iterate, the last too.

    y (B,) and mask are those of the active samples; `gradient_of` is called as `input_gradient` is.
    The forward pass that judges an iterate is the one that gives its gradient; only the last
    iterate costs a pass of its own.

    Raises EcgadvError if a gradient was NaN.
    """
    gradient_sum = torch.zeros((), device=y.device)
    for step in range(steps):
        x_adv = iterate.example()
        logits, gradient = gradient_of(model, x_adv, y, mask, loss, iterate.target)
        gradient_sum += gradient.float().sum()  # read once at the end, not at every step
        if step in (0, steps - 1):  # where it is 0 nothing moves, so it stays 0
            best.feel(gradient)
        best.record(x_adv, logits, y)
        rows = best.shrink() if best.shrinks else None
        if rows is not None:
            if len(rows) == 0:
                return
            iterate, gradient = iterate.take(rows), gradient[rows]
            logits, y = logits[rows], y[rows]
            mask = None if mask is None else mask[rows]
        iterate.step(gradient, logits, y)
    refuse_nan(gradient_sum)
    x_adv = iterate.example().detach()
    with torch.no_grad():
        best.record(x_adv, forward(model, x_adv, mask), y)
