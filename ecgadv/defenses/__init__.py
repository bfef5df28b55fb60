"""Defenses: each module holds one training loss, `distillation` the soft labels of a teacher.

Every `loss(model, x, y, mask=None, *, ...)` takes x (..., B, C, L), y (..., B) and mask
(..., B, 1, L) or None, and returns a scalar: the mean over the batch, summed over leading seeds.
`cross_entropy` and `adversarial` also take soft labels y (..., B, K).
"""

from ecgadv.defenses import (
    adversarial,
    cross_entropy,
    distillation,
    gaussian,
    jacobian,
    nsr,
    trades,
)

__all__ = [
    "adversarial",
    "cross_entropy",
    "distillation",
    "gaussian",
    "jacobian",
    "nsr",
    "trades",
]
