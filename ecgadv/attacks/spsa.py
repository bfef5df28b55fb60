"""The gradient-free attack of paper B's authors: Adamax on the sign of an estimated gradient.

SPSA, simultaneous perturbation stochastic approximation, estimates the gradient from the network's
answers alone (Spall, 1992; as an attack Uesato et al., ICML 2018).
"""

from functools import partial

import torch
from torch import Tensor, nn

from ecgadv import draws
from ecgadv.attacks.adamax_pgd import AdamaxIterate
from ecgadv.attacks.gradient import attack_loss
from ecgadv.attacks.search import Best, search
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked, forward
from ecgadv.threat import Threat

ROWS = 2**14  # signals in one forward pass


def spsa(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    steps: int,
    step_size: float,
    samples: int,
    delta: float,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return examples (B, C, L) that raise the margin loss within a "linf" threat.

    From a random start, `steps` steps of Adamax with learning rate `step_size` along the sign of
    the estimated gradient, each followed by the projection. A sample is done with its first
    misclassified iterate (PROTOCOLS 3.5). The paper is silent on what one of its 2,048 samples
    is: here it is one direction, asked at both ends.

    Arguments:
        steps, step_size: number of estimates, and the learning rate in units of x.
        samples: directions of +1 and -1 for one estimate; the samples of a batch share them.
        delta: how far along a direction the network is asked, in units of x. These questions may
            leave the threat, the examples do not.

    Raises EcgadvError for bad options, shapes or values.
    """
    steps, samples = options.whole("steps", steps), options.whole("samples", samples)
    step_size, delta = options.size("step_size", step_size), options.size("delta", delta)
    x, y, mask = signals.admit(x, y, threat, mask, generator, linf_only="spsa", stacked=False)
    with attacked(model, y) as network:
        start = threat.random_start(x, mask=mask, generator=generator)
        moments = torch.zeros_like(x), torch.zeros_like(x)
        iterate = AdamaxIterate(start, *moments, threat.box(x, mask), step_size)
        best = Best(x, loss="margin", stop_at_success=True)
        asked = partial(estimated_gradient, samples=samples, delta=delta, generator=generator)
        search(network, iterate, y, mask, best, loss="margin", steps=steps, gradient_of=asked)
        return best.result()


@torch.no_grad()
def estimated_gradient(
    model: nn.Module,
    x_adv: Tensor,
    y: Tensor,
    mask: Tensor | None,
    loss: str,
    target: Tensor | None = None,
    *,
    samples: int,
    delta: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the logits (B, K) at `x_adv` and the SPSA estimate of its gradient (B, C, L).

    That is the mean over directions v of (f(x + delta v) - f(x - delta v)) / (2 delta) v, of
    the loss f. With a mask v is 0 outside it.
    """
    logits = forward(model, x_adv, mask)
    total = torch.zeros_like(x_adv)
    for count in _lots(samples, max(1, ROWS // max(1, len(x_adv)))):
        shape = (1, count, *x_adv.shape[1:])
        v = draws.signs(shape, x_adv, generator).expand(len(x_adv), *shape[1:])
        if mask is not None:
            v = torch.where(mask[:, None], v, 0.0)
        ends = [
            _losses(model, x_adv[:, None].add(v, alpha=shift), y, mask, loss, target)
            for shift in (delta, -delta)
        ]
        total += torch.einsum("bn,bncl->bcl", (ends[0] - ends[1]) / (2 * delta), v)
    return logits, total / samples


def _lots(samples: int, most: int) -> list[int]:
    return [min(most, samples - first) for first in range(0, samples, most)]


def _losses(model, moved: Tensor, y, mask, loss: str, target) -> Tensor:
    """Return the loss (B, n) at n points (B, n, C, L) for each sample."""
    n = moved.shape[1]
    each = [None if v is None else v.repeat_interleave(n, dim=0) for v in (y, mask, target)]
    logits = forward(model, moved.flatten(0, 1), each[1])
    return attack_loss(loss, logits, each[0], each[2]).view(len(moved), n)
