"""Networks, signals, labels, masks and eps of others through every attack."""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from faults.outcomes import Case, judged
from torch import Tensor, nn

from ecgadv.attacks import adamax_pgd, apgd, boundary, fgsm, pgd, sap, spsa, uniform_noise
from ecgadv.threat import Threat

N, LEADS, LENGTH, K = 4, 2, 24, 3
EPS = 0.1


def by_decisions(model, x, y, threat, **options) -> Tensor:
    """Take the boundary attack, which has no budget, for one of the others."""
    start = x.flip(0) if torch.is_tensor(x) else x
    return boundary(model, x, y, start, target=None, steps=2, candidates=2, window=5, **options)


ATTACKS = {
    "uniform_noise": uniform_noise,
    "fgsm": fgsm,
    "pgd": partial(pgd, steps=2, step_size=0.05),
    "pgd on margins": partial(pgd, steps=2, step_size=0.05, loss="margin", restarts=2),
    "apgd": partial(apgd, steps=3),
    "targeted apgd": partial(apgd, steps=2, targets=2),
    "adamax_pgd": partial(adamax_pgd, steps=2, step_size=0.05),
    "spsa": partial(spsa, steps=2, step_size=0.05, samples=4, delta=0.01),
    "sap": partial(sap, pgd_steps=1, smooth_steps=2, step_size=0.05),
    "boundary": by_decisions,
}


class Net(nn.Module):
    """A small network whose output, or whose input, `change` makes strange."""

    def __init__(self, change: Callable = lambda x: x, before: nn.Module | None = None):
        super().__init__()
        self.before = before or nn.Identity()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.head = nn.Linear(LEADS * LENGTH, K)
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.head(self.before(x).flatten(1)))


class InPlace(nn.Module):
    """Takes the mean of each lead from what the caller passed, in place."""

    def forward(self, x: Tensor) -> Tensor:
        x -= x.mean(-1, keepdim=True)
        return x


@dataclass(frozen=True)
class Given:
    """What an attack is given."""

    model: Callable
    x: object
    y: object
    eps: object = EPS
    mask: object = None


def usual() -> Given:
    """Return what no attack minds."""
    rng = torch.Generator().manual_seed(0)
    x = torch.rand((N, LEADS, LENGTH), generator=rng)
    return Given(Net(), x, torch.arange(N) % K)


def _x(change: Callable) -> Callable[[Given], Given]:
    return lambda given: replace(given, x=change(given.x))


def _y(change: Callable) -> Callable[[Given], Given]:
    return lambda given: replace(given, y=change(given.y))


def _net(*arguments, **options) -> Callable[[Given], Given]:
    return lambda given: replace(given, model=Net(*arguments, **options))


def _mask(mask: object) -> Callable[[Given], Given]:
    return lambda given: replace(given, mask=mask)


def _eps(eps: object) -> Callable[[Given], Given]:
    return lambda given: replace(given, eps=eps)


def _set(value: float) -> Callable[[Tensor], Tensor]:
    return lambda x: x.index_fill(2, torch.tensor([3]), value)


WHOLE = torch.ones(N, 1, LENGTH, dtype=torch.bool)
KINDS = {
    "network of a tuple": _net(lambda logits: (logits, logits)),
    "network of a dict": _net(lambda logits: {"logits": logits}),
    "network of nothing": _net(lambda logits: None),
    "network of (B,)": _net(lambda logits: logits[:, 0]),
    "network of (B, K, T)": _net(lambda logits: logits[..., None].expand(-1, -1, 5)),
    "network of one logit": _net(lambda logits: logits[:, :1]),
    "network of NaN": _net(lambda logits: logits * float("nan")),
    "network of infinities": _net(lambda logits: logits * float("inf")),
    "network of integers": _net(lambda logits: logits.long()),
    "network of float64": lambda given: replace(given, model=Net().double()),
    "network of too few rows": _net(lambda logits: logits[:1]),
    "network without a gradient": _net(lambda logits: logits.detach()),
    "network of constants": _net(lambda logits: 0 * logits),
    "network in place": _net(before=InPlace()),
    "network that begins with ReLU in place": _net(before=nn.ReLU(inplace=True)),
    "network with batch statistics": _net(before=nn.BatchNorm1d(LEADS)),
    "network with dropout": _net(before=nn.Dropout(0.5)),
    "network that is a function": lambda given: replace(
        given, model=lambda x: torch.stack([x.mean((1, 2)), x[:, 0, 0], x[:, 0, 1]], 1)
    ),
    "network that is traced": lambda given: replace(
        given, model=torch.jit.freeze(torch.jit.trace(Net().eval(), given.x))
    ),
    "label -1": _y(lambda y: y - 1),
    "label K": _y(lambda y: y + 1),
    "labels int16": _y(Tensor.short),
    "labels uint8": _y(Tensor.byte),
    "labels bool": _y(Tensor.bool),
    "labels float": _y(Tensor.float),
    "labels multi-hot": _y(lambda y: torch.ones(N, K)),
    "labels soft": _y(lambda y: torch.full((N, K), 1 / K)),
    "labels soft with NaN": _y(lambda y: torch.full((N, K), float("nan"))),
    "labels as a list": _y(Tensor.tolist),
    "labels of numpy": _y(Tensor.numpy),
    "labels too few": _y(lambda y: y[:2]),
    "labels in a column": _y(lambda y: y[:, None]),
    "labels None": _y(lambda y: None),
    "mask of nothing": _mask(~WHOLE),
    "mask without a lead": _mask(WHOLE[:, 0]),
    "mask of each lead": _mask(WHOLE.expand(-1, LEADS, -1)),
    "mask of one row": _mask(WHOLE[:1]),
    "mask float": _mask(WHOLE.float()),
    "mask int64": _mask(WHOLE.long()),
    "mask of numpy": _mask(WHOLE.numpy()),
    "mask too short": _mask(WHOLE[..., :5]),
    "eps 0": _eps(0),
    "eps below 0": _eps(-0.1),
    "eps NaN": _eps(float("nan")),
    "eps infinite": _eps(float("inf")),
    "eps in words": _eps("0.1"),
    "eps None": _eps(None),
    "eps of numpy": _eps(np.float32(0.1)),
    "eps a sample": _eps(torch.linspace(0, 0.2, N).view(N, 1, 1)),
    "eps a lead": _eps(torch.tensor([0.0, 0.1]).view(1, LEADS, 1)),
    "eps of another batch": _eps(torch.ones(N + 1, 1, 1)),
    "eps without dimensions for it": _eps(torch.ones(LENGTH)),
    "eps beyond float16": _eps(1e9),
    "signals float64": _x(Tensor.double),
    "signals float16": _x(Tensor.half),
    "signals bfloat16": _x(Tensor.bfloat16),
    "signals int64": _x(Tensor.long),
    "signals complex": _x(lambda x: x + 1j),
    "signals of numpy": _x(Tensor.numpy),
    "signals with NaN": _x(_set(float("nan"))),
    "signals with infinity": _x(_set(float("inf"))),
    "signals without a lead": _x(lambda x: x[:, 0]),
    "signals of no sample": lambda given: replace(given, x=given.x[:0], y=given.y[:0]),
    "signals that need a gradient": _x(lambda x: x.clone().requires_grad_()),
    "signals that share memory": _x(lambda x: x[:1].expand(N, -1, -1)),
    "signals transposed in memory": _x(lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)),
}


def total() -> int:
    """Return how many cases `cases` gives."""
    return len(KINDS) * len(ATTACKS)


def cases(folder: Path, seed: int) -> Iterator[Case]:
    """Give each attack what is strange: its result keeps the budget, or one line says why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a gradient is zero, say: told, and no fault
        for kind, change in KINDS.items():
            for name, attack in ATTACKS.items():
                what = f"strange {kind.split()[0]}"
                case = judged(what, partial(_kept, attack, change(usual()), seed), True)
                yield case._replace(detail=f"{name}, {kind}: {case.detail}")


def _kept(attack: Callable, given: Given, seed: int) -> bool:
    """Return whether the result is within budget and mask, and all that was given is as it was."""
    before, state = copy.deepcopy(_plain(given.x)), _state(given.model)
    threat = Threat(given.eps)
    rng = torch.Generator().manual_seed(seed)
    found = attack(given.model, given.x, given.y, threat, mask=given.mask, generator=rng)
    untouched = np.array_equal(_plain(given.x), before) and _state(given.model) == state
    if attack is by_decisions:
        return untouched and bool(torch.isfinite(found.x_adv).all())
    moved = np.abs(_plain(found) - before)
    outside = np.zeros(before.shape, bool)
    if given.mask is not None:
        outside |= ~np.broadcast_to(np.asarray(given.mask, bool), before.shape)
    eps = np.asarray(given.eps, np.float64)
    # A unit in the last place of the largest value: x + eps cannot be exact.
    unit = torch.finfo(found.dtype).eps * (np.abs(before).max(initial=0) + eps.max())
    within = (moved <= eps + unit).all()
    return untouched and bool(within) and not moved[outside].any()


def _plain(x: object) -> np.ndarray:
    return np.asarray(x.detach().double() if torch.is_tensor(x) else x, np.float64)


def _state(model: object) -> list:
    if not isinstance(model, nn.Module):
        return []
    flags = [getattr(module, "training", None) for module in model.modules()]
    flags += [parameter.requires_grad for parameter in model.parameters()]
    return [flags, [value.tolist() for value in model.state_dict().values()]]
