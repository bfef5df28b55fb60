"""Defenses: each module holds one training loss and nothing else.

Every `loss(model, x, y, mask=None, *, ...)` takes x (..., B, C, L), y (..., B) and mask
(..., B, 1, L) or None, and returns a scalar: the mean over the batch, summed over leading seeds.
"""

from ecgadv.defenses import adversarial, cross_entropy, jacobian, nsr

__all__ = ["adversarial", "cross_entropy", "jacobian", "nsr"]
