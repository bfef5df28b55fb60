"""The MLP's own products with its Jacobian against plain autograd on linear layers and ReLUs."""

import pytest
import torch
from small import plain

from ecgadv import models
from ecgadv.models.stacking import stack

CLOSE = {torch.float64: {"rtol": 1e-10, "atol": 1e-12}, torch.float32: {"rtol": 1e-4, "atol": 1e-5}}


def mlp(seed, dtype):
    """An MLP of which some units are off for every beat."""
    torch.manual_seed(seed)
    network = models.build("beat-mlp", length=30, classes=4, width=11).to(dtype)
    for layer in network.layers:
        layer.bias.data.normal_(std=0.3)
    for layer in network.layers[:3]:
        layer.bias.data[:2] = -100.0
    return network


def setting(dtype, seeds, several):
    networks = [mlp(seed, dtype) for seed in range(seeds or 1)]
    x = torch.rand(*([seeds] if seeds else []), 6, 1, 30, dtype=dtype)
    vectors = torch.randn(*([3] if several else []), *x.shape[:-2], 4, dtype=dtype)
    weight = torch.rand(*vectors.shape[:-1], 1, 30, dtype=dtype)
    return networks, x, vectors, weight


def by_autograd(network, x, vectors, weight):
    """Logits, products and the gradient of a penalty of both, one vector after another."""
    x = x.clone().requires_grad_()
    logits = plain(network, x)
    rows = vectors.reshape(-1, *logits.shape)
    pulled = [torch.autograd.grad(logits, x, v, create_graph=True)[0] for v in rows]
    pulled = torch.stack(pulled).reshape(*vectors.shape[:-1], 1, -1)
    total = (weight * pulled.abs()).sum() + pulled.square().sum() + logits.square().sum()
    return logits, pulled, torch.autograd.grad(total, list(network.parameters()))


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("seeds", [None, 2])
@pytest.mark.parametrize("several", [False, True], ids=["one vector", "three vectors"])
def test_products_and_their_gradients_are_those_of_autograd(dtype, seeds, several):
    networks, x, vectors, weight = setting(dtype, seeds, several)
    network = stack(networks) if seeds else networks[0]
    logits, pull = models.pullback(network, x)
    pulled = pull(vectors)
    total = (weight * pulled.abs()).sum() + pulled.square().sum() + logits.square().sum()
    gradients = torch.autograd.grad(total, list(network.parameters()))
    for seed, alone in enumerate(networks):
        of_seed = (slice(None),) * several + (seed,) if seeds else ()
        wanted = by_autograd(alone, x[seed] if seeds else x, vectors[of_seed], weight[of_seed])
        torch.testing.assert_close(logits[seed] if seeds else logits, wanted[0], **CLOSE[dtype])
        torch.testing.assert_close(pulled[of_seed], wanted[1], **CLOSE[dtype])
        for ours, theirs in zip(gradients, wanted[2], strict=True):
            torch.testing.assert_close(ours[seed] if seeds else ours, theirs, **CLOSE[dtype])
    assert pulled.abs().max() > 0.01


def test_a_third_gradient_is_refused_and_not_wrong():
    (network,), x, vectors, _ = setting(torch.float64, None, several=False)
    total = models.pullback(network, x)[1](vectors).square().sum()
    (gradient,) = torch.autograd.grad(total, network.layers[1].weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_x_and_the_parameters_stay_as_they_were():
    (network,), x, vectors, _ = setting(torch.float64, None, several=True)
    before = [x.clone(), *(p.detach().clone() for p in network.parameters())]
    models.pullback(network, x)[1](vectors).abs().sum().backward()
    after = [x, *network.parameters()]
    assert not x.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_bfloat16_takes_two_backward_passes():
    (network,), x, vectors, _ = setting(torch.float32, None, several=True)
    exact = models.pullback(network, x)[1](vectors)
    with torch.autocast("cpu", torch.bfloat16):
        logits, pull = models.pullback(network, x)
        rounded = pull(vectors.to(logits.dtype))
        rounded.float().abs().sum().backward()
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.1)
