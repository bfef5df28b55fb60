"""The unit-norm kernels of paper B: initialisation, rescaling and revival.

Source: paper B's custom Linear and Conv1d layers (PROTOCOLS 3.2). A kernel is one output unit's
weights: a row of a Linear layer, or one output channel of a convolution. Parameters may carry a
leading seed axis (see `ecgadv.models.stacking`).
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

Layer = nn.Linear | nn.Conv1d


def _kernel_dims(layer: Layer) -> tuple[int, ...]:
    return (-1,) if isinstance(layer, nn.Linear) else (-2, -1)


def _norms(weight: Tensor, dims: tuple[int, ...]) -> Tensor:
    norms = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
    return norms.where(norms > 0, 1)  # a kernel of zeros stays one, with the bias it has


@torch.no_grad()
def init_unit_norm(layer: Layer) -> None:
    """Draw every kernel from N(0, 1), scale it to unit L2 norm, and zero the bias.

    The direction's distribution is not in the paper: we take the isotropic one.
    """
    nn.init.normal_(layer.weight)
    layer.weight.div_(_norms(layer.weight, _kernel_dims(layer)))
    nn.init.zeros_(layer.bias)


@torch.no_grad()
def normalize_kernels(layers: Iterable[Layer]) -> None:
    """Rescale each kernel to unit L2 norm in place, its bias by the same factor."""
    for layer in layers:
        norms = _norms(layer.weight, _kernel_dims(layer))
        layer.weight.div_(norms)
        layer.bias.div_(norms.view_as(layer.bias))


class DeadKernels:
    """Finds kernels that got an exactly zero gradient all epoch long, and draws them anew.

    Args:
        layers: the layers to watch, with or without a leading seed axis.
    """

    def __init__(self, layers: Iterable[Layer]):
        self.layers = list(layers)
        self.total = [torch.zeros_like(layer.weight) for layer in self.layers]

    def observe(self) -> None:
        """Add the absolute gradients of the step just made."""
        gradients = [layer.weight.grad for layer in self.layers]
        torch._foreach_add_(self.total, torch._foreach_abs(gradients))

    @torch.no_grad()
    def redraw(self, generator: torch.Generator) -> int:
        """Re-draw the dead kernels, start counting again, and return how many there were."""
        count = 0
        for layer, total in zip(self.layers, self.total, strict=True):
            dims = _kernel_dims(layer)
            dead = total.sum(dims) == 0
            if dead.any():
                fresh = torch.empty_like(layer.weight).normal_(generator=generator)
                fresh.div_(_norms(fresh, dims))
                layer.weight[dead] = fresh[dead]
                layer.bias[dead] = 0
                count += int(dead.sum())
            total.zero_()
        return count
