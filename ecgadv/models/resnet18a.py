"""The residual network of paper B on CPSC2018, `resnet18a` (4,994,953 parameters; PROTOCOLS 3.6).

Each channel is normalised over time in each recording, so nothing depends on the batch and training
and evaluation mode are the same. The mask acts in the last pooling alone: padding takes part in
the normalisations, and the input gradient reaches it.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ecgadv.errors import EcgadvError

SLOPE = 0.01  # of the leaky ReLUs
LEAST_SEEN = 0.5  # share of a position's window that has to be recording, for it to count
TINY = 1e-8  # the authors add it to what they divide by


def channel_norm(channels: int) -> nn.GroupNorm:
    """Return the normalisation of each channel by itself, over time."""
    return nn.GroupNorm(channels, channels)


class Block(nn.Module):
    """Two convolutions of three taps beside one of a single tap, all at half the rate."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.first_norm = channel_norm(outputs)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = channel_norm(outputs)
        self.beside = nn.Conv1d(inputs, outputs, 1, stride=2, bias=False)
        self.beside_norm = channel_norm(outputs)

    def forward(self, h: Tensor) -> Tensor:  # (B, C in, L) -> (B, C out, ceil(L / 2))
        kept = self.beside_norm(self.beside(h))
        # In place, which is a tenth faster: a normalisation's output is not kept for its slopes.
        h = F.leaky_relu_(self.first_norm(self.first(h)), SLOPE)
        return F.leaky_relu_(self.second_norm(self.second(h)).add_(kept), SLOPE)


class ResNet18a(nn.Module):
    """Stem -> blocks of stride 2 -> convolution -> mean over time, as far as seen -> Linear.

    Channels double at every second block. The authors' input is 33,792 samples of eight leads at
    500 Hz; any length above twice `downsampling` does. One of the last positions stands for 1,024
    samples, 2.05 s, which at 100 Hz would be ten seconds: there a stem of stride 1 without its
    pool and six blocks are better, 64 samples or 0.64 s a position.

    Args:
        classes: number of classes, K.
        leads: number of leads, C.
        width: channels of the stem and of the first two blocks; 64 in the paper.
        blocks: 8 in the paper.
        stride: of the stem; 2 in the paper.
        pool: halve the rate after the stem by a maximum of three, as in the paper.

    Raises:
        EcgadvError: `width`, `blocks` or `stride` is below 1.
    """

    uses_mask = True
    vectorised_slopes = False  # of its normalisations torch takes slopes one by one

    def __init__(
        self,
        *,
        classes: int = 9,
        leads: int = 8,
        width: int = 64,
        blocks: int = 8,
        stride: int = 2,
        pool: bool = True,
    ):
        super().__init__()
        if min(width, blocks, stride) < 1:
            raise EcgadvError(f"width {width}, blocks {blocks}, stride {stride}: all at least 1")
        self.pool = pool
        self.downsampling = stride * (2 if pool else 1) * 2**blocks
        channels = [width, *(width * 2 ** (block // 2) for block in range(blocks))]
        self.stem = nn.Conv1d(leads, width, 11, stride=stride, padding=5, bias=False)
        self.stem_norm = channel_norm(width)
        self.blocks = nn.ModuleList(Block(*pair) for pair in pairwise(channels))
        self.last = nn.Conv1d(channels[-1], channels[-1], 3)
        self.output = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map recordings (B, C, L), with their mask (B, 1, L) or None, to logits (B, K)."""
        return self.output(self.mean_over_time(self.features(x), x, mask))

    def features(self, x: Tensor) -> Tensor:
        """Return (B, channels, positions) before the mean."""
        self._check(x)
        h = F.leaky_relu_(self.stem_norm(self.stem(x)), SLOPE)
        if self.pool:
            h = F.max_pool1d(h, 3, stride=2, padding=1)
        for block in self.blocks:
            h = block(h)
        return F.relu(self.last(h))

    def mean_over_time(self, h: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over the positions whose window is mostly recording, (B, channels).

        They weigh as much as there is of it; positions seen less than half count nothing. Without
        a mask, or where nothing is seen enough, all positions count alike.
        """
        if mask is None:
            return h.mean(-1)
        weight = self.position_weights(mask.to(h), h.shape[-1])
        total = weight.sum(-1, keepdim=True)
        weight = weight.where(total > 0, 1.0)
        return (h * weight).sum(-1) / (weight.sum(-1) + TINY)

    def position_weights(self, mask: Tensor, positions: int) -> Tensor:
        """Return how much of each position's window is recording, 0 below half, (B, 1, P)."""
        step = self.downsampling
        missing = (positions + 2) * step - mask.shape[-1]
        seen = F.avg_pool1d(F.pad(mask, (0, missing)), 3 * step, step)
        return seen.where(seen >= LEAST_SEEN, 0.0)

    def _check(self, x: Tensor) -> None:
        leads, least = self.stem.in_channels, 2 * self.downsampling + 1
        if x.dim() != 3 or x.shape[1] != leads or x.shape[2] < least:
            raise EcgadvError(
                f"x has shape {tuple(x.shape)}: give (batch, {leads} leads, {least} samples or "
                "more)"
            )
