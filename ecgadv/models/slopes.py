"""Logits and their products with the Jacobian, for penalties on a network's slopes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_aten = torch.ops.aten

Pull = Callable[[Tensor], Tensor]


def by_double_backward(
    network: Callable[[Tensor], Tensor], x: Tensor, *, vectorised: bool = True
) -> tuple[Tensor, Pull]:
    """Return what `ecgadv.models.pullback` does, for any network x (..., B, C, L) -> (..., B, K).

    Several vectors take one vectorised pass, or a backward pass each where the network's layers
    know no other: torch cannot vectorise the slopes of a group normalisation.
    """
    x = x.detach().requires_grad_()
    logits = network(x)

    def pull(vectors: Tensor) -> Tensor:
        several = vectors.dim() > logits.dim()
        if several and not vectorised:
            return torch.stack([pull(vector) for vector in vectors])
        (pulled,) = torch.autograd.grad(
            logits, x, vectors, create_graph=True, is_grads_batched=several
        )
        return pulled

    return logits, pull


class ReLUChain(Function):
    """The product J^T v of layers that each end in a ReLU, as a function of v and the weights.

    Where a ReLU is on does not move with the weights, so the product is linear in each of them:
    its gradient is one product a layer, once the incoming gradient has been passed through the
    layers in their own direction. That is the double backward pass without its overhead.

    Arguments are v (S, out, R, B), then the weights (S, out, in) from the first layer to the last,
    then what the ReLUs gave (S, out, B); the result is (S, in, R, B). The beats come last because
    `ecgadv.models.stacking.linear` lays activations out so.
    """

    @staticmethod
    def forward(ctx, v: Tensor, *tensors: Tensor) -> Tensor:
        depth = len(tensors) // 2
        pulled = []
        for weight, h in zip(tensors[depth - 1 :: -1], tensors[: depth - 1 : -1], strict=True):
            v = _pass(v if pulled else v.clone(), h)
            pulled.insert(0, v)
            v = _product(weight.mT, v)
        ctx.save_for_backward(*tensors, *pulled)
        return v

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        depth = len(ctx.saved_tensors) // 3
        weights, hidden, pulled = (ctx.saved_tensors[i * depth :][:depth] for i in range(3))
        gradients, t = [], gradient.contiguous()
        for weight, h, v in zip(weights, hidden, pulled, strict=True):
            gradients.append(torch.bmm(v.flatten(2), t.flatten(2).mT))
            t = _pass(_product(weight, t), h)
        return t, *gradients, *[None] * depth


def _product(matrix: Tensor, v: Tensor) -> Tensor:
    return torch.bmm(matrix, v.flatten(2)).unflatten(2, v.shape[2:])


def _pass(v: Tensor, h: Tensor) -> Tensor:
    """Zero v (S, F, R, B) in place where a ReLU gave 0."""
    return _aten.threshold_backward.grad_input(v, h.unsqueeze(2), 0, grad_input=v)


def of_mlp(layers: nn.ModuleList, hidden: list[Tensor], logits: Tensor) -> Pull:
    """Return `pull` of a BeatMLP, plain or stacked.

    Args:
        layers: of the network; a ReLU follows each but the last two.
        hidden: what the ReLUs gave, (..., B, F).
        logits: (..., B, K).
    """
    plain = logits.dim() == 2
    weights = [layer.weight[None] if plain else layer.weight for layer in layers]
    hidden = [(h[None] if plain else h).detach().mT.contiguous() for h in hidden]
    top = torch.bmm(weights[-1], weights[-2]).mT  # (S, F, K)

    def pull(vectors: Tensor) -> Tensor:
        rows = vectors.reshape(-1, len(top), *logits.shape[-2:])  # (R, S, B, K)
        rows = rows.permute(1, 3, 0, 2)
        v = torch.bmm(top, rows.flatten(2)).unflatten(2, rows.shape[2:])
        pulled = ReLUChain.apply(v, *weights[:-2], *hidden).permute(2, 0, 3, 1)  # (R, S, B, L)
        return pulled.reshape(*vectors.shape[:-1], 1, -1)

    return pull
