"""In which numbers a network computes: inside the context alone, whatever happens there."""

import pytest
import torch

from ecgadv import models
from ecgadv.models.precision import PRECISIONS, computing_in

CPU = torch.device("cpu")


def flags():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def _restore():
    before = flags()
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("before", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_tf32_is_allowed_inside_alone(precision, before):
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    wanted = (precision == "tf32",) * 2
    with computing_in(precision, CPU):
        assert flags() == wanted
        assert torch.is_autocast_enabled("cpu") == (precision == "bf16")
    assert flags() == before
    with pytest.raises(BrokenError), computing_in(precision, CPU):
        raise BrokenError
    assert flags() == before
    assert not torch.is_autocast_enabled("cpu")


def test_contexts_nest():
    with computing_in("bf16", CPU):
        with computing_in("tf32", CPU):
            assert flags() == (True, True)
        assert flags() == (False, False)
        assert torch.is_autocast_enabled("cpu")


def test_weights_that_change_inside_are_seen():
    """As in training, where one context spans the steps of an epoch."""
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    with computing_in("bf16", CPU):
        before = layer(x)
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.fill_(2.0)
        after = layer(x)
    assert not torch.equal(before, after)
    assert after.tolist() == [[2.0, 2.0]]


def test_bf16_rounds_what_is_computed_and_not_the_weights():
    torch.manual_seed(0)
    layer, x = torch.nn.Conv1d(3, 4, 5), torch.randn(2, 3, 50)
    exact = layer(x)
    for precision in ("fp32", "tf32"):
        with computing_in(precision, CPU):
            assert torch.equal(layer(x), exact)
    with computing_in("bf16", CPU):
        rounded = layer(x)
        gradient = torch.autograd.grad(rounded.float().sum(), layer.weight)[0]
    assert rounded.dtype == torch.bfloat16
    assert gradient.dtype == layer.weight.dtype == torch.float32
    error = (rounded.float() - exact).abs().max()
    assert 0 < error < 2**-6 * exact.abs().max()  # eight bits


def test_the_first_layer_of_paper_a_sees_a_microvolt_in_bf16():
    torch.manual_seed(0)
    network = models.build("han-cnn", width=1 / 64, fewest=8).eval()
    x = 700.0 + torch.rand(2, 1, 1, 500)  # a QRS complex is as high
    assert torch.equal(x.bfloat16(), (x + 1).bfloat16())
    with computing_in("bf16", CPU), torch.no_grad():
        moved = network.blocks[0](x + 1) - network.blocks[0](x)
    assert moved.dtype == torch.bfloat16
    assert moved.any()
