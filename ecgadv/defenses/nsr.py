"""Noise-to-signal ratio regularization, paper B's method (PROTOCOLS 3.3).

The loss is L1 + L2 + beta * L3: a squared error towards the one-hot label, a multi-class margin
loss on the samples classified right, and the log of one plus their noise-to-signal ratio.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ecgadv.errors import EcgadvError
from ecgadv.models import forward, pullback
from ecgadv.models.slopes import Pull


def squared_error(logits: Tensor, y: Tensor) -> Tensor:
    """Return L1 = mean_n sum_c (z_c - 1[c = y_n])^2, summed over leading seeds."""
    target = F.one_hot(y, logits.shape[-1]).to(logits.dtype)
    return (logits - target).square().sum() / y.shape[-1]


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return L2 = mean of 1 - z_y + z_i over the set P, summed over leading seeds.

    P holds the pairs (n, i) of a sample classified right and a wrong class i whose term lies
    strictly between 0 and 2; the upper bound never binds (row B6), so only 0 is tested. An empty
    P gives 0 (row B9).
    """
    own = logits.gather(-1, y.unsqueeze(-1))  # (..., B, 1)
    correct = logits.argmax(-1, keepdim=True) == y.unsqueeze(-1)
    others = F.one_hot(y, logits.shape[-1]) == 0
    term = 1 - own + logits
    pairs = correct & others & (term > 0)
    per_seed = (term * pairs).sum((-2, -1)) / pairs.sum((-2, -1)).clamp_min(1)
    return per_seed.sum()


def noise_to_signal(
    logits: Tensor, pull: Pull, y: Tensor, *, max_noise: float, stabiliser: float, gate: bool
) -> Tensor:
    """Return `R_n = M * ||grad_x z_y||_1 / (|z_y| + eps0)` of every sample, shape (..., B).

    Args:
        logits, pull: (..., B, K) and what gives their slopes, from `ecgadv.models.pullback`.
        max_noise: M, 1 in the papers; the attack's eps does not enter the loss. On inputs in
            A/D counts it is the counts that one unit of a normalised signal spans (row A17).
        stabiliser: eps0, 0.01 in the paper.
        gate: pass the signal through a ReLU first, as the authors' CPSC2018 code does and their
            MIT-BIH code means to (row B5); there R_n is 0 where z_y is negative.
    """
    signal = logits.gather(-1, y.unsqueeze(-1)).squeeze(-1)
    own = F.one_hot(y, logits.shape[-1]).to(logits.dtype)
    if gate:
        signal = signal.relu()
        own = own * (signal > 0).unsqueeze(-1)
    gradient = pull(own)
    return max_noise * gradient.abs().sum((-2, -1)) / (signal.abs() + stabiliser)


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    beta: float,
    max_noise: float = 1.0,
    stabiliser: float = 0.01,
    gate: bool = False,
    per_class_pass: bool = False,
) -> Tensor:
    """Return L1 + L2 + beta * L3 with L3 = mean of log(1 + R_n) over samples classified right.

    An empty set of such samples gives L3 = 0 instead of the authors' NaN (rows B9 and A16).
    Gradients flow through the numerator and the denominator of R_n.

    Args:
        per_class_pass: compute L3 in a forward pass of its own for each class, as the authors do
            (row A14); only for x of three dimensions. It matters in a network with dropout or
            batch norm.

    Raises EcgadvError for per_class_pass with x of more dimensions.
    """
    if per_class_pass and x.dim() != 3:
        raise EcgadvError(
            f"per_class_pass=True with x of shape {tuple(x.shape)}; give (batch, leads, time), "
            "one seed at a time"
        )
    options = {"max_noise": max_noise, "stabiliser": stabiliser, "gate": gate}
    if per_class_pass:
        logits = forward(model, x, mask)
    else:
        logits, pull = pullback(model, x, mask)
    correct = logits.argmax(-1) == y
    if per_class_pass:
        penalty = _class_by_class(model, x, y, mask, correct, options)
    else:
        ratio = noise_to_signal(logits, pull, y, **options)
        per_seed = (ratio.log1p() * correct).sum(-1) / correct.sum(-1).clamp_min(1)
        penalty = per_seed.sum()
    return squared_error(logits, y) + margin(logits, y) + beta * penalty


def _class_by_class(model, x, y, mask, correct, options) -> Tensor:
    """Return L3 from one forward pass for each class, over its samples that are correct (B,)."""
    total = x.new_zeros(())
    for label in y[correct].unique():
        chosen = correct & (y == label)
        logits, pull = pullback(model, x[chosen], None if mask is None else mask[chosen])
        total = total + noise_to_signal(logits, pull, y[chosen], **options).log1p().sum()
    return total / correct.sum().clamp_min(1)


def squared_error_loss(
    model: nn.Module, x: Tensor, y: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Return L1 alone, which paper A minimises in the first ten epochs (PROTOCOLS 2.4)."""
    return squared_error(forward(model, x, mask), y)
