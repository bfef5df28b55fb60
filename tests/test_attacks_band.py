"""PGD in a band: it stays there, and reaches the closed form of a linear model."""

import math

import pytest
import torch
from test_attacks_pgd import Linear

from ecgadv.attacks import band_pgd
from ecgadv.attacks.band import filtered, inside
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

RATE, BAND = 120.0, {"rate": 120.0, "low_hz": 5.0, "high_hz": 20.0}


def outside(delta):
    """The share of the energy that lies outside the band, by a transform of its own."""
    length = delta.shape[-1]
    time = torch.arange(length, dtype=torch.float64)
    waves = torch.exp(-2j * math.pi * time[:, None] * time / length)
    power = (delta.to(torch.complex128) @ waves).abs().square().sum((0, 1))
    hertz = torch.minimum(time, length - time) * RATE / length
    return float(power[(hertz < 5) | (hertz > 20)].sum() / power.sum())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_stays_in_the_band_and_in_the_budget(norm):
    model = Linear(2, 90, scale=1e-3).double()
    x = torch.randn(3, 2, 90, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y, threat = (model(x)[:, 1] > 0).long(), Threat(0.01, norm)
    found = band_pgd(model, x, y, threat, steps=15, step_size=0.002, **BAND)
    threat.check(found, x)
    assert outside(found - x) < 1e-12
    torch.testing.assert_close(threat.share(found, x), torch.ones(3, dtype=torch.float64))


def test_reaches_the_optimum_of_a_linear_model_in_l2():
    model = Linear(1, 90, scale=1e-3).double()
    x = torch.randn(3, 1, 90, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = (model(x)[:, 1] > 0).long()
    found = band_pgd(model, x, y, Threat(0.01, "l2"), steps=10, step_size=0.01, **BAND)
    up = filtered(model.ascent(y), inside(90, RATE, 5.0, 20.0))
    best = 0.01 * up / up.norm(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(found, x + best, rtol=0, atol=1e-8)


def test_reaches_most_of_the_optimum_of_a_wave_in_linf():
    """Of a linear model of one wave the best is that wave, as high as eps allows, or flatter."""
    model, time = Linear(1, 120).double(), torch.arange(120, dtype=torch.float64)
    model.weight.data = 1e-4 * torch.sin(2 * math.pi * 10 * time / RATE)[None]
    x = torch.zeros(1, 1, 120, dtype=torch.float64) + model.weight.data
    y = torch.ones(1, dtype=torch.int64)
    found = band_pgd(model, x, y, Threat(1e-6), steps=20, step_size=2e-7, **BAND)
    rise = (model.ascent(y) * (found - x)).sum()
    assert rise >= 0.95e-6 * 1e-4 * 60


@pytest.mark.parametrize(
    ("band", "named"),
    [
        ((5.0, 70.0), "at most 60, half the rate"),
        ((8.0, 5.0), "give 0 <= low_hz < high_hz"),
        ((True, 5.0), "the band runs from True"),
        ((5.1, 5.2), "no frequency of 40 values lies from 5.1 to 5.2 Hz, they are 3 Hz apart"),
    ],
)
def test_what_is_no_band_is_told(band, named):
    x, y = torch.rand(2, 1, 40), torch.tensor([0, 1])
    options = {"rate": RATE, "low_hz": band[0], "high_hz": band[1]}
    with pytest.raises(EcgadvError, match=named):
        band_pgd(Linear(1, 40), x, y, Threat(0.1), steps=1, step_size=0.1, **options)
