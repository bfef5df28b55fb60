"""Counted operations and the speed that follows, against sums done by hand."""

import pytest
import torch
import torch.nn.functional as F

from ecgadv.experiments import cost
from ecgadv.training import Samples, Schedule

N, INPUTS, CLASSES = 10, 3, 2
ONE_PASS = 2 * INPUTS * CLASSES  # of one example through the layer: a product and a sum each


def samples():
    return Samples(torch.rand(N, 1, INPUTS), torch.arange(N) % CLASSES, None)


def network():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(INPUTS, CLASSES))


def loss(model, x, y, mask):
    return F.cross_entropy(model(x), y)


def double(model, x, y, mask):
    return loss(model, x, y, mask) + loss(model, x, y, mask)


@pytest.mark.parametrize("batch", [4, 10, 64])
def test_operations_of_a_whole_training(batch):
    schedule = Schedule(epochs=5, batch_size=batch, sampler="natural")
    found = cost.operations(network(), loss, samples(), schedule, warmup_loss=double)
    # Forwards, and backwards to the weights alone: the input wants no gradient.
    assert found == 5 * N * 2 * ONE_PASS


def test_warm_up_epochs_count_with_their_own_loss():
    schedule = Schedule(epochs=5, warmup=2, batch_size=5, sampler="natural")
    found = cost.operations(network(), double, samples(), schedule, warmup_loss=loss)
    assert found == N * 2 * ONE_PASS * (2 * 1 + 3 * 2)


def test_counting_leaves_network_and_random_numbers_alone():
    model, examples = network(), samples()
    before = torch.get_rng_state()
    cost.operations(model, loss, examples, Schedule(epochs=1), warmup_loss=loss)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in model.parameters())


def test_speed_and_share_of_the_peak():
    device, peaks = next(iter(cost.PEAK.items()))
    found = cost.rate(3e12, 2.0, f"NVIDIA {device}", "fp32")
    assert found == {"tflops": 1.5, "share_of_peak": pytest.approx(1.5 / peaks["fp32"])}
    assert cost.rate(3e12, 2.0, "CPU (unknown)", "fp32")["share_of_peak"] is None
