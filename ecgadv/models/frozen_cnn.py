"""The beat CNN's logits and input gradient on a CPU while its parameters stay fixed.

An attack needs no gradient of the parameters, and three things follow for `BeatCNN`:

* The first two convolutions have no ReLU between them, so they are one with nine taps from one
  channel: a quarter of the network's arithmetic is gone. Only the two outputs at either end of a
  beat, which see the zeros around the first convolution's output, are computed apart.
* Activations are (beat, time, channel). To a convolution the beats are the lines of one image,
  which oneDNN takes about a third faster than as many images of one line; the gradient is a
  convolution as well, with the flipped kernel.
* ReLU and max pooling commute, so the ReLU works on half the samples.

Beats do not depend on one another, so each of torch's threads takes some of its own.

In exact arithmetic nothing changes. Where a beat is constant, as in its padding, rounding decides
which of several equal maxima gets the gradient; so it does between conv1d and conv2d.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

PART = 512  # most beats at once: their activations take about 110 MB
FEWEST = 16  # beats below which starting the operations costs more than the arithmetic
_POOL = ((1, 5), (1, 2), (0, 0), (1, 1), False)  # window, stride, padding, dilation, ceil
_aten = torch.ops.aten


class Weights(NamedTuple):
    """What the operations need of one network of C channels; T = 5 taps."""

    stem: Tensor  # (T, C)
    stem_bias: Tensor  # (C,)
    first: Tensor  # (9, C): stem and the first block's conv1 in one
    first_bias: Tensor  # (C,)
    down: Tensor  # (10, C, C, 1, T): the blocks' convolutions, conv1 before conv2
    up: Tensor  # (10, C, C, 1, T): the same for the gradient
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

    def kernels(weight: Tensor) -> Tensor:
        # Channels last in memory: that is what makes conv2d keep them last.
        return weight.transpose(2, 3).contiguous().transpose(2, 3).unsqueeze(3)

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
        down=kernels(weight),
        up=kernels(weight.flip(-1).transpose(1, 2)),
        bias=bias,
        hidden=of(network.hidden)[0],
        hidden_bias=of(network.hidden)[1],
        output=of(network.output)[0],
        output_bias=of(network.output)[1],
    )


class FrozenCNN(Function):
    """Logits (B, K) of x (B, 1, L) as a function of x alone."""

    @staticmethod
    def forward(ctx, x: Tensor, weights: Weights, plain) -> Tensor:
        ctx.weights, ctx.plain, ctx.size = weights, plain, _part_size(len(x))
        parts, ctx.kept = zip(*_each_part(_forward, weights, x.split(ctx.size)), strict=True)
        ctx.save_for_backward(x)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            return torch.autograd.grad(ctx.plain(x), x, gradient, create_graph=True)[0], None, None
        parts = _each_part(_backward, ctx.weights, gradient.split(ctx.size), ctx.kept)
        return torch.cat(parts), None, None


def _forward(weights: Weights, x: Tensor) -> tuple[Tensor, tuple]:
    """Return the logits (B, K), and what `_backward` wants of the way to them."""
    h, a = _first_layers(x, weights)
    steps = []
    for block in range(5):
        if block:
            a = _conv(h, weights.down[2 * block], weights.bias[2 * block])
        a.relu_()
        z = _conv(a, weights.down[2 * block + 1], weights.bias[2 * block + 1]).add_(h)
        h, winners = _aten.max_pool2d_with_indices(_lines(z), *_POOL)
        h = _rows(h).relu_()
        steps.append((a, winners, h))
    flat = h.transpose(1, 2).flatten(1)
    u = torch.addmm(weights.hidden_bias, flat, weights.hidden.T).relu_()
    return torch.addmm(weights.output_bias, u, weights.output.T), (steps, u)


def _backward(weights: Weights, gradient: Tensor, kept: tuple) -> Tensor:
    """Return the gradient (B, 1, L) to x from that to the logits (B, K)."""
    steps, u = kept
    h = steps[-1][-1]
    flat = _pass(gradient @ weights.output, u) @ weights.hidden
    g = flat.view(len(flat), -1, h.shape[1]).transpose(1, 2).contiguous()
    for block in reversed(range(5)):
        a, winners, h = steps[block]
        pooled = _lines(_pass(g, h))
        # Of the samples that were pooled only the shape counts, which is that of a.
        g = _rows(_aten.max_pool2d_with_indices_backward(pooled, _lines(a), *_POOL, winners))
        ga = _pass(_conv(g, weights.up[2 * block + 1]), a)
        if block:
            g += _conv(ga, weights.up[2 * block])
    return _first_layers_gradient(g, ga, weights)


def _part_size(beats: int) -> int:
    """Return how many beats to take at once, so that every thread has about as many."""
    threads = min(torch.get_num_threads(), max(1, beats // FEWEST))
    return min(PART, -(-beats // threads))


def _each_part(function, weights: Weights, *parts: Sequence) -> list:
    """Return function(weights, part, ...) of every part, one in each thread at a time.

    One thread to a part keeps two cores busier than two threads to every operation.
    """

    def on(*part):
        with torch.no_grad():  # a thread starts with gradients on
            return function(weights, *part)

    threads = torch.get_num_threads()
    if threads == 1 or len(parts[0]) == 1:
        return list(map(on, *parts))
    return list(_workers(threads).map(on, *parts))


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    """Return that many threads whose operations take no further ones."""
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    all_there = Barrier(threads)
    for waiting in [pool.submit(all_there.wait) for _ in range(threads)]:
        waiting.result()
    torch.set_num_threads(threads)  # the default of threads to come; those of the pool keep 1
    return pool


def logits(network: nn.Module, x: Tensor, plain) -> Tensor:
    """Return the logits (..., B, K) of x (..., B, 1, L).

    Args:
        network: a BeatCNN, plain or stacked.
        plain: the network's forward in ordinary operations, for x (B, 1, L) of a plain one and
            (S, B, 1, L) of a stacked one; taken for gradients of gradients.
    """
    if x.dim() == 3:
        return FrozenCNN.apply(x, weights_of(network), plain)

    def one_seed(seed):
        return lambda part: plain(part.expand(len(x), *part.shape))[seed]

    return torch.stack(
        [FrozenCNN.apply(x[s], weights_of(network, s), one_seed(s)) for s in range(len(x))]
    )


def _lines(rows: Tensor) -> Tensor:
    """Return activations (B, L, C) as B images (B, C, 1, L) of one line."""
    return rows.transpose(1, 2).unsqueeze(2)


def _rows(lines: Tensor) -> Tensor:
    """Return the activations (B, L, C) of images (B, C, 1, L)."""
    return lines.squeeze(2).transpose(1, 2)


def _conv(rows: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the convolution (B, L, C) of rows (B, L, C), in memory of its own."""
    image = rows.permute(2, 0, 1).unsqueeze(0)
    image = F.conv2d(image, kernel, bias, padding=(0, 2))
    return image.squeeze(0).permute(1, 2, 0).contiguous()


def _pass(gradient: Tensor, activation: Tensor) -> Tensor:
    """Zero the gradient in place where a ReLU gave 0."""
    return _aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)


def _first_layers(x: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Return the stem's output and that of the first block's conv1 before its ReLU."""
    beats, _, length = x.shape
    windows = F.pad(x[:, 0], (4, 4)).unfold(1, 9, 1).reshape(beats * length, 9)
    z = torch.addmm(weights.stem_bias, windows[:, 2:7], weights.stem).view(beats, length, -1)
    a = torch.addmm(weights.first_bias, windows, weights.first).view(beats, length, -1)
    ends = torch.cat([z[:, :4], z[:, -4:]])
    left, right = _conv(ends, weights.down[0], weights.bias[0]).chunk(2)
    a[:, :2], a[:, -2:] = left[:, :2], right[:, -2:]
    return z, a


def _first_layers_gradient(g: Tensor, ga: Tensor, weights: Weights) -> Tensor:
    """Return the gradient to x (B, 1, L) from those to what `_first_layers` returned."""
    beats, length, channels = g.shape
    ends = ga.new_zeros(2, beats, 4, channels)
    ends[0, :, :2], ends[1, :, -2:] = ga[:, :2], ga[:, -2:]
    ga[:, :2] = ga[:, -2:] = 0
    left, right = _conv(ends.flatten(0, 1), weights.up[0]).chunk(2)
    g[:, :4] += left
    g[:, -4:] += right
    # One number a tap and sample, each to be moved by its tap and summed.
    taps = weights.first @ ga.flatten(0, 1).T
    taps[2:7] += weights.stem @ g.flatten(0, 1).T
    total = g.new_zeros(beats, length + 8)
    for tap, values in enumerate(taps.view(9, beats, length)):
        total[:, tap : tap + length] += values
    return total[:, None, 4:-4]
