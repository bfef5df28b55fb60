"""Networks: each maps a batch (..., B, C, L) to logits (..., B, K)."""

import torch
from torch import Tensor, nn

from ecgadv.border.networks import forward
from ecgadv.errors import EcgadvError
from ecgadv.models.beat_cnn import BeatCNN
from ecgadv.models.beat_mlp import BeatMLP
from ecgadv.models.han_cnn import HanCNN
from ecgadv.models.memory import keep_freed_memory
from ecgadv.models.resnet18a import ResNet18a
from ecgadv.models.slopes import Pull, by_double_backward

__all__ = [
    "FIXED_LENGTH",
    "MODELS",
    "BeatCNN",
    "BeatMLP",
    "HanCNN",
    "ResNet18a",
    "build",
    "forward",
    "pullback",
]

keep_freed_memory()

MODELS = {
    "beat-mlp": BeatMLP,
    "beat-cnn": BeatCNN,
    "han-cnn": HanCNN,
    "resnet18a": ResNet18a,
}
FIXED_LENGTH = ("beat-mlp", "beat-cnn")  # their last layers are made for one length of the input


def build(name: str, **options) -> nn.Module:
    """Return a freshly initialised network by name; `options` go to its constructor."""
    if name not in MODELS:
        raise EcgadvError(f"unknown model {name!r}; choose one of {', '.join(sorted(MODELS))}")
    return MODELS[name](**options)


def pullback(model: nn.Module, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Pull]:
    """Return the logits (..., B, K) of x (..., B, C, L), and what gives their slopes.

    pull(v) is J^T v (..., B, C, L), where J is each sample's Jacobian of the logits with respect
    to x and v (..., B, K) is constant; it is differentiable with respect to the parameters. With
    one more leading dimension v holds several vectors for each sample, and so does the result.
    """
    # Not a subclass of the MLP: its forward may be another.
    if type(model) is BeatMLP and not torch.is_autocast_enabled(x.device.type):
        return model.pullback(x)
    vectorised = getattr(model, "vectorised_slopes", True)
    return by_double_backward(lambda x: forward(model, x, mask), x, vectorised=vectorised)
