"""The full CPSC2018 network and its input by formulas, on which the authors' functions were run.

u(i, j) = ((7919 i + 104729 (j + 1)) mod 10007) / 10007 - 0.5 for flat index i of tensor j.
"""

import numpy as np
import torch

from ecgadv.models import build

MASKED = (30_720, 15_000, 9000, 4500)
SAMPLES = 33_792


def u(index, j):
    index = torch.as_tensor(index, dtype=torch.int64)
    return ((7919 * index + 104_729 * (j + 1)) % 10_007).double() / 10_007 - 0.5


def network():
    """resnet18a in float64 with the weights of the formula."""
    model = build("resnet18a").double()
    with torch.no_grad():
        for j, (name, p) in enumerate(model.named_parameters()):
            values = u(np.arange(p.numel()), j).view(p.shape)
            if p.dim() > 1:
                values = 2 * (3 / p[0].numel()) ** 0.5 * values
            else:
                values = 1 + 0.2 * values if name.endswith("weight") else 0.2 * values
            p.copy_(values)
    return model


def batch(*, padded=True):
    """x (4, 8, 33792) float64 and its mask (4, 1, 33792); x is nowhere 0 if not padded."""
    n, c = np.arange(4)[:, None, None], np.arange(8)[None, :, None]
    t = np.arange(SAMPLES, dtype=float)[None, None, :]
    x = 0.5 * np.sin(2 * np.pi * (1.1 + 0.3 * c + 0.2 * n) * t / 500)
    x += 0.3 * np.cos(2 * np.pi * (7 + c) * t / 500 + n) + 0.1 * np.sin(
        0.001 * t * (c + 1) * (n + 1)
    )
    mask = torch.arange(SAMPLES) >= SAMPLES - torch.tensor(MASKED)[:, None, None]
    x = torch.from_numpy(x)
    return (x * mask if padded else x), mask


def start_noise(eps):
    """What stands for the random start of attacks, (4, 8, 33792)."""
    return eps * (2 * (u(np.arange(4 * 8 * SAMPLES), 500) + 0.5) - 1).view(4, 8, SAMPLES)
