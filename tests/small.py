"""Small things that several tests begin with: a generator, a network with its batch, a formula."""

import torch
from torch.nn import functional as F

from ecgadv.models import BeatMLP


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def setting(seed=0):
    """An MLP in float64, signals (5, 1, 8) and labels of its three classes."""
    torch.manual_seed(seed)
    model = BeatMLP(length=8, classes=3, width=6).double()
    return model, torch.randn(5, 1, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 0])


def plain(network, x):
    """The logits of a BeatMLP in ordinary operations."""
    h = x.flatten(-2)
    for layer in network.layers[:3]:
        h = F.linear(h, layer.weight, layer.bias).relu()
    for layer in network.layers[3:]:
        h = F.linear(h, layer.weight, layer.bias)
    return h
