"""The MLP's logits and input gradient on a CPU while its parameters stay fixed.

An attack needs no gradient of the parameters, and two things follow for `BeatMLP`:

* The last two layers have no ReLU between them, so they are one linear map of K rows.
* The ReLUs work in place, forward and backward: what they gave says where they were off.

In exact arithmetic nothing changes.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

_aten = torch.ops.aten


class FrozenMLP(Function):
    """Logits (..., B, K) of x (..., B, L) as a function of x alone."""

    @staticmethod
    def forward(ctx, x: Tensor, layers: Sequence[tuple[Tensor, Tensor]], plain) -> Tensor:
        *below, (weight, bias), (output, output_bias) = layers
        bias = _affine(bias.unsqueeze(-2), output, output_bias).squeeze(-2)
        output = output @ weight
        ctx.plain, ctx.weights, ctx.hidden = plain, [w for w, _ in below] + [output], []
        ctx.save_for_backward(x)
        h = x
        for w, b in below:
            h = _affine(h, w, b).relu_()
            ctx.hidden.append(h)
        return _affine(h, output, bias)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            return torch.autograd.grad(ctx.plain(x), x, gradient, create_graph=True)[0], None, None
        for weight, h in zip(ctx.weights[:0:-1], ctx.hidden[::-1], strict=True):
            gradient = gradient @ weight
            _aten.threshold_backward.grad_input(gradient, h, 0, grad_input=gradient)
        return gradient @ ctx.weights[0], None, None


def _affine(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if weight.dim() == 2:
        return F.linear(h, weight, bias)
    return torch.baddbmm(bias.unsqueeze(1), h, weight.mT)


def logits(
    pairs: Sequence[tuple[Tensor, Tensor]], x: Tensor, plain: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the logits (..., B, K) of x (..., B, L).

    Args:
        pairs: weight and bias of the layers of a BeatMLP, plain or stacked; a ReLU follows each but
            the last two.
        plain: the same function of x in ordinary operations, for gradients of gradients.
    """
    return FrozenMLP.apply(x, pairs, plain)
