"""The best example found so far for each sample, and the samples that are still in the attack."""

import torch
from torch import Tensor

from ecgadv.attacks.gradient import attack_loss
from ecgadv.errors import EcgadvError

# Gathering the survivors copies them, so it waits until an eighth of the batch has left.
WORTH_SHRINKING = 7 / 8


class Best:
    """Track the best example of each sample: any misclassified one beats any correct one.

    Among equals the higher attack loss wins. With `stop_at_success` the first misclassified
    example is final, so that what is returned does not depend on when broken samples leave
    the batch; `shrink` then takes them out (for x of three dimensions).

    Attributes:
        index: positions of the active samples in the whole batch, or None while all are active.
    """

    def __init__(self, x: Tensor, *, loss: str, stop_at_success: bool):
        self.whole = x.clone()
        self.example = self.whole
        self.loss_name = loss
        self.stop_at_success = stop_at_success
        self.index = None
        self.loss = torch.full(x.shape[:-2], -torch.inf, dtype=x.dtype, device=x.device)
        self.broken = torch.zeros(x.shape[:-2], dtype=torch.bool, device=x.device)

    def record(self, x_adv: Tensor, logits: Tensor, y: Tensor) -> None:
        """Take over the active samples of `x_adv` that beat what was found before."""
        loss = attack_loss(self.loss_name, logits, y)
        wrong = logits.argmax(-1) != y
        better = (wrong & ~self.broken) | ((wrong == self.broken) & (loss > self.loss))
        if self.stop_at_success:
            better &= ~self.broken
        # A NaN loss is never better than another; a NaN logit must not pass for a success.
        better &= ~torch.isnan(loss)
        self.loss = torch.where(better, loss, self.loss)
        self.broken = torch.where(better, wrong, self.broken)
        self.example = torch.where(better[..., None, None], x_adv.detach(), self.example)

    def active(self, *tensors: Tensor | None) -> list[Tensor | None]:
        """Return the rows of whole-batch tensors that belong to the active samples."""
        if self.index is None:
            return list(tensors)
        return [None if tensor is None else tensor[self.index] for tensor in tensors]

    def shrink(self, *, always: bool = False) -> Tensor | None:
        """Let broken samples leave, if enough did; return the rows that stay, or None for all.

        Waits for the device. Rows are positions within the samples that were active before.
        """
        staying = int((~self.broken).sum())
        if staying == self.broken.numel():
            return None
        if not always and staying > max(0, WORTH_SHRINKING * self.broken.numel()):
            return None
        self._store()
        rows = (~self.broken).nonzero().squeeze(-1)
        self.index = rows if self.index is None else self.index[rows]
        self.example, self.loss = self.example[rows], self.loss[rows]
        self.broken = self.broken[rows]
        return rows

    def result(self) -> Tensor:
        """Return the best examples of the whole batch, shape of x.

        Raises EcgadvError if no finite loss was seen for some sample.
        """
        if bool(torch.isneginf(self.loss).any()):
            raise EcgadvError("the network gave NaN logits during the attack; check its weights")
        self._store()
        return self.whole

    def _store(self) -> None:
        if self.index is None:
            self.whole = self.example
        else:
            self.whole[self.index] = self.example


def check_gradient(x_adv: Tensor) -> None:
    """Raise EcgadvError if an attack's last iterate is not finite: its gradient was not."""
    if not bool(torch.isfinite(x_adv).all()):
        raise EcgadvError(
            "the network's input gradient became NaN or infinite during the attack; check its "
            "weights and operations (a square root or logarithm at 0 is the usual cause)"
        )
