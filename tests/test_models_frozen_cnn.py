"""The CNN with fixed parameters on a CPU equals the plain network of one-dimensional layers."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

from ecgadv import models
from ecgadv.models.frozen_cnn import FEWEST, PART
from ecgadv.models.stacking import stack


def plain(network, x):
    """The network as Kachuee et al. draw it, with conv1d."""
    h = network.stem(x)
    for block in network.blocks:
        inner = block.conv2(block.conv1(h).relu())
        h = F.max_pool1d((inner + h).relu(), 5, 2)
    return network.output(network.hidden(h.flatten(1)).relu())


def fixed(seed=0, **options):
    torch.manual_seed(seed)
    network = models.build("beat-cnn", **options).double()
    for parameter in network.parameters():
        if parameter.dim() == 1:  # a bias, initially zero
            parameter.data.normal_()
    return network.requires_grad_(False)


def beats(*shape):
    # No padding: where a beat is constant, rounding decides which maximum gets the gradient.
    return torch.rand(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("length, width", [(187, 32), (125, 4), (188, 8), (189, 3), (220, 4)])
def test_logits_and_gradient_are_those_of_the_plain_network(length, width):
    network = fixed(length=length, width=width, classes=3)
    x, weight = beats(FEWEST, 1, length), torch.randn(FEWEST, 3, dtype=torch.float64)
    ours, theirs = network(x), plain(network, x)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(ours, x, weight)
    (expected,) = torch.autograd.grad(theirs, x, weight)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", [1, FEWEST - 1, PART + 1])
def test_any_number_of_beats(count):
    network, x = fixed(width=4), beats(count, 1, 187)
    torch.testing.assert_close(network(x), plain(network, x), rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    (expected,) = torch.autograd.grad(plain(network, x).sum(), x)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("threads", [2, 3])
def test_several_threads_share_the_beats_and_leave_no_trace(threads):
    network, x = fixed(width=4), beats(3 * FEWEST + 1, 1, 187)
    expected = plain(network, x)
    (gradient,) = torch.autograd.grad(expected.square().sum(), x)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        logits = network(x)
        (ours,) = torch.autograd.grad(logits.square().sum(), x)
        assert torch.get_num_threads() == threads
        later = ThreadPoolExecutor(1).submit(torch.get_num_threads).result()
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours, gradient, rtol=0, atol=1e-12)
    assert later == threads


def test_single_precision_is_as_close_as_conv1d():
    network = fixed()
    x = beats(PART, 1, 187).detach()
    exact = plain(network, x)
    network.float()
    torch.testing.assert_close(network(x.float()).double(), exact, rtol=1e-5, atol=1e-5)


def test_stacked_seeds_are_attacked_each_by_itself():
    networks = [fixed(seed, width=4) for seed in range(3)]
    together = stack(networks).requires_grad_(False)
    x = beats(3, FEWEST, 1, 187)
    logits = together(x)
    (gradient,) = torch.autograd.grad(logits.square().sum(), x)
    for seed, network in enumerate(networks):
        torch.testing.assert_close(logits[seed], plain(network, x[seed]), rtol=0, atol=1e-12)
        alone = plain(network, x[seed]).square().sum()
        (expected,) = torch.autograd.grad(alone, x, retain_graph=True)
        torch.testing.assert_close(gradient[seed], expected[seed], rtol=0, atol=1e-12)


@pytest.mark.parametrize("seeds", [None, 2])
def test_a_gradient_can_be_differentiated(seeds):
    network = fixed(width=4)
    lead = () if seeds is None else (seeds,)
    if seeds:
        network = stack([network, fixed(1, width=4)]).requires_grad_(False)
    x = beats(*lead, FEWEST, 1, 187)

    def penalty_gradient(logits):
        (gradient,) = torch.autograd.grad(logits.square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    ours, ordinary = penalty_gradient(network(x)), penalty_gradient(network._layers(x))
    assert ours.abs().max() > 0
    torch.testing.assert_close(ours, ordinary, rtol=1e-10, atol=1e-10)


def test_a_second_backward_pass_gives_the_same():
    network, x = fixed(width=4), beats(FEWEST, 1, 187)
    total = network(x).sum()
    (first,) = torch.autograd.grad(total, x, retain_graph=True)
    (second,) = torch.autograd.grad(total, x)
    assert torch.equal(first, second)


def test_one_trained_parameter_gets_its_gradient():
    network, x = fixed(width=4), beats(FEWEST, 1, 187)
    network.output.bias.requires_grad_(True)
    network(x).sum().backward()
    assert network.output.bias.grad.tolist() == [FEWEST] * 5
