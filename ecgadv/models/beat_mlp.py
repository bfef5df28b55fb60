"""The multilayer perceptron of paper B on single beats (PROTOCOLS 3.2; 61,381 parameters)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ecgadv.models import frozen_mlp, slopes
from ecgadv.models.kernels import init_unit_norm
from ecgadv.models.stacking import linear


class BeatMLP(nn.Module):
    """187 -> 128 -> 128 -> 128 -> 32 -> 5, ReLU after the first three layers only.

    There is no ReLU between the layer of 32 and the output in the authors' code, so the last two
    layers are one linear map of rank at most 5; we keep that.

    Args:
        length: samples in a beat, L.
        classes: number of classes, K.
        width: units in each of the three hidden layers.
    """

    def __init__(self, *, length: int = 187, classes: int = 5, width: int = 128):
        super().__init__()
        sizes = [length, width, width, width, 32, classes]
        self.layers = nn.ModuleList(
            nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(sizes)
        )
        for layer in self.layers:
            init_unit_norm(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map beats (..., B, 1, L) to logits (..., B, K)."""
        x = x.flatten(-2)
        # Gathered once: to walk a module's parameters takes a twentieth of an attack's step.
        pairs = [(layer.weight, layer.bias) for layer in self.layers]
        if _is_fixed(pairs, x):
            return frozen_mlp.logits(pairs, x, self._layers)
        return self._layers(x)

    def _layers(self, x: Tensor) -> Tensor:  # (..., B, L) -> (..., B, K)
        return self._hidden_and_logits(x)[1]

    def _hidden_and_logits(self, h: Tensor) -> tuple[list[Tensor], Tensor]:
        hidden = []
        for layer in self.layers[:3]:
            h = linear(layer, h).relu()
            hidden.append(h)
        return hidden, linear(self.layers[4], linear(self.layers[3], h))

    def pullback(self, x: Tensor) -> tuple[Tensor, slopes.Pull]:
        """Return what `ecgadv.models.pullback` does, faster than two backward passes."""
        hidden, logits = self._hidden_and_logits(x.detach().flatten(-2))
        return logits, slopes.of_mlp(self.layers, hidden, logits)

    def affine_layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weights (out, in) and biases (out,) of the affine maps between which ReLUs stand.

        The last two layers are one of them.
        """
        *hidden, last, output = ((layer.weight, layer.bias) for layer in self.layers)
        return [*hidden, (output[0] @ last[0], output[0] @ last[1] + output[1])]

    def normalized_layers(self) -> list[nn.Linear]:
        """Layers whose kernels paper B keeps at unit norm: all but the output (row B8)."""
        return list(self.layers[:-1])


def _is_fixed(pairs: list[tuple[Tensor, Tensor]], x: Tensor) -> bool:
    """Say whether nothing but x needs a gradient, in float32 or float64 on a CPU."""
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    if not torch.is_grad_enabled():
        return True
    return not any(weight.requires_grad or bias.requires_grad for weight, bias in pairs)
