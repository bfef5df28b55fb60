"""Training on noise: the baseline that randomized smoothing needs (Cohen et al., ICML 2019).

The network learns to read x + N(0, sigma^2), as section 3 of the paper trains it. By itself it is
the simplest defense there is; `ecgadv.evaluation.smoothing` certifies what most of its readings of
a noisy signal say.
"""

import torch
from torch import Tensor, nn

from ecgadv import draws
from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.models import forward


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    sigma: float,
    generator: torch.Generator,
) -> Tensor:
    """Return the mean cross-entropy of x plus one draw of noise, summed over leading seeds.

    Args:
        sigma: standard deviation of the noise on each value, in the unit of x; the mask keeps it
            away from the padding.
        generator: what the noise is drawn from.
    """
    noise = draws.normal(x.shape, x, generator)
    if mask is not None:
        noise = torch.where(mask, noise, 0.0)
    return mean_cross_entropy(forward(model, x + sigma * noise, mask), y)
