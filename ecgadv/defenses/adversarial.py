"""Adversarial training as paper B compares it: clean and adversarial cross-entropy, weighted."""

from collections.abc import Callable

from torch import Tensor, nn

from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.models import forward


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    attack: Callable[..., Tensor],
    clean_weight: float = 0.5,
    adversarial_weight: float = 0.5,
) -> Tensor:
    """Return clean_weight * CE(x) + adversarial_weight * CE(x_adv) (PROTOCOLS 3.4).

    Args:
        attack: attack(model, x, y, mask=mask) -> x_adv, run on the current network.
        clean_weight: 1 for paper B's MLP, 0.5 for its CNN (row B4).
        adversarial_weight: likewise.
    """
    x_adv = attack(model, x, y, mask=mask)
    clean = mean_cross_entropy(forward(model, x, mask), y)
    attacked = mean_cross_entropy(forward(model, x_adv, mask), y)
    return clean_weight * clean + adversarial_weight * attacked
