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

from ecgadv.border import options, signals
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
    batch_size: int = 64,
) -> Tensor:
    """Return a lower bound (N,) of min over x_adv and i != y of z_y(x_adv) - z_i(x_adv), float64.

    Where it is above 0 no example within the threat is misclassified. It is computed in double
    precision, for the network in exact arithmetic: a margin of the size of float32's rounding
    (1e-6 of the logits) is no proof for the network as it runs.

    Args:
        model: a network that lists its `affine_layers`, between which there are ReLUs.
        x: (N, C, L), within the bounds of the threat.
        y: labels (N,).
        threat: norm "linf"; its bounds and, with a mask, untouched padding make the bound tighter.
        mask: (N, 1, L), True where the recording is, or None.
        steps: of the ascent on the slopes; 0 gives CROWN.
        batch_size: examples at once; on a CPU few of them stay in its cache.

    Raises:
        EcgadvError: a network or a norm that the bound does not cover, bad shapes or values.
    """
    steps = options.whole("steps", steps, least=0)
    batch_size = options.whole("batch_size", batch_size)
    x, y, mask = signals.admit(x, y, threat, mask, None, stacked=False)
    if threat.norm != "linf":
        raise EcgadvError(f"no bound for norm {threat.norm!r}: give a threat of norm 'linf'")
    layers = _layers(model, x)
    signals.labels_fit(y, layers[-1][1].unsqueeze(0))  # one row, as logits have
    device = layers[0][0].device
    found = [torch.zeros(0, dtype=torch.float64)]
    for rows in torch.arange(len(x), device=x.device).split(batch_size):
        part = None if mask is None else mask[rows].to(device)
        low, high = threat.take(rows).box(x[rows].to(device).double(), part)
        wanted = _margins(y[rows].to(device), layers[-1][0].shape[0])
        found.append(_least(layers, _middle_and_reach(low, high), wanted, steps).amin(1).cpu())
    return torch.cat(found)


def _layers(model: nn.Module, x: Tensor) -> list[Affine]:
    """Return the network's affine maps in double precision, the first of them one of x."""
    if not hasattr(model, "affine_layers"):
        raise EcgadvError(
            f"no bound for {type(model).__name__}: give a network of affine layers with ReLUs "
            "between them, which lists them by a method affine_layers()"
        )
    layers = [(w.detach().double(), b.detach().double()) for w, b in model.affine_layers()]
    wide, values = layers[0][0].shape[1], x.shape[-2] * x.shape[-1]
    if wide != values:
        raise EcgadvError(
            f"x of shape {tuple(x.shape)} has {values} values a sample; give {wide}, as the first "
            f"layer of {type(model).__name__} takes"
        )
    return layers


def _middle_and_reach(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the middle of each example's box and how far it reaches, both (B, n).

    Where rounding has put x just outside the bounds, low is above high, and the box holds both.
    """
    return ((high + low) / 2).flatten(1), ((high - low).abs() / 2).flatten(1)


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
        for weight, bias in layers[:-1]:
            both = torch.cat([weight, -weight])[None], torch.cat([bias, -bias])
            low, negated = _backward(layers, signs, box, both, _slopes(signs)).chunk(2, dim=1)
            signs.append((low, -negated))
        weight, bias = layers[-1]
        last = wanted @ weight, wanted @ bias
        best = _backward(layers, signs, box, last, _slopes(signs))
    if not steps or not signs:
        return best
    # One slope for each functional and ReLU.
    slopes = [s.expand(-1, wanted.shape[1], -1).clone().requires_grad_() for s in _slopes(signs)]
    optimizer = torch.optim.Adam(slopes, lr=SLOPE_STEP, maximize=True)
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.enable_grad():
            bound = _backward(layers, signs, box, last, slopes)
        best = torch.maximum(best, bound.detach())
        bound.sum().backward()
        optimizer.step()
        with torch.no_grad():
            for slope in slopes:
                slope.clamp_(0, 1)
    with torch.no_grad():
        return torch.maximum(best, _backward(layers, signs, box, last, slopes))


def _slopes(signs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Return CROWN's slopes of the lower lines, (B, 1, n): the one that leaves less room."""
    return [(high > -low).to(low)[:, None] for low, high in signs]


def _backward(layers, signs, box, functionals: Affine, slopes: Sequence[Tensor]) -> Tensor:
    """Return lower bounds (B, m) of functionals, (B, m, n) and (B, m), of the last of the ReLUs.

    Every ReLU h = max(z, 0) with z in [l, u] is replaced, from the last one down, by a line: where
    the functional wants h small by slope * z, else by u (z - l) / (u - l).
    """
    wanted, constant = functionals
    for depth in reversed(range(len(signs))):
        low, high = (end[:, None] for end in signs[depth])
        open_ = (low < 0) & (high > 0)
        chord = torch.where(open_, high / (high - low).clamp_min(1e-300), (low >= 0).to(low))
        least = torch.where(open_, slopes[depth], (low >= 0).to(low))
        offset = torch.where(open_, chord * low, 0.0)[:, 0]
        constant = constant - _dot(wanted.clamp_max(0), offset)
        wanted = wanted * torch.where(wanted > 0, least, chord)
        weight, bias = layers[depth]
        constant = constant + wanted @ bias
        wanted = wanted @ weight
    middle, reach = box
    return constant + _dot(wanted, middle) - _dot(wanted.abs(), reach)


def _dot(rows: Tensor, vector: Tensor) -> Tensor:
    """Return the products (B, m) of rows (B, m, n) with one vector (B, n) for each example."""
    return (rows @ vector[..., None]).squeeze(-1)
