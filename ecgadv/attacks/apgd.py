"""Auto-PGD (Croce and Hein, ICML 2020): step sizes follow from how the ascent goes."""

import math
from functools import cache

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import LOSSES, attack_loss, unit_gradient
from ecgadv.attacks.search import Best, likeliest, search
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked
from ecgadv.threat import Threat

MOMENTUM = 0.75  # alpha: the share of the new step; the rest goes on along the last one
RISING = 0.75  # rho: the share of steps that must raise the loss for the step size to stay


def apgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    steps: int,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    loss: str = "margin",
    restarts: int = 1,
    targets: int = 0,
    first: Tensor | None = None,
) -> Tensor:
    """Return examples (B, C, L) that raise the loss of the labels y within the threat.

    Each ascent begins at `first` or uniformly within the budget, with steps of 2 eps along the sign
    of the gradient ("l2": along the gradient of length 1) and momentum. At checkpoints a sample
    whose loss has stopped rising halves its step and goes back to its best point (Algorithm 1 of
    the paper). A sample stops at its first misclassified example.

    Arguments:
        x, y, mask: signals (B, C, L), labels int64 (B,), True where the recording is.
        steps: gradients of one ascent.
        loss: "margin" (max_{i != y} z_i - z_y), the paper's "dlr" (the margin over a difference
            of logits, for three classes or more), or "ce".
        restarts: so many random starts, one after the other for those that still hold.
        targets: 0, or how many classes each restart aims at in turn (APGD-T), the likeliest
            wrong class of x first: with the margin z_t - z_y or, of four classes or more, the
            targeted "dlr". At most K - 1.
        first: signals (B, C, L) at which the ascents of the first restart begin, after projection
            onto the budget; None: at random as the others.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient.
    """
    options.word("attack loss", loss, LOSSES)
    steps, restarts = options.whole("steps", steps), options.whole("restarts", restarts)
    targets = options.whole("targets", targets, least=0)
    x, y, mask = signals.admit(x, y, threat, mask, generator, stacked=False)
    begins = None if first is None else threat.project(signals.like("first", first, x), x, mask)
    with attacked(model, y) as network:
        aims = likeliest(network, x, y, mask, targets, loss=loss)
        best = Best(x, loss=loss, stop_at_success=True)
        for number, aim in enumerate(aims * restarts):
            if best.broken.numel() == 0:
                break
            rows = slice(None) if best.index is None else best.index
            left = [None if values is None else values[rows] for values in (x, mask, aim)]
            local = threat if best.index is None else threat.take(rows)
            if begins is not None and number < len(aims):
                start = begins[rows]
            else:
                start = local.random_start(left[0], mask=left[1], generator=generator)
            ascent = Ascent(start, *left, local, loss, steps)
            search(network, ascent, y[rows], left[1], best, loss=loss, steps=steps)
            best.shrink(worth=1.0)
        return best.result()


@cache
def checkpoints(steps: int) -> frozenset[int]:
    """Return the steps w_j = ceil(p_j steps) after which step sizes are judged.

    The shares are the paper's: 0, 0.22, then p_j + max(p_j - p_{j-1} - 0.03, 0.06).
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    # 0.41 as a sum of floats is a little above itself, and must not be rounded up to the next step.
    return frozenset(math.ceil(share * steps - 1e-9) for share in shares[1:-1])


class Ascent:
    """One ascent of samples (B, C, L): where each is, how fast it goes, and its best point."""

    def __init__(self, start: Tensor, x: Tensor, mask, target, threat: Threat, loss: str, steps):
        self.x, self.mask, self.target, self.threat = x, mask, target, threat
        self.loss, self.steps, self.done, self.checked = loss, steps, 0, 0
        self.box = threat.box(x, mask) if threat.norm == "linf" else None
        per_sample = x.new_zeros(len(x))
        self.state = {
            "here": start,
            "before": start,
            "value": per_sample + torch.inf,  # the loss before this step; first, none is above it
            "size": per_sample[:, None, None] + 2 * torch.as_tensor(threat.eps).to(x),
            "rises": per_sample,  # steps since the last checkpoint that raised the loss
            "halved": per_sample.bool(),  # at the last checkpoint
            "best": start,
            "best_value": per_sample - torch.inf,
            "best_gradient": torch.zeros_like(x),
            "value_at_checkpoint": per_sample - torch.inf,
        }

    def example(self) -> Tensor:
        return self.state["here"].detach().requires_grad_()

    @torch.no_grad()
    def step(self, gradient: Tensor, logits: Tensor, y: Tensor) -> None:
        value = attack_loss(self.loss, logits, y, self.target)
        s = self.state
        s["rises"] = s["rises"] + (value > s["value"])
        s["value"] = value
        self._keep(value > s["best_value"], value, gradient)
        if self.done in checkpoints(self.steps):
            gradient = self._judge(gradient)
        here, self.done = s["here"], self.done + 1
        moved = self._project(here + s["size"] * self._direction(gradient))
        if self.done > 1:
            onward = MOMENTUM * (moved - here) + (1 - MOMENTUM) * (here - s["before"])
            moved = self._project(here + onward)
        s["before"], s["here"] = here, moved

    def take(self, rows: Tensor) -> "Ascent":
        mask, target = (None if v is None else v[rows] for v in (self.mask, self.target))
        x, threat = self.x[rows], self.threat.take(rows)
        taken = Ascent(x, x, mask, target, threat, self.loss, self.steps)
        taken.state = {name: values[rows] for name, values in self.state.items()}
        taken.done, taken.checked = self.done, self.checked
        return taken

    def _keep(self, better: Tensor, value: Tensor, gradient: Tensor) -> None:
        s, where = self.state, better[:, None, None]
        s["best"] = torch.where(where, s["here"], s["best"])
        s["best_gradient"] = torch.where(where, gradient, s["best_gradient"])
        s["best_value"] = torch.where(better, value, s["best_value"])

    def _judge(self, gradient: Tensor) -> Tensor:
        """Halve steps and go back where the ascent stalls; return the gradient to go on with."""
        s = self.state
        seldom = s["rises"] < RISING * (self.done - self.checked)
        # At the first checkpoint there is no earlier best to compare with: that of -inf is lower.
        stuck = ~s["halved"] & (s["best_value"] <= s["value_at_checkpoint"])
        s["halved"], s["value_at_checkpoint"] = seldom | stuck, s["best_value"]
        s["rises"], self.checked = torch.zeros_like(s["rises"]), self.done
        s["value"] = torch.where(s["halved"], s["best_value"], s["value"])
        back = s["halved"][:, None, None]
        s["size"] = torch.where(back, s["size"] / 2, s["size"])
        s["here"] = torch.where(back, s["best"], s["here"])
        return torch.where(back, s["best_gradient"], gradient)

    def _direction(self, gradient: Tensor) -> Tensor:
        if self.box is not None:
            return gradient.sign()
        if self.mask is not None:
            gradient = torch.where(self.mask, gradient, 0.0)
        return unit_gradient(gradient)

    def _project(self, moved: Tensor) -> Tensor:
        if self.box is not None:
            return torch.clamp(moved, *self.box)
        return self.threat.project(moved, self.x, self.mask)
