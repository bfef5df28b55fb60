"""What we are measured against: plain networks and losses, other libraries' attacks."""

import contextlib
import math
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from unittest.mock import MagicMock

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


def pgd(model: nn.Module, *, eps: float, step_size: float, steps: int) -> dict[str, Callable]:
    """Return PGD of each peer that is installed, by its name: attack(x, y) for signals in [0, 1].

    All begin at random and take every step for every example.
    """
    return _installed(
        [_torchattacks_pgd, _foolbox_pgd, _art_pgd, _adv_lib_pgd],
        model,
        eps=eps,
        step_size=step_size,
        steps=steps,
    )


def parts(model: nn.Module, *, eps: float, classes: int) -> dict[str, dict[str, Callable]]:
    """Return by name what peers have of a cascade, by peer: attack(x, y) for signals in [0, 1]."""
    return {
        "Auto-PGD": _installed(
            [_torchattacks_apgd, _adv_lib_apgd], model, eps=eps, classes=classes
        ),
        "smallest": _installed([_foolbox_fmn, _adv_lib_fmn], model),
        "Square": _installed([_torchattacks_square], model, eps=eps),
        "AutoAttack": _installed([_torchattacks_auto], model, eps=eps, classes=classes),
    }


def _installed(makes, model: nn.Module, **options) -> dict[str, Callable]:
    found = {}
    for make in makes:
        with contextlib.suppress(ImportError):
            name, attack = make(model, **options)
            found[name] = attack
    return found


def _torchattacks_pgd(model, *, eps, step_size, steps):
    import torchattacks

    attack = torchattacks.PGD(model, eps=eps, alpha=step_size, steps=steps, random_start=True)
    return f"torchattacks {torchattacks.__version__}", attack


def _foolbox_pgd(model, *, eps, step_size, steps):
    import foolbox

    network = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LinfPGD(abs_stepsize=step_size, steps=steps)
    return f"foolbox {foolbox.__version__}", lambda x, y: attack(network, x, y, epsilons=eps)[1]


def _art_pgd(model, *, eps, step_size, steps):
    import art
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    network = PyTorchClassifier(
        *(model, nn.CrossEntropyLoss(), (1, 187), 5), clip_values=(0.0, 1.0), device_type="cpu"
    )
    options = {"eps": eps, "eps_step": step_size, "max_iter": steps, "num_random_init": 1}
    attack = ProjectedGradientDescentPyTorch(network, batch_size=4096, verbose=False, **options)

    def attacked(x, y):
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return f"ART {art.__version__}", attacked


class Picture(nn.Module):
    """A network of signals for attacks that want pictures (B, 1, 1, L)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x[:, :, 0])


def _of_pictures(make, model, **options):
    import torchattacks

    attack = make(torchattacks)(Picture(model).eval(), seed=0, **options)
    return f"torchattacks {torchattacks.__version__}", lambda x, y: attack(x[:, :, None], y)[
        :, :, 0
    ]


def _torchattacks_apgd(model, *, eps, classes):
    options = {"eps": eps, "steps": 100, "n_classes": classes}
    return _of_pictures(lambda peer: peer.APGDT, model, **options)


def _torchattacks_square(model, *, eps):
    return _of_pictures(lambda peer: peer.Square, model, eps=eps, n_queries=1000)


def _torchattacks_auto(model, *, eps, classes):
    return _of_pictures(lambda peer: peer.AutoAttack, model, eps=eps, n_classes=classes)


def _foolbox_fmn(model):
    import foolbox

    network = foolbox.PyTorchModel(model.eval(), bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.LInfFMNAttack(steps=100)
    return f"foolbox {foolbox.__version__}", lambda x, y: attack(network, x, y, epsilons=None)[1]


def _adv_lib(take: Callable) -> tuple[str, Callable]:
    """Return the name of adversarial-library, and what is taken of its module of attacks.

    It imports torchvision and visdom, which none of these attacks uses: they are made up meanwhile.
    """
    unused = {"torchvision", "visdom"} - sys.modules.keys()
    sys.modules.update({name: MagicMock() for name in unused})
    try:
        import adv_lib
        from adv_lib import attacks
    finally:
        for name in unused:
            del sys.modules[name]
    return f"adversarial-library {adv_lib.__version__}", take(attacks)


def _adv_lib_pgd(model, *, eps, step_size, steps):
    name, attack = _adv_lib(lambda peer: peer.pgd_linf)
    return name, partial(attack, model, ε=eps, absolute_step_size=step_size, steps=steps)


def _adv_lib_apgd(model, *, eps, classes):
    name, attack = _adv_lib(lambda peer: peer.apgd_targeted)
    options = {"eps": eps, "norm": math.inf, "n_iter": 100, "num_targets": classes - 1}
    return name, partial(attack, model, **options)


def _adv_lib_fmn(model):
    name, attack = _adv_lib(lambda peer: peer.fmn)
    return name, partial(attack, model, norm=math.inf, steps=100)


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
