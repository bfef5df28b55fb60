"""The PGD of paper B's authors: Adamax on the sign of the gradient (PROTOCOLS row B2).

Their evaluation hands the signed gradient to an Adamax optimizer instead of taking plain sign
steps, so that a step shrinks where the sign flips back and forth. Runs that follow the paper to
the letter use this attack; `pgd` checks what the difference is worth.
"""

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import input_gradient
from ecgadv.attacks.search import Best, search
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked
from ecgadv.threat import Threat

# Adamax as Kingma & Ba (ICLR 2015, algorithm 2) give it, with torch's defaults.
BETA1, BETA2, STABILISER = 0.9, 0.999, 1e-8


def adamax_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    steps: int,
    step_size: float,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    clip_start: bool = True,
) -> Tensor:
    """Return examples (..., B, C, L) that raise the cross-entropy within a "linf" threat.

    From a random start, `steps` steps of Adamax with learning rate `step_size` (units of x)
    along the sign of the gradient, each followed by the projection. A sample is done with its
    first misclassified iterate; the others return their iterate of highest loss.

    Arguments:
        clip_start: bring the random start within the bounds of the signal first. The authors do
            not (PROTOCOLS 3.4): with False the first gradient is taken at the unclipped start,
            which gives a direction but, being outside the threat, is no example itself.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient.
    """
    steps, step_size = options.whole("steps", steps), options.size("step_size", step_size)
    x, y, mask = signals.admit(x, y, threat, mask, generator, linf_only="adamax_pgd")
    with attacked(model, y) as network:
        start = threat.random_start(x, mask=mask, generator=generator, clip=clip_start)
        moments = torch.zeros_like(x), torch.zeros_like(x)
        iterate = AdamaxIterate(start, *moments, threat.box(x, mask), step_size)
        best = Best(x, loss="ce", stop_at_success=True)
        if not clip_start:
            _, gradient = input_gradient(network, iterate.example(), y, mask, "ce")
            best.feel(gradient)
            iterate.step(gradient)
        search(network, iterate, y, mask, best, loss="ce", steps=steps - (not clip_start))
        return best.result()


class AdamaxIterate:
    """x_adv (..., B, C, L) with Adamax's two moments of the signed gradient."""

    target = None

    def __init__(
        self,
        x_adv: Tensor,
        mean: Tensor,
        largest: Tensor,
        box: tuple[Tensor, Tensor],
        step_size: float,
        taken: int = 0,
    ):
        self.x_adv = x_adv.requires_grad_()
        self.mean, self.largest, self.box = mean, largest, box
        self.step_size, self.taken = step_size, taken

    def example(self) -> Tensor:
        return self.x_adv

    @torch.no_grad()
    def step(self, gradient: Tensor, *_) -> None:
        sign = gradient.sign()
        self.taken += 1
        self.mean.lerp_(sign, 1 - BETA1)
        # In half precision 1e-8 would be 0, and a gradient of 0 divided by it NaN.
        stabiliser = max(STABILISER, torch.finfo(sign.dtype).tiny)
        torch.maximum(self.largest.mul_(BETA2), sign.abs_().add_(stabiliser), out=self.largest)
        rate = self.step_size / (1 - BETA1**self.taken)
        self.x_adv.addcdiv_(self.mean, self.largest, value=rate).clamp_(*self.box)

    def take(self, rows: Tensor) -> "AdamaxIterate":
        box = (self.box[0][rows], self.box[1][rows])
        x_adv, mean, largest = self.x_adv.detach()[rows], self.mean[rows], self.largest[rows]
        return AdamaxIterate(x_adv, mean, largest, box, self.step_size, self.taken)
