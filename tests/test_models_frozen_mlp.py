"""The MLP with fixed parameters on a CPU equals the plain network of linear layers and ReLUs."""

import pytest
import torch
from small import plain

from ecgadv import models
from ecgadv.attacks import pgd
from ecgadv.models.stacking import stack
from ecgadv.threat import Threat

CLOSE = {torch.float64: {"rtol": 0, "atol": 1e-12}, torch.float32: {"rtol": 1e-5, "atol": 1e-5}}


def mlp(seed=0, dtype=torch.float64, **options):
    """An MLP of which some units are off for every beat."""
    torch.manual_seed(seed)
    network = models.build("beat-mlp", **options).to(dtype)
    for layer in network.layers:
        layer.bias.data.normal_()
    for layer in network.layers[:3]:
        layer.bias.data[:2] = -100.0
    return network


def beats(*shape, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("count", [1, 7])
def test_logits_and_gradient_are_those_of_the_plain_network(dtype, count):
    network = mlp(dtype=dtype, classes=3, width=20).requires_grad_(False)
    x, weight = beats(count, 1, 187, dtype=dtype), torch.randn(count, 3, dtype=dtype)
    ours, theirs = network(x), plain(network, x)
    torch.testing.assert_close(ours, theirs, **CLOSE[dtype])
    with torch.no_grad():
        torch.testing.assert_close(network(x), theirs, **CLOSE[dtype])
    (gradient,) = torch.autograd.grad(ours, x, weight, retain_graph=True)
    (again,) = torch.autograd.grad(ours, x, weight)
    (expected,) = torch.autograd.grad(theirs, x, weight)
    torch.testing.assert_close(gradient, expected, **CLOSE[dtype])
    assert torch.equal(gradient, again)


def test_stacked_seeds_are_each_by_itself():
    networks = [mlp(seed, width=9) for seed in range(3)]
    together, x = stack(networks).requires_grad_(False), beats(3, 5, 1, 187)
    logits = together(x)
    expected = torch.stack([plain(*pair) for pair in zip(networks, x, strict=True)])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(logits.square().sum(), x)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seeds", [None, 2])
def test_a_gradient_can_be_differentiated(seeds):
    network, x = mlp(width=9), beats(4, 1, 187)
    if seeds:
        network, x = stack([network, mlp(1, width=9)]), beats(seeds, 4, 1, 187)

    def penalty_gradient():
        logits = network(x)
        (gradient,) = torch.autograd.grad(logits.square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    wanted = penalty_gradient()
    network.requires_grad_(False)
    assert wanted.abs().max() > 0
    torch.testing.assert_close(penalty_gradient(), wanted, rtol=1e-10, atol=1e-10)


def test_one_trained_parameter_gets_its_gradient():
    network = mlp().requires_grad_(False)
    network.layers[4].bias.requires_grad_(True)
    network(beats(6, 1, 187)).sum().backward()
    assert network.layers[4].bias.grad.tolist() == [6] * 5


def test_weights_changed_between_two_passes_are_seen():
    network, x = mlp().requires_grad_(False), beats(3, 1, 187)
    network(x)
    for parameter in network.parameters():
        parameter.data.mul_(1.5)
    torch.testing.assert_close(network(x), plain(network, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_an_attack_finds_what_it_finds_on_the_plain_network(masked):
    network, x = mlp(), beats(6, 1, 187).detach()
    y, mask = plain(network, x).argmax(-1), torch.arange(187) < 150
    options = {
        "steps": 5, "step_size": 0.02, "random_start": False, "keep": "last",
        "mask": mask.expand(6, 1, 187) if masked else None,
    }  # fmt: skip

    class Plain(torch.nn.Module):
        def forward(self, x):
            return plain(network, x)

    ours, theirs = (
        pgd(m, x, y, Threat(0.1, low=0.0, high=1.0), **options) for m in (network, Plain())
    )
    assert (ours != x).any()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_bfloat16_goes_on_in_ordinary_operations():
    network, x = (
        mlp(dtype=torch.float32).requires_grad_(False),
        beats(4, 1, 187, dtype=torch.float32),
    )
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(x)
        (gradient,) = torch.autograd.grad(logits.float().square().sum(), x)
    assert logits.dtype == torch.bfloat16
    assert gradient.dtype == torch.float32
