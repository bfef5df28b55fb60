"""Networks: each maps a batch (..., B, C, L) to logits (..., B, K)."""

from torch import nn

from ecgadv.border.networks import forward
from ecgadv.errors import EcgadvError
from ecgadv.models.beat_cnn import BeatCNN
from ecgadv.models.beat_mlp import BeatMLP
from ecgadv.models.han_cnn import HanCNN
from ecgadv.models.memory import keep_freed_memory

__all__ = ["FIXED_LENGTH", "MODELS", "BeatCNN", "BeatMLP", "HanCNN", "build", "forward"]

keep_freed_memory()

MODELS = {"beat-mlp": BeatMLP, "beat-cnn": BeatCNN, "han-cnn": HanCNN}
FIXED_LENGTH = ("beat-mlp", "beat-cnn")  # their last layers are made for one length of the input


def build(name: str, **options) -> nn.Module:
    """Return a freshly initialised network by name; `options` go to its constructor."""
    if name not in MODELS:
        raise EcgadvError(f"unknown model {name!r}; choose one of {', '.join(sorted(MODELS))}")
    return MODELS[name](**options)
