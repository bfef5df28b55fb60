"""TRADES (Zhang et al., ICML 2019): what the network says of x must hold around it.

A baseline beside the papers' defenses. It is the paper's equation 5 with the loss of its section
5: the attack raises the divergence from what the network says of x, and not the labels' loss.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ecgadv.border.networks import frozen
from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.models import forward


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    attack: Callable[..., Tensor],
    beta: float = 6.0,
) -> Tensor:
    """Return the mean of CE(f(x), y) + beta KL(f(x) || f(x_adv)), summed over leading seeds.

    Args:
        attack: attack(model, x, q, mask=mask) -> x_adv, which raises the cross-entropy of the soft
            labels q = softmax f(x); as q is held still there, that raises the divergence. The
            authors begin at Gaussian noise of 0.001; `attacks.pgd` begins anywhere within eps.
        beta: 1/lambda of the paper, which has 1 and 6; 6 is the more robust.
    """
    with frozen(model), torch.no_grad():
        said = torch.softmax(forward(model, x, mask), -1)
    x_adv = attack(model, x, said, mask=mask)
    logits = forward(model, x, mask)
    log_p = logits.log_softmax(-1)
    divergence = log_p.exp() * (log_p - forward(model, x_adv, mask).log_softmax(-1))
    return mean_cross_entropy(logits, y) + beta * divergence.sum(-1).mean(-1).sum()
