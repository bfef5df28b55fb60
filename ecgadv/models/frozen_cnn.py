"""The beat CNN's logits and input gradient on a CPU while its parameters stay fixed.

An attack needs no gradient of the parameters, and three things follow for `BeatCNN`:

* The first two convolutions have no ReLU between them, so they are one with nine taps from one
  channel: a quarter of the network's arithmetic is gone. Only the two outputs at either end of a
  beat, which see the zeros around the first convolution's output, are computed apart.
* Activations are rows (beat, time, channel) with rows of zeros between the beats, so that a
  convolution is a matrix product of overlapping windows, taken in place from the rows, and the
  residual sum is that product added onto what is there.
* ReLU and max pooling commute, so the ReLU works on half the samples.

In exact arithmetic nothing changes. Where a beat is constant, as in its padding, rounding decides
which of several equal maxima gets the gradient; so it does between conv1d and conv2d.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function

CHUNK = 128  # beats whose activations lie in the cache together, about 28 MB
FEWEST = 16  # beats below which starting the operations costs more than the arithmetic
_POOL = ((1, 5), (1, 2), (0, 2))  # window, stride and padding; with the padding P halves
_aten = torch.ops.aten


class Weights(NamedTuple):
    """What the products need of one network of C channels; T = 5 taps."""

    stem: Tensor  # (T, C)
    stem_bias: Tensor  # (C,)
    first: Tensor  # (9, C): stem and the first block's conv1 in one
    first_bias: Tensor  # (C,)
    down: Tensor  # (10, T C, C): the blocks' convolutions, conv1 before conv2
    up: Tensor  # (10, T C, C): the same for the gradient
    bias: Tensor  # (10, C)
    hidden: Tensor
    hidden_bias: Tensor
    output: Tensor
    output_bias: Tensor


def weights_of(network: nn.Module, seed: int | None = None) -> Weights:
    """Return the weights of a plain BeatCNN, or of one seed of a stacked one."""

    def of(layer):
        pair = layer.weight.detach(), layer.bias.detach()
        return pair if seed is None else (pair[0][seed], pair[1][seed])

    stem, stem_bias = of(network.stem)
    blocks = [of(layer) for block in network.blocks for layer in (block.conv1, block.conv2)]
    weight = torch.stack([w for w, _ in blocks])  # (10, C out, C in, T)
    bias = torch.stack([b for _, b in blocks])
    stem = stem[:, 0].T.contiguous()
    reach = weight[0].permute(2, 0, 1) @ stem.T  # (T of conv1, C, T of stem)
    first = torch.zeros(9, stem.shape[1], dtype=stem.dtype)
    for tap in range(5):
        first[tap : tap + 5] += reach[tap].T
    return Weights(
        stem=stem,
        stem_bias=stem_bias,
        first=first,
        first_bias=bias[0] + weight[0].sum(-1) @ stem_bias,
        down=weight.permute(0, 3, 2, 1).flatten(1, 2),
        up=weight.flip(-1).permute(0, 3, 1, 2).flatten(1, 2),
        bias=bias,
        hidden=of(network.hidden)[0],
        hidden_bias=of(network.hidden)[1],
        output=of(network.output)[0],
        output_bias=of(network.output)[1],
    )


class Rows:
    """Activations (B, P, C) of B beats: `length` samples of each from row 2 on, then a gap.

    Attributes:
        rows: (B, P, C).
        image: the same memory as (B, C, 1, P), for pooling.
    """

    def __init__(self, like: Tensor, beats: int, period: int, length: int):
        channels = like.shape[-1]
        fifths = -(-beats * period // 5)
        # Two rows more at either end, which the windows of the outermost gaps reach.
        memory = like.new_empty(5 * fifths + 4, channels)
        self.length = length
        self.rows = memory[2 : 2 + beats * period].view(beats, period, channels)
        self.image = self.rows.transpose(1, 2).unsqueeze(2)
        # Window r spans the rows r - 2 to r + 2. As BLAS takes no matrix whose rows overlap,
        # slice p holds the windows p, p + 5, p + 10 and so on.
        every_fifth = (channels, 5 * channels, 1)
        self._windows = memory.as_strided((5, fifths, 5 * channels), every_fifth)
        self._places = memory[2:].as_strided((5, fifths, channels), every_fifth)

    def zero_gaps(self) -> None:
        self.rows[:, :2] = 0
        self.rows[:, 2 + self.length :] = 0

    def add_conv(self, source: "Rows", kernel: Tensor) -> None:
        """Add the convolution of `source` with a kernel (5 C, C); leaves numbers in the gaps."""
        self._places.baddbmm_(source._windows, kernel.expand(5, -1, -1))

    def set_conv(self, source: "Rows", kernel: Tensor) -> None:
        """Become the convolution of `source` with a kernel; leaves numbers in the gaps."""
        torch.bmm(source._windows, kernel.expand(5, -1, -1), out=self._places)


class FrozenCNN(Function):
    """Logits (B, K) of x (B, 1, L) as a function of x alone."""

    @staticmethod
    def forward(ctx, x: Tensor, weights: Weights, plain) -> Tensor:
        z, a = _first_layers(x, weights)
        steps = []
        for block in range(5):
            if block:
                z, a = _next_layers(steps[-1][-1], weights, block)
            a.rows.relu_()
            a.zero_gaps()
            z.add_conv(a, weights.down[2 * block + 1])
            steps.append((a, *_pool(z)))
        h = steps[-1][-1]
        flat = _inside(h).transpose(1, 2).flatten(1)
        u = torch.addmm(weights.hidden_bias, flat, weights.hidden.T).relu_()
        ctx.weights, ctx.plain, ctx.steps, ctx.u = weights, plain, steps, u
        ctx.save_for_backward(x)
        return torch.addmm(weights.output_bias, u, weights.output.T)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            return torch.autograd.grad(ctx.plain(x), x, gradient, create_graph=True)[0], None, None
        weights, h = ctx.weights, ctx.steps[-1][-1]
        flat = _pass(gradient @ weights.output, ctx.u) @ weights.hidden
        g = _like(h)
        g.rows.zero_()
        _inside(g).copy_(flat.view(len(flat), -1, h.length).transpose(1, 2))
        for block in reversed(range(5)):
            a, winners, h = ctx.steps[block]
            _pass(g.rows, h.rows)
            g, pooled = _like(a), g
            _aten.max_pool2d_with_indices_backward.grad_input(
                *(pooled.image, g.image, *_POOL, (1, 1), False, winners), grad_input=g.image
            )
            ga = _like(a)
            ga.set_conv(g, weights.up[2 * block + 1])
            _pass(ga.rows, a.rows)
            if block:
                g.add_conv(ga, weights.up[2 * block])
        return _first_layers_gradient(g, ga, weights), None, None


def logits(network: nn.Module, x: Tensor, plain) -> Tensor:
    """Return the logits (..., B, K) of x (..., B, 1, L).

    Args:
        network: a BeatCNN, plain or stacked.
        plain: the network's forward in ordinary operations, for x (B, 1, L) of a plain one and
            (S, B, 1, L) of a stacked one; taken for gradients of gradients.
    """
    if x.dim() == 3:
        return _chunked(x, weights_of(network), plain)

    def one_seed(seed):
        return lambda part: plain(part.expand(len(x), *part.shape))[seed]

    return torch.stack([_chunked(x[s], weights_of(network, s), one_seed(s)) for s in range(len(x))])


def _chunked(x: Tensor, weights: Weights, plain) -> Tensor:
    return torch.cat([FrozenCNN.apply(part, weights, plain) for part in x.split(CHUNK)])


def _like(rows: Rows) -> Rows:
    return Rows(rows.rows, *rows.rows.shape[:2], rows.length)


def _inside(rows: Rows) -> Tensor:
    return rows.rows[:, 2 : 2 + rows.length]


def _pass(gradient: Tensor, activation: Tensor) -> Tensor:
    """Zero the gradient in place where a ReLU gave 0, gaps included."""
    return _aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)


def _next_layers(h: Rows, weights: Weights, block: int) -> tuple[Rows, Rows]:
    """Return h + the bias of a block's conv2, and its conv1 before the ReLU."""
    z, a = _like(h), _like(h)
    torch.add(h.rows, weights.bias[2 * block + 1], out=z.rows)
    a.rows.copy_(weights.bias[2 * block])
    a.add_conv(h, weights.down[2 * block])
    return z, a


def _pool(z: Rows) -> tuple[Tensor, Rows]:
    """Return where each maximum lies, as the backward pass wants it, and their ReLU."""
    beats, period, channels = z.rows.shape
    h = Rows(z.rows, beats, period // 2, (z.length - 5) // 2 + 1)
    winners = torch.empty(beats, period // 2, channels, dtype=torch.int64)
    winners = winners.transpose(1, 2).unsqueeze(2)
    _aten.max_pool2d_with_indices.out(z.image, *_POOL, out=h.image, indices=winners)
    h.rows.relu_()
    h.zero_gaps()
    return winners, h


def _ends(rows: Rows) -> list[int]:
    """Return the rows whose window reaches into the gaps."""
    return [2, 3, rows.length, rows.length + 1]


def _first_layers(x: Tensor, weights: Weights) -> tuple[Rows, Rows]:
    """Return the stem's output + the bias of the first block's conv2, and conv1 before its ReLU."""
    beats, _, length = x.shape
    # Halved five times without a remainder, with gaps wide enough for the nine taps.
    period = -(-(length + 4) // 32) * 32
    padded = x.new_zeros(beats * period + 8)
    padded[4:-4].view(beats, period)[:, 2 : 2 + length] = x[:, 0]
    windows = padded.unfold(0, 9, 1).contiguous()
    like = weights.stem.new_empty(0, weights.stem.shape[1])
    z, a = Rows(like, beats, period, length), Rows(like, beats, period, length)
    torch.addmm(weights.stem_bias, windows[:, 2:7], weights.stem, out=z.rows.flatten(0, 1))
    torch.addmm(weights.first_bias, windows, weights.first, out=a.rows.flatten(0, 1))
    z.zero_gaps()
    five = torch.stack([z.rows[:, row - 2 : row + 3] for row in _ends(z)], 1)
    ends = torch.addmm(weights.bias[0], five.view(4 * beats, -1), weights.down[0])
    a.rows[:, _ends(a)] = ends.view(beats, 4, -1)
    z.rows.add_(weights.bias[1])
    return z, a


def _first_layers_gradient(g: Rows, ga: Rows, weights: Weights) -> Tensor:
    """Return the gradient to x (B, 1, L) from those to what `_first_layers` returned."""
    beats, period, channels = g.rows.shape
    ends = ga.rows[:, _ends(ga)]
    ga.rows[:, _ends(ga)] = 0
    five = (ends.flatten(0, 1) @ weights.down[0].T).view(beats, 4, 5, channels)
    for end, row in enumerate(_ends(g)):
        g.rows[:, row - 2 : row + 3] += five[:, end]
    g.zero_gaps()
    # One row of numbers a tap, each to be moved by its tap and summed.
    taps = g.rows.new_zeros(9, 8 + beats * period)
    inner = taps[:, 4:-4]
    torch.mm(weights.first, ga.rows.flatten(0, 1).T, out=inner)
    inner[2:7] += weights.stem @ g.rows.flatten(0, 1).T
    total = taps[0, 8:].clone()
    for tap in range(1, 9):
        total += taps[tap, 8 - tap : 8 - tap + beats * period]
    return total.view(beats, 1, period)[:, :, 2 : 2 + g.length]
