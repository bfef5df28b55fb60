"""Training on noise against the closed form of a linear network, by quadrature."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from small import setting
from test_attacks_pgd import Linear

from ecgadv.defenses import cross_entropy, gaussian
from ecgadv.experiments import run
from ecgadv.experiments.config import Defense
from ecgadv.models.stacking import stack


def drawn():
    return torch.Generator().manual_seed(0)


def test_the_mean_loss_is_that_of_a_linear_network_under_gaussian_noise():
    model = Linear(1, 20).double()  # logits -w x and w x
    x = torch.randn(3, 1, 20, dtype=torch.float64, generator=drawn()) / 4
    y = torch.tensor([0, 1, 1])
    sigma, draws = 0.3, 20_000
    many = x.repeat(draws, 1, 1), y.repeat(draws)
    found = gaussian.loss(model, *many, sigma=sigma, generator=drawn())
    # w (x + sigma n) is normal about w x with deviation sigma |w|.
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    score = model(x)[:, 1].detach().numpy()[:, None]
    score = score + sigma * float(model.weight.detach().norm()) * nodes
    sign = np.where(y.numpy() == 1, -1, 1)[:, None]
    expected = (np.logaddexp(0, 2 * sign * score) * weights / weights.sum()).sum(1).mean()
    assert found.item() == pytest.approx(expected, rel=0.01)


def test_seeds_side_by_side_are_summed_and_each_has_noise_of_its_own():
    models, xs, ys = zip(*(setting(seed) for seed in range(2)), strict=True)
    x, y = torch.stack(xs), torch.stack(ys)
    together = gaussian.loss(stack(models), x, y, sigma=0.2, generator=drawn())
    noise = torch.randn(x.shape, generator=drawn(), dtype=x.dtype)
    assert not torch.equal(noise[0], noise[1])
    noisy = zip(models, x + 0.2 * noise, ys, strict=True)
    alone = sum(cross_entropy.loss(*about) for about in noisy)
    assert together.item() == pytest.approx(alone.item(), rel=1e-12)


def test_the_padding_stays_without_noise():
    x = torch.rand(2, 1, 12, generator=drawn())
    mask = (torch.arange(12) < 5).expand(2, 1, 12)
    seen = []

    def watched(z):
        seen.append(z)
        return z[:, 0, :2]

    gaussian.loss(watched, x, torch.tensor([0, 1]), mask, sigma=0.5, generator=drawn())
    moved = (seen[0] != x).squeeze(1)
    assert torch.equal(moved, mask.squeeze(1))


def test_a_config_trains_with_it():
    config = replace(tiny.PLAIN, defense=Defense("gaussian", options={"sigma": 0.2}))
    model, x, y = setting()
    built = run.build_loss(config, "normalised", drawn())
    again = gaussian.loss(model, x, y, sigma=0.2, generator=drawn())
    assert built(model, x, y, None).item() == again.item()
