"""The 13-block network of Han et al. on 30 s recordings (5,486,916 parameters).

Han et al., Nature Medicine 26 (2020) 360-363; paper A uses it throughout (PROTOCOLS 2.2).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, channels_last, nn

from ecgadv.errors import EcgadvError


class Shape(NamedTuple):
    """What one block looks like at full width."""

    channels: int
    kernel: int
    dilation: int
    padding: int
    pool: bool = False


BLOCKS = (
    Shape(320, 24, 1, 11, pool=True),
    Shape(256, 16, 2, 15),
    *[Shape(256, 16, 4, 30)] * 3,
    Shape(128, 8, 4, 14, pool=True),
    *[Shape(128, 8, 6, 21)] * 4,
    Shape(128, 8, 8, 28, pool=True),
    *[Shape(64, 8, 8, 28)] * 2,
)


class Block(nn.Module):
    """Convolution - batch norm - ReLU - maximum of two (in some) - dropout."""

    def __init__(self, inputs: int, outputs: int, shape: Shape, dropout: float):
        super().__init__()
        self.conv = nn.Conv1d(
            inputs, outputs, shape.kernel, padding=shape.padding, dilation=shape.dilation
        )
        # Of two dimensions as the activations are; its state is that of a BatchNorm1d.
        self.norm = nn.BatchNorm2d(outputs)
        self.pool = shape.pool
        self.dropout = dropout

    def forward(self, h: Tensor) -> Tensor:  # (B, C in, 1, L) -> (B, C out, 1, L'), channels last
        half = torch.is_autocast_enabled(h.device.type)
        if half and self.conv.in_channels == 1:
            # In bf16 a sample of 300 uV moves by 2 uV or not at all, and attacks step by 1 uV.
            with torch.autocast(h.device.type, enabled=False):
                h = self._convolve(h.float())
            h = h.to(torch.get_autocast_dtype(h.device.type))
        else:
            h = self._convolve(h)
        if self.norm.training:
            h = self.norm(h)
        if self.pool:
            # The two are two samples apart: after it, the odd samples alone have counted. Before
            # the ReLU it gives the same, for half as many of them.
            h = F.max_pool2d(h, (1, 2), stride=(1, 2), padding=(0, 1), dilation=(1, 2))
        return F.dropout(h.relu_(), self.dropout, self.training)

    def _convolve(self, h: Tensor) -> Tensor:
        # conv1d's channels-last twin takes about half its time on a CPU.
        weight, bias = self._kernel()
        weight = weight.unsqueeze(2).contiguous(memory_format=channels_last)
        padding, dilation = (0, *self.conv.padding), (1, *self.conv.dilation)
        return F.conv2d(h, weight, bias, padding=padding, dilation=dilation)

    def _kernel(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the convolution; with fixed statistics the norm is part of them."""
        conv, norm = self.conv, self.norm
        if norm.training:
            return conv.weight, conv.bias
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        bias = (conv.bias - norm.running_mean) * scale + norm.bias
        return conv.weight * scale[:, None, None], bias


class HanCNN(nn.Module):
    """Thirteen blocks of dilated convolutions, mean over time, Linear -> classes.

    The mean is over the whole input, its zero padding too, so how much of it there is is a feature
    (row A21). The network takes A/D counts as they are, and any length of at least two samples.

    Args:
        classes: number of classes, K.
        width: share of the channels of every block; 1 in the paper, at least 1/64.
        fewest: channels that no block goes below, however narrow; with a single digit of them in
            the last blocks nothing is learnt.
        decimate: samples of the input that are averaged to one before the first block; 1 in the
            paper. Six of 300 Hz give 50 Hz.
        dropout: probability of dropping an activation after each block, while training.

    Raises:
        EcgadvError: `width` gives a number of channels that is not whole, or `fewest` or
            `decimate` is below 1.
    """

    def __init__(
        self,
        *,
        classes: int = 4,
        width: float = 1.0,
        fewest: int = 1,
        decimate: int = 1,
        dropout: float = 0.3,
    ):
        super().__init__()
        if width <= 0 or any((shape.channels * width) % 1 for shape in BLOCKS):
            raise EcgadvError(
                f"width {width} does not give whole numbers of channels: use a multiple of 1/64"
            )
        if fewest < 1 or decimate < 1:
            raise EcgadvError(f"fewest {fewest} and decimate {decimate}: both are at least 1")
        self.decimate = decimate
        channels = [1, *(max(fewest, int(shape.channels * width)) for shape in BLOCKS)]
        self.blocks = nn.ModuleList(
            Block(*pair, shape, dropout)
            for *pair, shape in zip(channels, channels[1:], BLOCKS, strict=False)
        )
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map recordings (B, 1, L) to logits (B, K)."""
        if self.decimate > 1:
            x = F.avg_pool1d(x, self.decimate)
        h = x.unsqueeze(2).contiguous(memory_format=channels_last)
        for block in self.blocks:
            h = block(h)
        return self.output(h.mean((-2, -1)))
