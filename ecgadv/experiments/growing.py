"""The attack inside training whose budget grows from epoch to epoch."""

from collections.abc import Callable

from torch import Tensor, nn

from ecgadv.threat import Threat


class Growing:
    """An attack that gets its share of eps after the first epochs, and all of it in the last one.

    Paper B trains so on CPSC2018: eps (e - 9) / 60 in epoch e = 10 ... 69, counted from 0, and
    steps in proportion (PROTOCOLS 3.6).

    Args:
        attack: called as attack(model, x, y, threat, mask=..., step_size=...).
        threat: of the last epoch.
        relative_step: size of a step in units of the present eps.
        first: epochs before it begins.
        epochs: of the whole training.
    """

    def __init__(
        self,
        attack: Callable[..., Tensor],
        threat: Threat,
        *,
        relative_step: float,
        first: int,
        epochs: int,
    ):
        self.attack, self.threat, self.relative_step = attack, threat, relative_step
        self.first, self.epochs, self.share = first, epochs, 1.0

    def begin(self, epoch: int) -> None:
        """Take the share of this epoch, counted from 0."""
        self.share = (epoch + 1 - self.first) / (self.epochs - self.first)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, *, mask: Tensor | None) -> Tensor:
        eps = self.share * self.threat.eps
        step_size = self.relative_step * eps
        return self.attack(model, x, y, self.threat.at(eps), mask=mask, step_size=step_size)
