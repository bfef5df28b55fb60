"""The one training loop. It knows no defense: it is given a loss and minimises it.

Several seeds of one network may be trained side by side as a stacked network (see
`ecgadv.models.stacking`); each draws its own batches from its own seed.
"""

import io
import pickle
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv.errors import EcgadvError
from ecgadv.models.kernels import DeadKernels, normalize_kernels

SAMPLERS = ("class-balanced", "natural")


class OutOfTime(Exception):  # noqa: N818  it is not an error: the checkpoint holds the progress
    """The deadline has passed; training goes on from its checkpoint next time."""


@dataclass(frozen=True)
class Schedule:
    """How long and with what steps to train; the defaults are paper B's on MIT-BIH (3.4)."""

    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3  # of Adamax
    sampler: str = "class-balanced"  # an epoch is K times the largest class; or "natural"
    epoch_share: float = 1.0  # of that epoch which is drawn, the rest being left out
    decay: float = 0.0  # before each step p -= lr * decay * (sign(p) + p)
    normalize: bool = False  # kernels back to unit norm after each step
    redraw_dead: bool = False  # draw kernels anew that had no gradient for an epoch
    steps_per_batch: int = 1  # 2 repeats a slip of the authors' adversarial CNN (row B4)

    def __post_init__(self):
        if self.sampler not in SAMPLERS:
            raise EcgadvError(f"unknown sampler {self.sampler!r}; choose {' or '.join(SAMPLERS)}")
        if not 0 < self.epoch_share <= 1:
            raise EcgadvError(f"epoch_share is {self.epoch_share}; give a share above 0, up to 1")
        for name in ("epochs", "batch_size", "steps_per_batch"):
            if getattr(self, name) < 1:
                raise EcgadvError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class Samples:
    """The training data on the device: x (N, C, L), y (N,), mask (N, 1, L) or None."""

    x: Tensor
    y: Tensor
    mask: Tensor | None = None


def epoch_order(y: np.ndarray, schedule: Schedule, seed: int, epoch: int) -> np.ndarray:
    """Return the sample indices of one epoch in the order of use.

    The class-balanced sampler (PROTOCOLS 3.1) tiles each class up to the size of the largest,
    shuffles it, and interleaves the classes, so every batch holds them in equal parts.

    Args:
        y: labels of the training samples, int (N,).
        seed, epoch: together they determine the order.
    """
    rng = np.random.default_rng([seed, epoch])
    if schedule.sampler == "natural":
        return _share(rng.permutation(len(y)), schedule)
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    largest = max(len(index) for index in members)
    tiled = [rng.permutation(np.resize(index, largest)) for index in members]
    return _share(np.stack(tiled, axis=1).ravel(), schedule)


def _share(order: np.ndarray, schedule: Schedule) -> np.ndarray:
    return order[: max(1, round(schedule.epoch_share * len(order)))]


def train(
    model: nn.Module,
    loss: Callable[[nn.Module, Tensor, Tensor, Tensor | None], Tensor],
    samples: Samples,
    schedule: Schedule,
    *,
    seeds: Sequence[int],
    generator: torch.Generator,
    checkpoint: Path | None = None,
    deadline: float | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> list[dict]:
    """Train `model` in place and return one line of history an epoch.

    Args:
        model: a stacked network when there is more than one seed, else a plain one.
        loss: loss(model, x, y, mask) -> scalar, summed over seeds.
        samples: the training data, resident on the device.
        seeds: one for each network of the stack.
        generator: what the loss draws from; seeded anew at every epoch, so that a resumed run
            equals one that was never stopped.
        checkpoint: file to go on from and to save to after every epoch.
        deadline: `time.monotonic()` after which no further epoch starts.
        on_epoch: called with each line of history.

    Raises:
        OutOfTime: the deadline passed before the last epoch.
        EcgadvError: the loss became NaN or infinite.
    """
    optimizer = torch.optim.Adamax(model.parameters(), lr=schedule.learning_rate, foreach=True)
    dead = DeadKernels(model.normalized_layers()) if schedule.redraw_dead else None
    if schedule.normalize:
        normalize_kernels(model.normalized_layers())
    history = _resume(checkpoint, model, optimizer)
    for epoch in range(len(history), schedule.epochs):
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime
        generator.manual_seed(int(np.random.SeedSequence([*seeds, epoch]).generate_state(1)[0]))
        began = time.monotonic()
        total = _epoch(model, loss, samples, schedule, optimizer, dead, seeds, epoch)
        redrawn = dead.redraw(generator) if dead else 0
        line = {"epoch": epoch + 1, "loss": total, "redrawn": redrawn}
        history.append(line | {"seconds": time.monotonic() - began})
        _save(checkpoint, model, optimizer, history)
        if on_epoch:
            on_epoch(history[-1])
    return history


def _epoch(model, loss, samples, schedule, optimizer, dead, seeds, epoch) -> float:
    """Make one pass and return the mean loss of a seed."""
    labels = samples.y.cpu().numpy()
    orders = [epoch_order(labels, schedule, seed, epoch) for seed in seeds]
    order = torch.from_numpy(orders[0] if len(seeds) == 1 else np.stack(orders))
    order = order.to(samples.x.device)
    total = torch.zeros((), device=samples.x.device)
    batches = order.split(schedule.batch_size, dim=-1)
    for index in batches:
        mask = None if samples.mask is None else samples.mask[index]
        optimizer.zero_grad()
        value = loss(model, samples.x[index], samples.y[index], mask)
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


@torch.no_grad()
def _step(model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
    if schedule.decay:
        rate = schedule.learning_rate * schedule.decay
        for p in model.parameters():
            p.sub_(torch.sign(p).add_(p), alpha=rate)
    for _ in range(schedule.steps_per_batch):
        optimizer.step()
    if schedule.normalize:
        normalize_kernels(model.normalized_layers())


def _resume(checkpoint: Path | None, model, optimizer) -> list[dict]:
    if checkpoint is None or not checkpoint.exists():
        return []
    device = next(model.parameters()).device
    damaged = f"checkpoint {checkpoint.name} is damaged; delete it and run the command again"
    if not zipfile.is_zipfile(checkpoint):  # torch.load fails on such a file in many ways
        raise EcgadvError(damaged)
    try:
        state = torch.load(checkpoint, weights_only=True, map_location=device)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise EcgadvError(damaged) from error
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["history"]


def _save(checkpoint: Path | None, model, optimizer, history) -> None:
    if checkpoint is None:
        return
    part = checkpoint.with_suffix(".part")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    part.write_bytes(buffer.getvalue())  # a full disk shows as OSError, from torch.save it does not
    part.replace(checkpoint)
