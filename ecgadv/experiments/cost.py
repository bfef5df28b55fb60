"""What training costs in arithmetic, and how much of the device that is."""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ecgadv.training import Samples, Schedule, epoch_order

# Dense peak in TFLOP/s from NVIDIA's data sheets, by a part of the device's name.
PEAK = {
    "H200": {"bf16": 989.0, "tf32": 494.0, "fp32": 67.0},
    "H100": {"bf16": 989.0, "tf32": 494.0, "fp32": 67.0},
    "A100": {"bf16": 312.0, "tf32": 156.0, "fp32": 19.5},
}


class Counter(TorchDispatchMode):
    """Adds up the operations of convolutions and matrix products by torch's own formulas.

    torch's FlopCounterMode follows modules, too, and fails where a loss takes gradients to x.
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def operations(
    model: nn.Module, loss: Callable, samples: Samples, schedule: Schedule, *, warmup_loss: Callable
) -> float:
    """Return the floating-point operations of a whole training, from one batch of it.

    Counted are, by torch, the convolutions and matrix products of a forward and a backward pass
    of the loss, its attack included, on a copy of the network.

    Args:
        model: a plain network.
        loss, warmup_loss: loss(model, x, y, mask) -> scalar, after the warm-up epochs and in them.
    """
    index = torch.arange(min(schedule.batch_size, len(samples.y)), device=samples.x.device)
    drawn = len(epoch_order(samples.y.cpu().numpy(), schedule, 0, 0))
    total = (schedule.epochs - schedule.warmup) * _of_batch(model, loss, samples, index)
    if schedule.warmup:
        total += schedule.warmup * _of_batch(model, warmup_loss, samples, index)
    return total * drawn / len(index)


def _of_batch(model: nn.Module, loss: Callable, samples: Samples, index: torch.Tensor) -> float:
    target = samples.y if samples.soft is None else samples.soft
    mask = None if samples.mask is None else samples.mask[index]
    devices = [samples.x.device] if samples.x.is_cuda else []
    with torch.random.fork_rng(devices), Counter() as counter:
        loss(copy.deepcopy(model), samples.x[index], target[index], mask).backward()
    return float(counter.total)


def rate(operations: float, seconds: float, device: str, precision: str) -> dict[str, float | None]:
    """Return TFLOP/s and their share of the device's peak, None for a device not in `PEAK`."""
    reached = operations / seconds / 1e12
    peaks = next((peaks for name, peaks in PEAK.items() if name in device), None)
    return {"tflops": reached, "share_of_peak": reached / peaks[precision] if peaks else None}
