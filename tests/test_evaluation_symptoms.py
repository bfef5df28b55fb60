"""Planted defenses are flagged, honest networks are not."""

from functools import partial

import pytest
import torch
from torch import nn

import ecgadv
from ecgadv.attacks import apgd, pgd, square
from ecgadv.evaluation.suite import Step


def data():
    """Three shapes of beats, noisy, of four people."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(120) % 3
    time = torch.linspace(0, 6, 30)
    shapes = torch.stack([torch.sin(time), torch.cos(2 * time), torch.exp(-((time - 3) ** 2))])
    return shapes[y][:, None] + 0.3 * torch.randn(120, 1, 30, generator=generator), y


X, Y = data()


def trained(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = {
            "mlp": [nn.Flatten(), nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 3)],
            "cnn": [
                *(nn.Conv1d(1, 8, 7, padding=3), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2)),
                *(nn.Flatten(), nn.Linear(240, 3)),
            ],
        }
        network = nn.Sequential(*layers[kind])
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(X), Y).backward()
            optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def honest():
    return {kind: trained(kind) for kind in ("mlp", "cnn")}


QUICK = [
    Step("apgd", partial(apgd, steps=20, targets=2)),
    Step("square", partial(square, queries=60), blind=True),
]


def failed(model, **options):
    report = ecgadv.evaluate(model, X[:40], Y[:40], **{"eps": 0.2, "attacks": QUICK, **options})
    return {indicator.name for indicator in report.failed}


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_honest_networks_pass(honest, kind):
    assert failed(honest[kind]) == set()
    assert failed(honest[kind], eps=1.0, norm="l2", attacks=QUICK[:1]) == set()


class Rounded(torch.autograd.Function):
    """A quantiser with a gradient that passes straight through."""

    @staticmethod
    def forward(ctx, x):
        return (x / 0.5).round() * 0.5

    @staticmethod
    def backward(ctx, gradient):
        return gradient


PLANTED = {
    "saturating temperature": (lambda f, x: f(x) * 1e4, "logits too large"),
    "quantiser": (lambda f, x: f((x / 0.5).round() * 0.5), "zero gradients (margin)"),
    "straight through": (
        lambda f, x: f(Rounded.apply(x)),
        "loss does not rise along its gradient",
    ),
    "hidden gradient": (lambda f, x: f(x.detach()), "zero gradients (margin)"),
    "wrong normalisation": (lambda f, x: f((x - 40) / 0.01), "no better than a guess"),
    "clamped input": (lambda f, x: f(x.clamp(-1e-3, 1e-3) * 1e3), "zero gradients (margin)"),
    "dropout left on": (
        lambda f, x: f(nn.functional.dropout(x, 0.2, training=True)),
        "answers differ when asked twice",
    ),
    "batch statistics at test time": (
        lambda f, x: f((x - x.mean((0, 2), keepdim=True)) / x.std()),
        "answers differ when asked twice",
    ),
    "smoothing at test time": (
        lambda f, x: f(x + 0.3 * torch.randn_like(x)),
        "answers differ when asked twice",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defense_is_flagged(honest, name):
    plant, sign = PLANTED[name]
    torch.manual_seed(0)
    assert sign in failed(lambda x: plant(honest["mlp"], x), eps=0.1, attacks=QUICK[:1])


def test_a_dead_relu_is_flagged(honest):
    class Dead(nn.Module):
        def forward(self, x):
            return honest["mlp"](x) + 1e6 * torch.relu(-1 - x.square()).sum((1, 2))[:, None]

    assert failed(Dead(), eps=0.1, attacks=QUICK[:1]) == set()  # it does no harm beside the others
    dead = nn.Sequential(nn.Flatten(), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    dead[1].bias.data.fill_(-1e3)
    found = failed(dead, eps=0.1, attacks=QUICK[:1])
    assert {"zero gradients (margin)", "large budget holds", "no better than a guess"} <= found


def test_more_steps_than_a_weak_attack_takes_gain(honest):
    weak = partial(pgd, steps=1, step_size=0.03)
    assert "gains from more steps" in failed(honest["mlp"], eps=0.3, attacks=[("weak", weak)])
