"""The network of twelve leads: steps of training and of attacks, beside a plain form of it."""

from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.attacking import NO_PEER
from benchmarks.timing import Row, in_turns, ratio
from ecgadv import attacks, defenses
from ecgadv.experiments.suites.twelve_leads import JACOBIAN_BETA, NETWORK, NSR_BETA
from ecgadv.models.resnet18a import ResNet18a
from ecgadv.threat import Threat

GOAL = "1.5 on 2 cores"
CLASSES, LEADS = 9, 8
EPS = 0.01
# Its options, samples of a recording, recordings of a batch.
FORMS = {"100 Hz": (NETWORK, 1000, 64), "500 Hz, whole": ({}, 33_792, 4)}


def leads(*, quick: bool) -> list[Row]:
    """Milliseconds a recording and step: undefended, NSR, Jacobian, and an attack."""
    rows = []
    for name, (options, length, batch) in FORMS.items():
        if quick:
            options, length, batch = {**options, "width": 2}, min(length, 2112), 2
        network, plain = _networks(options)
        x, y = _recordings(batch, length)
        what, each = f"{name}, {batch} recordings", 1e3 / batch
        for step, ours in _steps(network, x, y).items():
            a, b = in_turns([ours, partial(_plain_step, step, plain, x, y)], rounds=_rounds(quick))
            rows.append(
                Row(
                    *("leads", f"{what}, {step}", "ms a recording and step"),
                    *(median(a) * each, median(b) * each, "plain", ratio(a, b), GOAL),
                )
            )
        rows.append(_attack(network, plain, x, y, what=what, quick=quick))
    return rows


def _rounds(quick: bool) -> int:
    return 1 if quick else 3


def _networks(options: dict) -> tuple[ResNet18a, peers.PlainResNet]:
    torch.manual_seed(0)
    network = ResNet18a(classes=CLASSES, leads=LEADS, **options)
    plain = peers.PlainResNet(classes=CLASSES, leads=LEADS, **options)
    plain.load_state_dict(network.state_dict())
    return network, plain


def _recordings(batch: int, length: int) -> tuple[Tensor, Tensor]:
    x = 2 * torch.rand(batch, LEADS, length, generator=torch.Generator().manual_seed(0)) - 1
    return x, torch.arange(batch) % CLASSES


def _steps(network: nn.Module, x: Tensor, y: Tensor) -> dict[str, Callable[[], None]]:
    """Return the losses of the suite's defenses, each with its backward pass."""
    losses = {
        "undefended": defenses.cross_entropy.loss,
        "NSR": partial(defenses.nsr.loss, beta=NSR_BETA, gate=True),
        "Jacobian": partial(
            defenses.jacobian.loss, beta=JACOBIAN_BETA, norm="rooted", divisor=CLASSES
        ),
    }
    return {name: lambda loss=loss: loss(network, x, y).backward() for name, loss in losses.items()}


def _plain_step(step: str, network: nn.Module, x: Tensor, y: Tensor) -> None:
    """The same losses as one would write them down."""
    x = x.clone().requires_grad_(step != "undefended")
    logits = network(x)
    if step == "undefended":
        loss = F.cross_entropy(logits, y)
    elif step == "NSR":
        loss = peers.plain_nsr(logits, x, y, beta=NSR_BETA)
    else:
        loss = peers.plain_jacobian(logits, x, y, beta=JACOBIAN_BETA)
    loss.backward()


def _attack(network, plain, x: Tensor, y: Tensor, *, what: str, quick: bool) -> Row:
    """PGD beside a peer's, which wants signals within [0, 1]."""
    steps, what = 2 if quick else 5, f"{what}, PGD"
    shifted = nn.Sequential(peers.Shift(), plain)
    others = peers.pgd(shifted, eps=EPS / 2, step_size=EPS / 20, steps=steps)
    if not others:
        return Row("leads", what, not_run=NO_PEER)
    name, theirs = next(iter(others.items()))
    threat = Threat(EPS, low=-1.0, high=1.0)
    ours = partial(attacks.pgd, network, x, y, threat, steps=steps, step_size=EPS / 10, keep="last")
    a, b = in_turns([ours, partial(theirs, (x + 1) / 2, y)], rounds=_rounds(quick))
    each = 1e3 / (len(x) * steps)
    numbers = median(a) * each, median(b) * each, f"{name} on the plain form", ratio(a, b), GOAL
    return Row("leads", what, "ms a recording and step", *numbers)
