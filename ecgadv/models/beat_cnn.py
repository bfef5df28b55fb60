"""The residual network of Kachuee et al. on single beats (arXiv:1805.00794; 53,957 parameters).

Paper B uses it as its CNN (PROTOCOLS 3.2).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, channels_last, nn

from ecgadv.models import frozen_cnn
from ecgadv.models.kernels import init_unit_norm
from ecgadv.models.stacking import linear


def conv(layer: nn.Conv1d, h: Tensor) -> Tensor:
    """Apply a 1-D convolution to h (B, C, 1, L) as a (1, k) two-dimensional one.

    On a CPU the channels-last 2-D kernels take about half the time of conv1d. With a seed axis in
    the weights, h is (B, S * C, 1, L) and each seed is one group.
    """
    weight, bias, groups = layer.weight, layer.bias, 1
    if weight.dim() == 4:
        weight, bias, groups = weight.flatten(0, 1), bias.flatten(), weight.shape[0]
    weight = weight.unsqueeze(2).contiguous(memory_format=channels_last)
    return F.conv2d(h, weight, bias, padding=(0, layer.padding[0]), groups=groups)


class ResidualBlock(nn.Module):
    """conv - ReLU - conv - add the input - ReLU - max pool (5, stride 2)."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 5, padding=2)
        self.conv2 = nn.Conv1d(width, width, 5, padding=2)

    def forward(self, h: Tensor) -> Tensor:  # (B, C, 1, L) -> (B, C, 1, (L - 5) // 2 + 1)
        h = conv(self.conv2, conv(self.conv1, h).relu_()).add_(h)
        # The same as the maximum of ReLUs, for half as many of them.
        return F.max_pool2d(h, (1, 5), stride=(1, 2)).relu_()


class BeatCNN(nn.Module):
    """Conv 1 -> width (no ReLU), five residual blocks, Linear -> 32, ReLU, Linear -> classes.

    Args:
        length: samples in a beat, L; 187 shrinks to 92, 44, 20, 8 and 2.
        classes: number of classes, K.
        width: channels of every convolution (32 in the paper).
    """

    def __init__(self, *, length: int = 187, classes: int = 5, width: int = 32):
        super().__init__()
        self.stem = nn.Conv1d(1, width, 5, padding=2)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(5))
        for _ in self.blocks:
            length = (length - 5) // 2 + 1
        self.hidden = nn.Linear(width * length, 32)
        self.output = nn.Linear(32, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                init_unit_norm(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map beats (..., B, 1, L) to logits (..., B, K)."""
        if self._is_fixed() and x.device.type == "cpu" and x.shape[-3] >= frozen_cnn.FEWEST:
            return frozen_cnn.logits(self, x, self._layers)
        return self._layers(x)

    def _is_fixed(self) -> bool:
        return not torch.is_grad_enabled() or not any(p.requires_grad for p in self.parameters())

    def _layers(self, x: Tensor) -> Tensor:
        if x.dim() == 4:  # (S, B, 1, L) -> (B, S, L)
            x = x.squeeze(2).transpose(0, 1)
        h = conv(self.stem, x.unsqueeze(2).contiguous(memory_format=channels_last))
        for block in self.blocks:
            h = block(h)
        h = h.flatten(1)  # (B, S * C * L)
        if self.hidden.weight.dim() == 3:
            h = h.unflatten(1, (self.hidden.weight.shape[0], -1)).transpose(0, 1)
        return linear(self.output, linear(self.hidden, h).relu_())

    def normalized_layers(self) -> list[nn.Conv1d | nn.Linear]:
        """Layers whose kernels paper B keeps at unit norm.

        The authors' loop stops one short, so the last residual block is left out (row B8).
        """
        convs = [layer for block in self.blocks[:-1] for layer in (block.conv1, block.conv2)]
        return [self.stem, *convs, self.hidden, self.output]
