"""Several seeds of one small network side by side: every parameter gains a leading seed axis.

A stacked network maps x (S, B, C, L) to logits (S, B, K), seed s with its own parameters. Batched
products replace S small ones, which is what makes networks of 50,000 parameters fast: on a GPU
launch overhead is shared, on a CPU the autograd overhead.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def linear(layer: nn.Linear, h: Tensor) -> Tensor:
    """Apply a Linear layer, stacked (h is (S, B, in)) or plain (h is (B, in))."""
    if layer.weight.dim() == 2:
        return F.linear(h, layer.weight, layer.bias)
    if layer.weight.requires_grad:
        # Transposed, so that the gradient to the weight comes out in the weight's own layout.
        return torch.baddbmm(layer.bias.unsqueeze(-1), layer.weight, h.mT).mT
    # An attack wants the gradient to the input alone, for which this order is a fifth faster.
    return torch.baddbmm(layer.bias.unsqueeze(-2), h, layer.weight.mT)


def stack(models: Sequence[nn.Module]) -> nn.Module:
    """Return one network holding the parameters of all `models` along a leading seed axis."""
    stacked = copy.deepcopy(models[0])
    states = [model.state_dict() for model in models]
    _replace_parameters(stacked, {k: torch.stack([s[k] for s in states]) for k in states[0]})
    return stacked


def unstack(model: nn.Module) -> list[nn.Module]:
    """Return the plain networks of a stacked one, in order."""
    state = model.state_dict()
    seeds = next(iter(state.values())).shape[0]
    plain = [copy.deepcopy(model) for _ in range(seeds)]
    for index, single in enumerate(plain):
        _replace_parameters(single, {k: v[index].clone() for k, v in state.items()})
    return plain


def _replace_parameters(model: nn.Module, values: dict[str, Tensor]) -> None:
    for name, value in values.items():
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(value))
