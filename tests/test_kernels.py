"""Unit-norm kernels: how they start, how they are rescaled, and how dead ones are revived."""

import pytest
import torch

from ecgadv.models import BeatCNN, BeatMLP
from ecgadv.models.kernels import DeadKernels, normalize_kernels
from ecgadv.models.stacking import stack


def layers_of(model):
    return [m for m in model.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv1d)]


def norms(layer):
    return layer.weight.flatten(1).norm(dim=1)


def disturb(model):
    """Kernels of any norm, biases other than zero."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3).add_(torch.rand(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("kind", [BeatMLP, BeatCNN])
def test_every_kernel_starts_with_unit_norm_and_no_bias(kind):
    torch.manual_seed(0)
    for layer in layers_of(kind()):
        torch.testing.assert_close(norms(layer), torch.ones(len(layer.weight)))
        assert not layer.bias.any()
        # An isotropic direction: no weight is preferred, so their mean is near zero.
        assert layer.weight.mean().abs() < 4 / layer.weight[0].numel() ** 0.5 / len(layer.weight)


def test_which_layers_are_normalised():
    mlp, cnn = BeatMLP(), BeatCNN()
    assert mlp.normalized_layers() == list(mlp.layers[:4])  # not the output (row B8)
    left_out = set(layers_of(cnn)) - set(cnn.normalized_layers())
    assert left_out == {cnn.blocks[4].conv1, cnn.blocks[4].conv2}  # the last block (row B8)


@pytest.mark.parametrize("kind", [BeatMLP, BeatCNN])
def test_normalising_scales_each_kernel_with_its_bias(kind):
    model = disturb(kind(width=6)).double()
    before = [(m.weight.detach().clone(), m.bias.detach().clone()) for m in layers_of(model)]
    normalize_kernels(model.normalized_layers())
    for layer, (weight, bias) in zip(layers_of(model), before, strict=True):
        if layer not in model.normalized_layers():
            assert torch.equal(layer.weight, weight)
            assert torch.equal(layer.bias, bias)
            continue
        torch.testing.assert_close(norms(layer), torch.ones(len(weight), dtype=weight.dtype))
        # The function stays the same up to one positive factor a kernel.
        x = torch.rand(2, *weight.shape[1:], dtype=weight.dtype)
        call = torch.nn.functional.linear
        if weight.dim() == 3:
            call = torch.nn.functional.conv1d
        scale = weight.flatten(1).norm(dim=1)
        scale = scale[:, None] if weight.dim() == 3 else scale
        torch.testing.assert_close(
            call(x, layer.weight, layer.bias) * scale, call(x, weight, bias), rtol=1e-10, atol=1e-10
        )


def test_normalising_a_stack_is_normalising_each():
    models = [disturb(BeatCNN(width=4)) for _ in range(2)]
    stacked = stack(models)
    normalize_kernels(stacked.normalized_layers())
    for model in models:
        normalize_kernels(model.normalized_layers())
    every = zip(*(m.parameters() for m in models), strict=True)
    for together, singles in zip(stacked.parameters(), every, strict=True):
        torch.testing.assert_close(together, torch.stack(singles))


def test_normalising_leaves_a_kernel_of_zeros_finite():
    model = disturb(BeatMLP(width=4))
    with torch.no_grad():
        model.layers[0].weight[1] = 0
    bias = model.layers[0].bias[1].item()
    normalize_kernels(model.normalized_layers())
    assert not model.layers[0].weight[1].any()
    assert model.layers[0].bias[1].item() == bias


def backward(model, x):
    model.zero_grad()
    model(x).square().sum().backward()


def silence(layer, *kernels):
    """Keep these ReLU units off, so that their kernels get no gradient."""
    with torch.no_grad():
        layer.bias[list(kernels)] = -1e6


def test_dead_kernels_alone_are_drawn_anew():
    torch.manual_seed(1)
    model, x = disturb(BeatMLP(length=12, width=6)), torch.randn(30, 1, 12)
    first, second = model.layers[0], model.layers[1]
    with torch.no_grad():
        first.bias.fill_(5.0), second.bias.fill_(5.0), model.layers[2].bias.fill_(5.0)
    silence(first, 2, 4)
    silence(second, 0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    dead = DeadKernels(model.normalized_layers())
    for part in x.split(10):
        backward(model, part)
        dead.observe()
    assert dead.redraw(torch.Generator().manual_seed(0)) == 3
    changed = {
        "layers.0.weight": [2, 4],
        "layers.0.bias": [2, 4],
        "layers.1.weight": [0],
        "layers.1.bias": [0],
    }
    for name, value in model.state_dict().items():
        differs = (value != before[name]).flatten(1).any(1) if value.dim() > 1 else None
        differs = (value != before[name]) if differs is None else differs
        assert differs.nonzero().flatten().tolist() == changed.get(name, []), name
    torch.testing.assert_close(norms(first)[[2, 4]], torch.ones(2))
    assert first.bias[[2, 4]].tolist() == [0, 0]


def test_one_gradient_in_an_epoch_keeps_a_kernel_alive_and_counting_starts_anew():
    torch.manual_seed(1)
    model, x = disturb(BeatMLP(length=12, width=6)), torch.randn(10, 1, 12)
    with torch.no_grad():
        for layer in model.layers[:3]:
            layer.bias.fill_(5.0)
    dead = DeadKernels(model.normalized_layers())
    alive = model.layers[0].bias.detach().clone()
    backward(model, x)
    dead.observe()
    silence(model.layers[0], 3)
    backward(model, x)
    dead.observe()
    generator = torch.Generator().manual_seed(0)
    assert dead.redraw(generator) == 0
    backward(model, x)
    dead.observe()
    assert dead.redraw(generator) == 1
    assert model.layers[0].bias[3] == 0
    assert torch.equal(model.layers[0].bias[:3], alive[:3])


def test_dead_kernels_of_a_stack():
    torch.manual_seed(1)
    models = [BeatCNN(length=160, width=4) for _ in range(2)]
    with torch.no_grad():
        for model in models:
            model.hidden.bias.fill_(1e3)
        models[1].hidden.bias[7] = -1e6
    stacked = stack(models)
    before = stacked.hidden.weight.detach().clone()
    dead = DeadKernels([stacked.hidden])
    backward(stacked, torch.randn(2, 5, 1, 160))
    dead.observe()
    assert dead.redraw(torch.Generator().manual_seed(0)) == 1
    differs = (stacked.hidden.weight != before).any(-1)
    assert differs.nonzero().tolist() == [[1, 7]]
    torch.testing.assert_close(stacked.hidden.weight[1, 7].norm(), torch.tensor(1.0))
