"""Random numbers drawn where the generator lives, so that one on a CPU serves every device."""

import torch
from torch import Tensor


def uniform(shape: torch.Size, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return numbers from [0, 1) of that shape, of the type and on the device of x."""
    return torch.rand(shape, dtype=x.dtype, **_where(x, generator)).to(x.device)


def normal(shape: torch.Size, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return standard normal numbers, likewise."""
    return torch.randn(shape, dtype=x.dtype, **_where(x, generator)).to(x.device)


def signs(shape: torch.Size, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return numbers that are -1 or 1, likewise."""
    return torch.randint(2, shape, **_where(x, generator)).to(x).mul_(2).sub_(1)


def _where(x: Tensor, generator: torch.Generator | None) -> dict:
    """Return where to draw: by torch's default generator on the device of x if there is none."""
    return {"generator": generator, "device": x.device if generator is None else generator.device}
