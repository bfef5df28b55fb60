"""What we are measured against: the CNN in conv1d, torchattacks, SAP's 25 convolutions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgadv.attacks.sap import SIGMAS, SIZES


class PlainBlock(nn.Module):
    """A residual block as Kachuee et al. draw it."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 5, padding=2)
        self.conv2 = nn.Conv1d(width, width, 5, padding=2)

    def forward(self, h: Tensor) -> Tensor:
        inner = self.conv2(F.relu(self.conv1(h)))
        return F.max_pool1d(F.relu(inner + h), 5, stride=2)


class PlainCNN(nn.Module):
    """The network of `ecgadv.models.beat_cnn`, with its state dict, in one-dimensional layers."""

    def __init__(self, *, length: int = 187, classes: int = 5, width: int = 32):
        super().__init__()
        self.stem = nn.Conv1d(1, width, 5, padding=2)
        self.blocks = nn.ModuleList(PlainBlock(width) for _ in range(5))
        for _ in self.blocks:
            length = (length - 5) // 2 + 1
        self.hidden = nn.Linear(width * length, 32)
        self.output = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.output(F.relu(self.hidden(h.flatten(1))))


def flops(network: PlainCNN, length: int) -> int:
    """Return the operations of one beat's forward pass and input gradient, in products alone."""
    total = 0
    for layer in [network.stem, *network.blocks]:
        if isinstance(layer, PlainBlock):
            total += 2 * length * (layer.conv1.weight.numel() + layer.conv2.weight.numel())
            length = (length - 5) // 2 + 1
        else:
            total += 2 * length * layer.weight.numel()
    total += 2 * (network.hidden.weight.numel() + network.output.weight.numel())
    return 2 * total


def torchattacks_pgd(model: nn.Module, *, eps: float, step_size: float, steps: int):
    """Return (name, attack): torchattacks' PGD as attack(x, y), for signals within [0, 1].

    Raises ImportError where it is not installed.
    """
    import torchattacks

    attack = torchattacks.PGD(model, eps=eps, alpha=step_size, steps=steps, random_start=True)
    return f"torchattacks {torchattacks.__version__}", attack


def gaussian_kernels() -> list[Tensor]:
    """Return SAP's 25 normalised Gaussian kernels, each (1, 1, size)."""
    kernels = []
    for size in SIZES:
        offset = torch.arange(size) - size // 2
        for sigma in SIGMAS:
            weight = torch.exp(-(offset**2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)
            kernels.append((weight / weight.sum()).view(1, 1, size))
    return kernels


def smooth_by_25(theta: Tensor, kernels: list[Tensor]) -> Tensor:
    """Return the mean of 25 convolutions of theta (B, 1, L), as Han et al. define it."""
    return sum(F.conv1d(theta, k, padding=k.shape[-1] // 2) for k in kernels) / len(kernels)
