"""Every attack of the package on a tiny linear network, called alike: for the tests of the border.

The network has no bias, so that -x is of another class than x: a start of the boundary attack.
"""

import functools

import pytest
import torch
from torch import nn

from ecgadv.attacks import (
    adamax_pgd,
    apgd,
    band_pgd,
    boundary,
    fgsm,
    fmn,
    hopskipjump,
    pgd,
    sap,
    spsa,
    square,
    uniform_noise,
)
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

THREAT = Threat(0.05)


def walk(model, x, y, threat, *, by=boundary, mask=None, generator=None, **options):
    """An attack that asks for decisions alone, and knows no threat, from -x."""
    floats = isinstance(x, torch.Tensor) and x.is_floating_point()
    start = -x.detach() if floats else x
    options = {"mask": mask, "generator": generator, **options}
    return by(model, x, y, start, target=None, **options).x_adv


STEPS = {"steps": 2, "step_size": 0.03}
ATTACKS = {
    "uniform_noise": uniform_noise,
    "fgsm": fgsm,
    "pgd": functools.partial(pgd, **STEPS),
    "pgd last": functools.partial(pgd, **STEPS, keep="last"),
    "pgd early": functools.partial(pgd, **STEPS, restarts=2, early_stop=True, loss="margin"),
    "apgd": functools.partial(apgd, steps=3, targets=1, restarts=1),
    "adamax_pgd": functools.partial(adamax_pgd, **STEPS),
    "spsa": functools.partial(spsa, **STEPS, samples=4, delta=0.01),
    "square": functools.partial(square, queries=4),
    "fmn": functools.partial(fmn, steps=2),
    "band_pgd": functools.partial(band_pgd, **STEPS, rate=100.0, low_hz=0.0, high_hz=20.0),
    "sap": functools.partial(sap, pgd_steps=1, smooth_steps=2, step_size=0.03),
    "boundary": functools.partial(walk, steps=3, candidates=3, window=5, max_queries=20),
    "hopskipjump": functools.partial(walk, by=hopskipjump, max_queries=30),
}
LINF_ONLY = {"adamax_pgd", "spsa", "sap"}
LOOKING = sorted(set(ATTACKS) - {"uniform_noise"})  # those that ask the network
DECIDING = {"boundary", "hopskipjump"}
BLIND = DECIDING | {"spsa", "square"}
THREATENED = sorted(set(ATTACKS) - DECIDING)


class Flat(nn.Module):
    """Logits (..., B, K) of flattened signals (..., B, 1, 20)."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.head = nn.Linear(20, classes, bias=False)
        weight = torch.randn(classes, 20, generator=torch.Generator().manual_seed(0))
        self.head.weight.data.copy_(weight / 4)

    def forward(self, x):
        return self.head(x.flatten(-2))


def _examples():
    """Two signals that `Flat` puts in class 0 and two in class 1."""
    x = torch.randn(64, 1, 20, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = Flat()(x).argmax(-1)
    rows = torch.cat([(y == label).nonzero()[:2, 0] for label in (0, 1)])
    return x[rows].contiguous(), y[rows]


X, Y = _examples()
FLAT = Flat().eval()


def attack(name, model=FLAT, x=X, y=Y, threat=THREAT, **options):
    """Run one attack with a seed of its own, on `Flat` unless told."""
    generator = torch.Generator().manual_seed(0)
    return ATTACKS[name](model, x, y, threat, **{"generator": generator, **options})


def refused(words, call, *given, **options):
    """Expect one line that matches the words."""
    with pytest.raises(EcgadvError, match=words) as caught:
        call(*given, **options)
    assert "\n" not in str(caught.value)
