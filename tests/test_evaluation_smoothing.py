"""The certificate of randomized smoothing: scipy, and the closed form of a linear network."""

import numpy as np
import pytest
import torch
from scipy import stats
from strangers import refused
from test_attacks_pgd import Linear

from ecgadv.evaluation.smoothing import ABSTAINED, at_least, certify


@pytest.mark.parametrize("n", [1, 100, 2000])
def test_the_lower_end_is_that_of_clopper_and_pearson(n):
    for hits in {0, 1, n // 2, n - 1, n}:
        for alpha in (0.05, 0.001):
            expected = stats.beta.ppf(alpha, hits, n - hits + 1) if hits else 0.0
            assert at_least(hits, n, alpha) == pytest.approx(expected, abs=1e-9)


def linear(n=12):
    model = Linear(1, 20).double()
    x = torch.randn(n, 1, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    score = model(x).detach()[:, 1]
    return model, x, (score > 0).long().numpy(), score.abs().numpy()


def test_a_linear_network_is_certified_to_a_little_less_than_its_boundary():
    model, x, y, score = linear()
    far = score / float(model.weight.detach().norm())
    found = certify(model, x, sigma=0.5, samples=4000)
    # With certainty of the share the radius would be the distance to the plane; see the paper.
    assert (found.radius <= far).all()
    sure = (far > 0.1) & (far < 1.0)
    assert sure.sum() >= 3
    assert (found.radius[sure] > far[sure] - 0.1).all()
    assert (found.read[sure] == y[sure]).all()
    most = 0.5 * stats.norm.ppf(0.001 ** (1 / 4000))
    assert found.radius.max() <= most * (1 + 1e-9)
    np.testing.assert_array_equal(found.held(y, 0.3), (found.read == y) & (found.radius > 0.3))
    np.testing.assert_allclose(found.rms(1000.0), 1000 * found.radius / np.sqrt(20))


def test_it_abstains_at_the_boundary():
    model, x, _, _ = linear(4)
    w = model.weight.detach()
    x = x - (x * w).sum((1, 2), keepdim=True) / w.square().sum() * w  # onto the plane
    found = certify(model, x, sigma=0.5, samples=300)
    assert (found.read == ABSTAINED).all() and (found.radius == 0).all()


def test_noise_stays_within_the_mask():
    model, x, _, _ = linear(3)
    mask = (torch.arange(20) < 8).expand(3, 1, 20)
    seen = []

    def watched(z):
        seen.append(z)
        return model(z)

    found = certify(watched, x, sigma=0.5, samples=50, select=10, mask=mask)
    assert found.values.tolist() == [8, 8, 8]
    assert all(
        torch.equal(z[..., 8:], x[i // 2 : i // 2 + 1, :, 8:].expand(len(z), 1, 12))
        for i, z in enumerate(seen)
    )


def test_what_does_not_fit_is_told():
    model, x, _, _ = linear(2)
    refused("sigma is 0", certify, model, x, sigma=0)
    refused("alpha is 0.7", certify, model, x, sigma=1.0, alpha=0.7)
