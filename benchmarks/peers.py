"""What we are measured against: plain networks and losses, torchattacks, SAP's 25 convolutions."""

import math
from itertools import pairwise

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


class PlainResBlock(nn.Module):
    """A block of paper B's network on CPSC2018, each layer by itself."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.InstanceNorm1d(outputs, affine=True)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.InstanceNorm1d(outputs, affine=True)
        self.beside = nn.Conv1d(inputs, outputs, 1, stride=2, bias=False)
        self.beside_norm = nn.InstanceNorm1d(outputs, affine=True)

    def forward(self, h: Tensor) -> Tensor:
        inner = self.second_norm(self.second(F.leaky_relu(self.first_norm(self.first(h)))))
        return F.leaky_relu(inner + self.beside_norm(self.beside(h)))


class PlainResNet(nn.Module):
    """The network of `ecgadv.models.resnet18a`, with its state dict, without a mask."""

    def __init__(self, *, classes, leads, width=64, blocks=8, stride=2, pool=True):
        super().__init__()
        channels = [width, *(width * 2 ** (block // 2) for block in range(blocks))]
        self.stem = nn.Conv1d(leads, width, 11, stride=stride, padding=5, bias=False)
        self.stem_norm = nn.InstanceNorm1d(width, affine=True)
        self.pool = nn.MaxPool1d(3, stride=2, padding=1) if pool else nn.Identity()
        self.blocks = nn.ModuleList(PlainResBlock(*pair) for pair in pairwise(channels))
        self.last = nn.Conv1d(channels[-1], channels[-1], 3)
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.pool(F.leaky_relu(self.stem_norm(self.stem(x))))
        for block in self.blocks:
            h = block(h)
        return self.output(F.relu(self.last(h)).mean(-1))


class Shift(nn.Module):
    """Signals within [0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


def plain_nsr(logits: Tensor, x: Tensor, y: Tensor, *, beta: float) -> Tensor:
    """Paper B's loss on CPSC2018 (PROTOCOLS 3.3 and 3.6) for x that requires its gradient."""
    target = F.one_hot(y, logits.shape[1])
    own = logits[target == 1]
    right = logits.argmax(1) == y
    terms = (1 - own[:, None] + logits)[right][target[right] == 0]
    terms = terms[terms > 0]
    signal = F.relu(own)
    (slopes,) = torch.autograd.grad(signal.sum(), x, create_graph=True)
    ratios = torch.log1p(slopes.abs().sum((1, 2)) / (signal + 0.01))[right]
    squares = (logits - target).square().sum(1).mean()
    return squares + sum(part.sum() / max(1, len(part)) for part in (terms, beta * ratios))


def plain_jacobian(logits: Tensor, x: Tensor, y: Tensor, *, beta: float) -> Tensor:
    """Cross-entropy and the root of all squared slopes, as paper B has it on CPSC2018."""
    squares = 0.0
    for row in logits.unbind(1):
        (slopes,) = torch.autograd.grad(row.sum(), x, create_graph=True)
        squares = squares + slopes.square().sum()
    return F.cross_entropy(logits, y) + beta * squares.sqrt() / logits.numel()


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
