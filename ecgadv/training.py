"""The one training loop. It knows no defense: it is given a loss and minimises it.

Several seeds of one network may be trained side by side as a stacked network (see
`ecgadv.models.stacking`); each draws its own batches from its own seed.
"""

import copy
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv.errors import EcgadvError
from ecgadv.files import damage_told, read_sealed, write_sealed
from ecgadv.models.kernels import DeadKernels, normalize_kernels
from ecgadv.models.precision import PRECISIONS, computing_in

SAMPLERS = ("class-balanced", "natural")
OPTIMIZERS = {"adamax": torch.optim.Adamax, "adam": torch.optim.Adam}
RATES = ("constant", "one-cycle")
KEPT = ("last", "best")

Loss = Callable[[nn.Module, Tensor, Tensor, Tensor | None], Tensor]


class OutOfTime(Exception):  # noqa: N818  it is not an error: the checkpoint holds the progress
    """The deadline has passed; training goes on from its checkpoint next time."""


@dataclass(frozen=True)
class Schedule:
    """How long and with what steps to train; the defaults are paper B's on MIT-BIH (3.4)."""

    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3  #: the largest one of a one-cycle rate
    optimizer: str = "adamax"  #: or "adam"
    rate: str = "constant"  #: or "one-cycle", up in the first 30 % of the steps, then down to 0
    sampler: str = "class-balanced"  #: an epoch is K times the largest class; or "natural"
    copies: tuple[int, ...] = ()  #: how often "natural" draws each class in an epoch; once if empty
    epoch_share: float = 1.0  #: of that epoch which is drawn, the rest being left out
    warmup: int = 0  #: epochs with the warm-up loss before those with the loss itself
    keep: str = "last"  #: epoch; "best" is the first one of the highest validation accuracy
    precision: str = "fp32"  #: fp32, tf32 or bf16, of the arithmetic on the device
    decay: float = 0.0  #: before each step p -= lr * decay * (sign(p) + p)
    normalize: bool = False  #: kernels to unit norm at the start of each batch
    redraw_dead: bool = False  #: between epochs, draw kernels anew that had no gradient in one
    shift: int = 0  #: each sample drawn moves earlier by 0 to so many samples, less one
    steps_per_batch: int = 1  #: 2 repeats a slip of the authors' adversarial CNN (row B4)

    def __post_init__(self):
        object.__setattr__(self, "copies", tuple(self.copies))  # a list, if read from JSON
        allowed = {"sampler": SAMPLERS, "optimizer": OPTIMIZERS, "rate": RATES, "keep": KEPT}
        for name, names in (allowed | {"precision": PRECISIONS}).items():
            if getattr(self, name) not in names:
                found = getattr(self, name)
                raise EcgadvError(f"unknown {name} {found!r}; choose {' or '.join(names)}")
        if self.copies and (self.sampler != "natural" or min(self.copies) < 1):
            raise EcgadvError(
                f"copies {self.copies} with sampler {self.sampler!r}; give at least 1 for each "
                "class, with sampler 'natural'"
            )
        if not 0 < self.epoch_share <= 1:
            raise EcgadvError(f"epoch_share is {self.epoch_share}; give a share above 0, up to 1")
        for name in ("epochs", "batch_size", "steps_per_batch"):
            if getattr(self, name) < 1:
                raise EcgadvError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.shift < 0:
            raise EcgadvError(f"shift is {self.shift}; give 0 or a number of samples")
        if not 0 <= self.warmup < self.epochs:
            raise EcgadvError(f"warmup is {self.warmup}; give 0 to {self.epochs - 1} epochs")


@dataclass(frozen=True)
class Samples:
    """The training data on the device.

    Attributes:
        x: (N, C, L).
        y: labels (N,).
        mask: (N, 1, L), True where the recording is, or None.
        soft: probabilities (N, K) that the loss gets in place of the labels, or None.
    """

    x: Tensor
    y: Tensor
    mask: Tensor | None = None
    soft: Tensor | None = None


def epoch_order(y: np.ndarray, schedule: Schedule, seed: int, epoch: int) -> np.ndarray:
    """Return the sample indices of one epoch in the order of use.

    The class-balanced sampler (PROTOCOLS 3.1) tiles each class up to the size of the largest,
    shuffles it, and interleaves the classes, so every batch holds them in equal parts. The
    natural one draws each sample once, or as often as `copies` says for its class: paper A's
    oversampling, which its authors make after the split (PROTOCOLS 2.1).

    Args:
        y: labels of the training samples, int (N,).
        seed, epoch: together they determine the order.
    """
    rng = np.random.default_rng([seed, epoch])
    if schedule.sampler == "natural":
        return _share(rng.permutation(np.repeat(np.arange(len(y)), _times(y, schedule))), schedule)
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    largest = max(len(index) for index in members)
    tiled = [rng.permutation(np.resize(index, largest)) for index in members]
    return _share(np.stack(tiled, axis=1).ravel(), schedule)


def _times(y: np.ndarray, schedule: Schedule) -> np.ndarray | int:
    """Return how often an epoch draws each sample."""
    if not schedule.copies:
        return 1
    if y.max() >= len(schedule.copies):
        raise EcgadvError(
            f"copies {schedule.copies} for labels up to {y.max()}; give one number for each class"
        )
    return np.array(schedule.copies)[y]


def _share(order: np.ndarray, schedule: Schedule) -> np.ndarray:
    return order[: max(1, round(schedule.epoch_share * len(order)))]


def train(
    model: nn.Module,
    loss: Loss,
    samples: Samples,
    schedule: Schedule,
    *,
    seeds: Sequence[int],
    generator: torch.Generator,
    warmup_loss: Loss | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    checkpoint: Path | None = None,
    deadline: float | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    begin: Callable[[int], None] | None = None,
) -> list[dict]:
    """Train `model` in place and return one line of history an epoch.

    Args:
        model: a stacked network when there is more than one seed, else a plain one.
        loss: loss(model, x, y, mask) -> scalar, summed over seeds.
        samples: the training data, resident on the device.
        seeds: one for each network of the stack.
        generator: what the loss draws from; seeded anew at every epoch, as is what the network's
            dropout draws from, so that a resumed run equals one that was never stopped.
        warmup_loss: what is minimised in the first `schedule.warmup` epochs.
        validate: gives the accuracy that picks the epoch, where the schedule keeps the best one.
        checkpoint: file to go on from and to save to after every epoch.
        deadline: `time.monotonic()` after which no further epoch starts.
        on_epoch: called with each line of history.
        begin: called with the number of each epoch, from 0, before it.

    Raises:
        OutOfTime: the deadline passed before the last epoch.
        EcgadvError: the loss became NaN or infinite.
    """
    optimizer = OPTIMIZERS[schedule.optimizer](
        model.parameters(), lr=schedule.learning_rate, foreach=True
    )
    dead = DeadKernels(model.normalized_layers()) if schedule.redraw_dead else None
    history, best = _resume(checkpoint, model, optimizer)
    devices = [samples.x.device] if samples.x.is_cuda else []
    for epoch in range(len(history), schedule.epochs):
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime
        word = int(np.random.SeedSequence([*seeds, epoch]).generate_state(1)[0])
        generator.manual_seed(word)
        began = time.monotonic()
        if begin:
            begin(epoch)
        current = warmup_loss if epoch < schedule.warmup else loss
        with torch.random.fork_rng(devices), computing_in(schedule.precision, samples.x.device):
            torch.manual_seed(word)
            total = _epoch(model, current, samples, schedule, optimizer, dead, seeds, epoch)
        line = {"epoch": epoch + 1, "loss": total, "redrawn": 0}
        if schedule.keep == "best":
            line["validation"] = validate(model)
            if line["validation"] > max((h["validation"] for h in history), default=-math.inf):
                best = copy.deepcopy(model.state_dict())
        # Never after the last epoch: a kernel just drawn is random, and the network is evaluated.
        if dead and epoch + 1 < schedule.epochs:
            line["redrawn"] = dead.redraw(generator)
        history.append(line | {"seconds": time.monotonic() - began})
        _save(checkpoint, model, optimizer, history, best)
        if on_epoch:
            on_epoch(history[-1])
    if best is not None:
        model.load_state_dict(best)
    return history


def _epoch(model, loss, samples, schedule, optimizer, dead, seeds, epoch) -> float:
    """Make one pass and return the mean loss of a seed."""
    labels = samples.y.cpu().numpy()
    orders = [epoch_order(labels, schedule, seed, epoch) for seed in seeds]
    order = torch.from_numpy(orders[0] if len(seeds) == 1 else np.stack(orders))
    order = order.to(samples.x.device)
    total = torch.zeros((), device=samples.x.device)
    batches = order.split(schedule.batch_size, dim=-1)
    target = samples.y if samples.soft is None else samples.soft
    for number, index in enumerate(batches):
        x, mask = _batch(samples, index, schedule.shift)
        if schedule.rate == "one-cycle":
            share = (epoch + number / len(batches)) / schedule.epochs
            optimizer.param_groups[0]["lr"] = schedule.learning_rate * one_cycle(share)
        optimizer.zero_grad()
        if schedule.normalize:
            normalize_kernels(model.normalized_layers())
        value = loss(model, x, target[index], mask)
        value.backward()
        if dead:
            dead.observe()
        _step(model, optimizer, schedule)
        total += value.detach()
    mean = float(total) / len(batches) / len(seeds)
    if not np.isfinite(mean):
        raise EcgadvError(
            f"the loss became {mean} in epoch {epoch + 1} of seeds {list(seeds)}; "
            "lower learning_rate or the weight of the penalty"
        )
    return mean


def _batch(samples: Samples, index: Tensor, shift: int) -> tuple[Tensor, Tensor | None]:
    """Return x and the mask of the samples drawn, each moved earlier by some of `shift` samples.

    Paper B moves its recordings so on CPSC2018 (PROTOCOLS 3.6): what leaves the front is padding,
    which comes back at the end. Without a shift nothing is drawn.
    """
    x, mask = samples.x[index], None if samples.mask is None else samples.mask[index]
    if not shift:
        return x, mask
    length = x.shape[-1]
    moved = (torch.rand(index.shape) * shift).long().to(x.device)
    time = (torch.arange(length, device=x.device) + moved[..., None, None]) % length
    x = x.gather(-1, time.expand_as(x))
    return x, None if mask is None else mask.gather(-1, time)


def one_cycle(share: float) -> float:
    """Return the rate, as a share of the largest, after that share of all steps (Smith, 2018).

    It climbs from 1/25 in the first 30 % of the steps and falls to 0, both along half a cosine.
    """
    top, first = 0.3, 1 / 25
    if share < top:
        return first + (1 - first) * (1 - math.cos(math.pi * share / top)) / 2
    return (1 + math.cos(math.pi * (share - top) / (1 - top))) / 2


@torch.no_grad()
def _step(model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
    if schedule.decay:
        rate = schedule.learning_rate * schedule.decay
        for p in model.parameters():
            p.sub_(torch.sign(p).add_(p), alpha=rate)
    for _ in range(schedule.steps_per_batch):
        optimizer.step()


def _resume(checkpoint: Path | None, model, optimizer) -> tuple[list[dict], dict | None]:
    """Load what the checkpoint holds; return the history and the best epoch's state, if kept."""
    if checkpoint is None or not checkpoint.exists():
        return [], None
    with damage_told(checkpoint):
        content = io.BytesIO(read_sealed(checkpoint))
        # Adam's step counts stay where they are loaded, and on a GPU it would wait for each.
        state = torch.load(content, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["history"], state.get("best")


def _save(checkpoint: Path | None, model, optimizer, history, best) -> None:
    if checkpoint is None:
        return
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
    if best is not None:
        state["best"] = best
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_sealed(checkpoint, buffer.getvalue())
