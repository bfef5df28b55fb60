"""The smallest perturbation that breaks an example: fast minimum-norm attack (FMN).

Pintor, Roli, Brendel and Biggio, NeurIPS 2021 (arXiv:2102.12827), algorithm 1. Here everything is
a share of the threat's eps, so that step sizes know neither the unit of the signal nor that its
leads have budgets of their own.
"""

import math

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import attack_loss, input_gradient, misread, unit_gradient
from ecgadv.attacks.search import likeliest
from ecgadv.border import options, signals
from ecgadv.border.networks import Network, attacked, forward, refuse_nan, warn_of_flat
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

SHRINK = 0.05, 1e-4  # gamma of the first and of the last step
STEP = 1.0, 0.01  # step along the gradient, relative to the share that each is at
HALVINGS = 10  # of the way back to x, at the end


def fmn(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    steps: int,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    loss: str = "margin",
    targets: int = 0,
) -> Tensor:
    """Return the misclassified examples (B, C, L) nearest to x, within the threat.

    Each sample has a budget of its own, a share of eps that begins where the linearised margin is
    0, shrinks while the example is misclassified and grows while it is not. At the end what was
    found moves straight towards x as far as it stays misclassified. Of a sample that nothing
    breaks within eps comes the example of highest loss; `Threat.share` says how near each is.

    Arguments:
        x, y, mask: signals (B, C, L), labels (B,), True where the recording is.
        steps: gradients of each sample, for each target.
        generator: unused, as nothing is random; here so that all attacks are called alike.
        loss: "margin" or "dlr", whose sign says which side of the boundary an example is on.
        targets: 0, or how many classes it aims at in turn, the likeliest wrong class of x first:
            the nearest example may be of a class that is not the likeliest. At most K - 1.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient.
    """
    options.word("attack loss", loss, ("margin", "dlr"))
    steps, targets = options.whole("steps", steps), options.whole("targets", targets, least=0)
    x, y, mask = signals.admit(x, y, threat, mask, generator, stacked=False)
    with attacked(model, y) as network:
        near = Nearest(network, x, y, threat, mask)
        for aim in likeliest(network, x, y, mask, targets, loss=loss):
            near.begin(aim)
            for step in range(steps):
                # Half a cosine from the first value to the last.
                late = (1 - math.cos(math.pi * step / max(1, steps - 1))) / 2
                gamma, alpha = (first + (last - first) * late for first, last in (SHRINK, STEP))
                near.step(loss, gamma, alpha)
            near.judge(near.here)
        near.refuse_nan()
        flat = near.felt.eq(0) & near.least.isinf()
        warn_of_flat(flat, of=len(x), loss=loss)
        return near.drawn_back()


class Nearest:
    """Where each sample is, the share of eps it may take up, and the nearest that was found."""

    def __init__(self, network: Network, x: Tensor, y: Tensor, threat: Threat, mask):
        self.network, self.x, self.y, self.threat, self.mask = network, x, y, threat, mask
        self.found, self.least = x.clone(), x.new_full((len(x),), torch.inf)
        self.highest, self.felt = x.new_full((len(x),), -torch.inf), x.new_zeros(len(x))
        self.gradient_sum = x.new_zeros(())
        self.eps = torch.as_tensor(threat.eps).to(x)
        ends = (threat.low, -math.inf), (threat.high, math.inf)
        self.bounds = [torch.as_tensor(free if end is None else end).to(x) for end, free in ends]

    def begin(self, target: Tensor | None) -> None:
        """Go back to x, and aim at the classes `target` (B,), or at any if None."""
        self.here, self.target = self.x.clone(), target
        self.budget, self.met = torch.ones_like(self.least), self.least.isnan()

    def step(self, loss: str, gamma: float, alpha: float) -> None:
        leaf = self.here.detach().requires_grad_()
        logits, gradient = input_gradient(self.network, leaf, self.y, self.mask, loss, self.target)
        self.gradient_sum += gradient.float().sum()
        gradient = torch.where(self._free(gradient), gradient, 0.0).nan_to_num()
        self.felt += gradient.abs().sum((-2, -1))
        wrong = self._keep(self.here, logits)
        self.met = self.met | wrong
        value = attack_loss(loss, logits, self.y, self.target).nan_to_num()
        share = self.threat.share(self.here, self.x)
        onward = share - value.clamp(max=0) / self._slope(gradient)
        grown = self.budget * (1 + gamma)
        grown = torch.where(self.met, grown, torch.maximum(onward, share * (1 + gamma)))
        shrunk = torch.minimum(self.budget, self.least) * (1 - gamma)
        within = torch.minimum(self.least, torch.ones_like(share))
        self.budget = torch.minimum(torch.where(wrong, shrunk, grown), within)
        ahead = gradient.sign() if self.threat.norm == "linf" else unit_gradient(gradient)
        pace = (alpha * self.budget)[:, None, None] * self.eps
        self.here = self._within(self.here + pace * ahead)

    def judge(self, x_adv: Tensor) -> Tensor:
        """Keep what is nearer than before; return which samples are misclassified at x_adv."""
        with torch.no_grad():
            return self._keep(x_adv, forward(self.network, x_adv, self.mask))

    def refuse_nan(self) -> None:
        """Raise EcgadvError if a gradient was NaN, or all logits of a sample."""
        refuse_nan(self.gradient_sum)
        if bool((self.highest.isneginf() & self.least.isinf()).any()):
            raise EcgadvError("the network gave NaN logits during the attack; check its weights")

    def drawn_back(self) -> Tensor:
        """Return the nearest, moved straight to x as far as bisection finds it misclassified."""
        whole, low = self.found.clone(), torch.zeros_like(self.least)
        high = torch.ones_like(low)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            wrong = self.judge(self.x + middle[:, None, None] * (whole - self.x))
            low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        return self.found

    def _keep(self, x_adv: Tensor, logits: Tensor) -> Tensor:
        value = attack_loss("margin", logits, self.y)
        wrong = misread(logits, self.y) & ~value.isnan()
        share = self.threat.share(x_adv, self.x)
        higher = self.least.isinf() & (value > self.highest)
        better = torch.where(wrong, share < self.least, higher)[:, None, None]
        self.found = torch.where(better, x_adv, self.found)
        self.highest = torch.maximum(self.highest, value.nan_to_num(-torch.inf))
        self.least = torch.where(wrong, torch.minimum(self.least, share), self.least)
        return wrong

    def _slope(self, gradient: Tensor) -> Tensor:
        """Return how fast the loss rises along a share of eps, the dual norm of the gradient."""
        if self.threat.norm == "linf":
            slope = (gradient.abs() * self.eps).sum((-2, -1))
        else:
            slope = torch.linalg.vector_norm(gradient * self.eps, dim=(-2, -1))
        return slope.clamp_min(torch.finfo(gradient.dtype).tiny)

    def _free(self, gradient: Tensor) -> Tensor:
        """Return where a step along the gradient is not undone by the mask or the bounds."""
        low, high = self.bounds
        free = ((gradient > 0) & (self.here < high)) | ((gradient < 0) & (self.here > low))
        return free if self.mask is None else free & self.mask

    def _within(self, moved: Tensor) -> Tensor:
        local = self.threat.at(self.budget[:, None, None] * self.eps)
        return local.project(moved, self.x, self.mask)
