"""TRADES against its formula, and what a short training with it does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import setting

from ecgadv import attacks
from ecgadv.defenses import trades
from ecgadv.experiments import run
from ecgadv.experiments.config import Defense
from ecgadv.models.stacking import stack
from ecgadv.threat import Threat


def moved(model, x, q, mask):
    return x + 0.3


def formula(model, x, y, beta):
    p, p_adv = (torch.softmax(model(z), -1).detach().numpy() for z in (x, x + 0.3))
    entropy = -np.log(p[np.arange(5), y.numpy()])
    return float((entropy + beta * (p * np.log(p / p_adv)).sum(1)).mean())


def test_the_loss_is_that_of_the_paper():
    model, x, y = setting()
    for beta in (0.5, 6.0):
        found = trades.loss(model, x, y, attack=moved, beta=beta)
        assert found.item() == pytest.approx(formula(model, x, y, beta), rel=1e-12)


def test_seeds_side_by_side_are_summed():
    models, xs, ys = zip(*(setting(seed) for seed in range(3)), strict=True)
    together = trades.loss(stack(models), torch.stack(xs), torch.stack(ys), attack=moved, beta=2.0)
    alone = sum(formula(m, x, y, 2.0) for m, x, y in zip(models, xs, ys, strict=True))
    assert together.item() == pytest.approx(alone, rel=1e-12)


def test_the_attack_raises_the_divergence_from_what_the_network_says():
    model, x, _ = setting()
    seen = []

    def attack(model, x, q, mask):
        options = {"steps": 10, "step_size": 0.05, "keep": "last"}
        seen.append((q, attacks.pgd(model, x, q, Threat(0.2), mask=mask, **options)))
        return seen[-1][1]

    wrong = torch.tensor([1, 1, 1, 1, 1])  # labels do not matter to the attack
    trades.loss(model, x, wrong, attack=attack)
    (said, x_adv), p = seen[0], torch.softmax(model(x), -1)
    torch.testing.assert_close(said, p)

    def divergence(z):
        return (p * (p.log() - model(z).log_softmax(-1))).sum(-1)

    draw = x + 0.2 * (2 * torch.rand(200, *x.shape, dtype=torch.float64) - 1)
    typical = torch.stack([divergence(z) for z in draw]).mean(0)
    assert (divergence(x_adv) > 2 * typical).all()
    assert ((x_adv - x).abs() <= 0.2 + 1e-12).all()


def test_a_config_trains_with_it():
    import tiny

    options = {"eps": 0.1, "steps": 2, "step_size": 0.05, "beta": 3.0}
    config = replace(tiny.PLAIN, defense=Defense("trades", options=options))
    built = run.build_loss(config, "normalised", torch.Generator().manual_seed(0))
    model, x, y = setting()
    x = x.abs().clamp(0, 1)
    value = built(model, x, y, None)
    value.backward()
    plain = trades.loss(model, x, y, attack=lambda model, x, q, mask: x)
    assert value > plain and all(p.grad.abs().sum() > 0 for p in model.parameters())
