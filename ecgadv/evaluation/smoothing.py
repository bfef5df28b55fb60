"""Randomized smoothing (Cohen, Rosenfeld and Kolter, ICML 2019), a baseline with a certificate.

The smoothed network says of x what the network says of most of x + N(0, sigma^2). Where the share
of that class is at least p, no perturbation of "l2" length below sigma Phi^-1(p) changes it
(theorem 1). An attack on the network alone says nothing about the smoothed one, nor this of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from ecgadv.border import examples, options
from ecgadv.border.networks import forward, frozen, home

ABSTAINED = -1


@dataclass(frozen=True)
class Certificate:
    """What a smoothed network says of N examples, and how far around them.

    Attributes:
        read: class (N,), or -1 where too few draws agree.
        radius: "l2" length within which the class cannot change, in the unit of x (N,); 0 there.
        values: how many values of each example may move (N,).
    """

    read: np.ndarray
    radius: np.ndarray
    values: np.ndarray

    def rms(self, microvolts: float | np.ndarray = 1.0) -> np.ndarray:
        """Return the radius as a root mean square over the recording (N,).

        Args:
            microvolts: of one unit of x, one number or one for each example.
        """
        return self.radius / np.sqrt(self.values) * microvolts

    def held(self, y, radius: float = 0.0) -> np.ndarray:
        """Return flags uint8 (N,): 1 where the class is y and certified beyond `radius`."""
        return ((self.read == np.asarray(y)) & (self.radius > radius)).astype(np.uint8)


def certify(
    model: Callable,
    x,
    *,
    sigma: float,
    samples: int = 1000,
    select: int = 100,
    alpha: float = 0.001,
    mask=None,
    batch_size: int = 1024,
    seed: int = 0,
) -> Certificate:
    """Return classes and certified radii of the smoothed network (algorithm CERTIFY of the paper).

    Args:
        model: network, best trained on noise of the same sigma; it is left as it was.
        x: examples (N, C, L).
        sigma: standard deviation of the noise on each value, in the unit of x.
        samples: draws of the estimate; they bound how large a radius can be.
        select: draws that choose the class before.
        alpha: chance that a certificate is wrong, for each example.
        mask: (N, 1, L) bool: noise, and what is certified, stays where it is True.
        batch_size: draws in a forward pass.
        seed: of the noise.

    Raises EcgadvError for bad options, shapes or values.
    """
    sigma = options.size("sigma", sigma)
    alpha = options.size("alpha", alpha, most=0.5, what="the chance of a wrong certificate")
    samples, select = options.whole("samples", samples), options.whole("select", select)
    batch_size = options.whole("batch_size", batch_size)
    seed = options.whole("seed", seed, least=0)
    x, mask = examples.examples(model, x, mask)
    device = home(model)[0] or x.device
    generator = torch.Generator(device=device).manual_seed(seed)
    read, radius = np.full(len(x), ABSTAINED), np.zeros(len(x))
    values = np.full(len(x), x[0].numel())
    if mask is not None:
        values = mask.sum((1, 2)).cpu().numpy() * x.shape[1]
    normal = NormalDist()
    with frozen(model), torch.no_grad():
        for row in range(len(x)):
            one = x[row].to(device), None if mask is None else mask[row].to(device)
            votes = (model, *one, sigma, batch_size, generator)
            chosen = int(_votes(*votes, draws=select).argmax())
            hits = int(_votes(*votes, draws=samples)[chosen])
            least = at_least(hits, samples, alpha)
            if least > 0.5:
                read[row], radius[row] = chosen, sigma * normal.inv_cdf(least)
    return Certificate(read, radius, values)


def _votes(model, x: Tensor, mask, sigma, batch_size, generator, *, draws: int) -> Tensor:
    """Return how often each class is read in noisy copies of x (C, L), (K,)."""
    total = 0
    for first in range(0, draws, batch_size):
        shape = (min(batch_size, draws - first), *x.shape)
        noise = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        many = None
        if mask is not None:
            noise, many = torch.where(mask, noise, 0.0), mask.expand(len(noise), *mask.shape)
        logits = forward(model, x + sigma * noise, many)
        total = total + torch.bincount(logits.argmax(-1), minlength=logits.shape[-1])
    return total


def at_least(hits: int, n: int, alpha: float) -> float:
    """Return the lower end of Clopper and Pearson's one-sided interval of a share, level 1 - alpha.

    That is the p at which so many hits or more have the chance alpha, found by bisection.
    """
    if hits == 0:
        return 0.0
    k = np.arange(hits, n + 1)
    lgamma = np.array([math.lgamma(i + 1) for i in range(n + 1)])
    ways = lgamma[n] - lgamma[k] - lgamma[n - k]
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        # log1p keeps the chance of a miss exact where p is close to 1.
        chance = np.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p)).sum()
        low, high = (p, high) if chance < alpha else (low, p)
    return low
