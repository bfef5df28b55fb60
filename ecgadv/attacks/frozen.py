"""Hold a network still while it is attacked."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module, *, train_mode: bool = False) -> Iterator[nn.Module]:
    """Put `model` in eval mode with frozen parameters; restore both on leaving, error or not.

    Arguments:
        model: the network under attack.
        train_mode: craft in training mode instead, as some protocols do inside training
            (dropout is active and batch statistics move).
    """
    modes = [(module, module.training) for module in model.modules()]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        if any(mode != train_mode for _, mode in modes):
            model.train(train_mode)
        for parameter in trained:
            parameter.requires_grad_(False)
        yield model
    finally:
        # Each submodule by itself: a part that was kept in eval mode on purpose stays so.
        for module, mode in modes:
            module.training = mode
        for parameter in trained:
            parameter.requires_grad_(True)
