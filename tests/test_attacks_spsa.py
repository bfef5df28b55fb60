"""SPSA: its estimate against the definition and the true gradient, and a known optimum."""

import pytest
import torch
from small import seeded
from test_attacks_pgd import Linear, Network

from ecgadv.attacks import spsa
from ecgadv.attacks.gradient import attack_loss, input_gradient
from ecgadv.attacks.spsa import estimated_gradient
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def test_the_estimate_is_the_mean_over_directions():
    network = Network().double()
    x = torch.rand(3, 1, 40, generator=seeded(), dtype=torch.float64)
    y = torch.tensor([0, 1, 2])
    logits, found = estimated_gradient(
        network, x, y, None, "margin", samples=11, delta=0.02, generator=seeded(3)
    )
    torch.testing.assert_close(logits, network(x).detach())
    directions = 2.0 * torch.randint(2, (11, 1, 40), generator=seeded(3)).double() - 1
    expected = torch.zeros_like(x)
    for i in range(3):
        for v in directions:
            up, down = (
                attack_loss("margin", network((x[i] + side * v)[None]), y[i : i + 1])
                for side in (0.02, -0.02)
            )
            expected[i] += (up - down).detach() / 0.04 * v / 11
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", ["margin", "ce"])
def test_many_directions_give_the_gradient(loss):
    network = Network().double()
    x = torch.rand(2, 1, 40, generator=seeded(), dtype=torch.float64)
    y = torch.tensor([0, 3])
    _, found = estimated_gradient(
        network, x, y, None, loss, samples=60_000, delta=1e-4, generator=seeded()
    )
    _, exact = input_gradient(network, x.requires_grad_(), y, None, loss)
    away = (found - exact).norm(dim=(1, 2)) / exact.norm(dim=(1, 2))
    # A value's error has the variance of the other 39 values' sum over the number of directions.
    assert (away < 3 * (39 / 60_000) ** 0.5).all()


def test_outside_the_mask_nothing_is_asked():
    network = Network().double()
    x = torch.rand(2, 1, 40, generator=seeded(), dtype=torch.float64)
    mask = (torch.arange(40) < torch.tensor([[[10]], [[40]]])).bool()
    _, found = estimated_gradient(
        network, x, torch.tensor([0, 1]), mask, "ce", samples=50, delta=0.1, generator=seeded()
    )
    assert (found[0, :, 10:] == 0).all() and (found[0, :, :10] != 0).all()
    assert (found[1] != 0).all()


def test_reaches_the_optimum_of_a_linear_model():
    model = Linear(2, 4, scale=1e-3).double()  # small: no example may be misclassified
    x = torch.rand(5, 2, 4, generator=seeded(), dtype=torch.float64)
    y = (model(x)[:, 1] > 0).long()
    eps = 1e-3
    found = spsa(
        model,
        x,
        y,
        Threat(eps),
        steps=20,
        step_size=eps,
        samples=4000,
        delta=0.01,
        generator=seeded(),
    )
    assert (model(found).argmax(-1) == y).all()
    torch.testing.assert_close(found, x + eps * model.ascent(y).sign(), rtol=0, atol=1e-12)


def test_bad_options_are_named():
    x, y = torch.rand(2, 1, 40), torch.tensor([0, 1])
    options = {"steps": 2, "step_size": 0.1, "samples": 4, "delta": 0.01}
    for changed, named in (
        ({"delta": 0}, "delta is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"step_size": -1.0}, "step_size is -1"),
    ):
        with pytest.raises(EcgadvError, match=named):
            spsa(Network(), x, y, Threat(0.1), **(options | changed))
    with pytest.raises(EcgadvError, match="linf"):
        spsa(Network(), x, y, Threat(0.1, "l2"), **options)
    with pytest.raises(EcgadvError, match="4 dimensions"):
        spsa(Network(), x[None], y[None], Threat(0.1), **options)
