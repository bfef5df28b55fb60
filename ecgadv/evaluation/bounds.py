"""A proved lower bound of robust accuracy: backward linear bounds through the ReLUs of an MLP.

An attack shows what is lost and so gives an upper bound. CROWN (Zhang et al., NeurIPS 2018,
arXiv:1811.00866) gives the other side: each ReLU whose sign is open over the budget is held between
two lines, and the least margin of the linear network that is left has a closed form. The slopes of
the lower lines are free; alpha-CROWN (Xu et al., ICLR 2021, arXiv:2011.13824) raises the bound by
gradient ascent on them. Here the slopes of the last bound are raised, those of the bounds on
earlier layers are CROWN's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

Affine = tuple[Tensor, Tensor]  # weight (out, in) and bias (out,)
SLOPE_STEP = 0.1  # learning rate of Adam on the slopes, which lie in [0, 1]


def proved_margins(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    mask: Tensor | None = None,
    steps: int = 20,
    batch_size: int = 256,
) -> Tensor:
    """Return a lower bound (N,) of min over x_adv and i != y of z_y(x_adv) - z_i(x_adv), float64.

    Where it is above 0 no example within the threat is misclassified. It is computed in double
    precision, for the network in exact arithmetic: a margin of the size of float32's rounding
    (1e-6 of the logits) is no proof for the network as it runs.

    Args:
        model: a network that lists its `affine_layers`, between which there are ReLUs.
        x: (N, C, L).
        y: labels (N,).
        threat: norm "linf"; its bounds and, with a mask, untouched padding make the bound tighter.
        mask: (N, 1, L), True where the recording is, or None.
        steps: of the ascent on the slopes; 0 gives CROWN.
        batch_size: examples at once.

    Raises:
        EcgadvError: a network or a norm that the bound does not cover.
    """
    if not hasattr(model, "affine_layers"):
        raise EcgadvError(
            f"no bound for {type(model).__name__}: give a network of affine layers with ReLUs "
            "between them, which lists them by a method affine_layers()"
        )
    if threat.norm != "linf":
        raise EcgadvError(f"no bound for norm {threat.norm!r}: give a threat of norm 'linf'")
    layers = [(w.detach().double(), b.detach().double()) for w, b in model.affine_layers()]
    device = layers[0][0].device
    found = [torch.zeros(0, dtype=torch.float64)]
    for rows in torch.arange(len(x)).split(batch_size):
        part = None if mask is None else mask[rows].to(device)
        low, high = threat.take(rows).box(x[rows].to(device).double(), part)
        box = low.flatten(1), high.flatten(1)
        wanted = _margins(y[rows].to(device), layers[-1][0].shape[0])
        found.append(_least(layers, box, wanted, steps).amin(1).cpu())
    return torch.cat(found)


def _margins(y: Tensor, classes: int) -> Tensor:
    """Return the functionals z_y - z_i of every wrong class i, (B, K - 1, K)."""
    others = torch.arange(classes, device=y.device).expand(len(y), -1)
    others = others[others != y[:, None]].view(len(y), classes - 1)
    eye = torch.eye(classes, dtype=torch.float64, device=y.device)
    return eye[y][:, None] - eye[others]


def _least(layers: Sequence[Affine], box: tuple[Tensor, Tensor], wanted: Tensor, steps: int):
    """Return lower bounds (B, m) of functionals `wanted` (B, m, K) of the last layer's output."""
    signs: list[tuple[Tensor, Tensor]] = []  # bounds of what each ReLU gets
    with torch.no_grad():
        for depth in range(1, len(layers)):
            unit = torch.eye(layers[depth - 1][0].shape[0]).to(box[0])
            both = torch.cat([unit, -unit]).expand(len(box[0]), -1, -1)
            ends = _backward(layers[:depth], signs, box, both, _slopes(signs))
            low, negated = ends.chunk(2, dim=1)
            signs.append((low, -negated))
        best = _backward(layers, signs, box, wanted, _slopes(signs))
    if not steps or not signs:
        return best
    # One slope for each functional and ReLU.
    slopes = [s.expand(-1, wanted.shape[1], -1).clone().requires_grad_() for s in _slopes(signs)]
    optimizer = torch.optim.Adam(slopes, lr=SLOPE_STEP, maximize=True)
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.enable_grad():
            bound = _backward(layers, signs, box, wanted, slopes)
        best = torch.maximum(best, bound.detach())
        bound.sum().backward()
        optimizer.step()
        with torch.no_grad():
            for slope in slopes:
                slope.clamp_(0, 1)
    with torch.no_grad():
        return torch.maximum(best, _backward(layers, signs, box, wanted, slopes))


def _slopes(signs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Return CROWN's slopes of the lower lines, (B, 1, n): the one that leaves less room."""
    return [(high > -low).to(low)[:, None] for low, high in signs]


def _backward(layers, signs, box, wanted: Tensor, slopes: Sequence[Tensor]) -> Tensor:
    """Return lower bounds (B, m) of `wanted` (B, m, n), functionals of the last of `layers`.

    Every ReLU h = max(z, 0) with z in [l, u] is replaced, from the last one down, by a line: where
    the functional wants h small by slope * z, else by u (z - l) / (u - l).
    """
    constant = 0.0
    for depth in range(len(layers) - 1, -1, -1):
        weight, bias = layers[depth]
        constant = constant + wanted @ bias
        wanted = wanted @ weight
        if depth == 0:
            break
        low, high = (end[:, None] for end in signs[depth - 1])
        open_ = (low < 0) & (high > 0)
        chord = torch.where(open_, high / (high - low).clamp_min(1e-300), (low >= 0).to(low))
        least = torch.where(open_, slopes[depth - 1], (low >= 0).to(low))
        up, down = wanted.clamp_min(0), wanted.clamp_max(0)
        constant = constant - (down * torch.where(open_, chord * low, 0.0)).sum(-1)
        wanted = up * least + down * chord
    low, high = box
    middle, reach = (high + low) / 2, (high - low) / 2
    ends = (wanted @ middle[..., None] - wanted.abs() @ reach[..., None]).squeeze(-1)
    return ends + constant
