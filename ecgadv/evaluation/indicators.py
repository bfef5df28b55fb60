"""Signs that an attack failed rather than that a defense worked.

Robust accuracy is only as good as the attack behind it. Each function computes one symptom of a
weak attack or of masked gradients, after Carlini et al., On evaluating adversarial robustness
(arXiv:1902.06705), and Pintor et al., Indicators of attack failure (arXiv:2106.09947). Values
are shares of the examples that all flags at hand have in common, so 0 is the best; the
thresholds are ours. A raised indicator says that the accuracy beside it is an upper bound with
known room below, and by how much at least.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import LOSSES, input_gradient, misread
from ecgadv.border import arrays, options, signals
from ecgadv.border.arrays import HELD, NOT_ATTACKED
from ecgadv.border.networks import attacked
from ecgadv.errors import EcgadvError


@dataclass(frozen=True)
class Indicator:
    """A symptom: its value, the largest value that passes, and what it was computed from."""

    name: str
    value: float
    threshold: float
    n_examples: int

    @property
    def failed(self) -> bool:
        """True above the threshold, and where nothing could be measured (NaN)."""
        return not self.value <= self.threshold


def large_budget_holds(held: np.ndarray, *, threshold: float = 0.05) -> Indicator:
    """Share of examples that hold under a budget large enough to break everything.

    Args:
        held: flags (N,) at such a budget, for example half of the signal's range, at which every
            signal can be made the same.
        threshold: largest share that passes.
    """
    (held,) = _common(held=held)
    return Indicator("large budget holds", _mean(held == HELD), threshold, len(held))


def contradicted(proved: np.ndarray, held: np.ndarray) -> Indicator:
    """Share of examples that an attack broke although they are proved to hold: none may be.

    Args:
        proved: flags (N,), 1 where no perturbation of the budget can turn the example.
        held: flags (N,) of attacks within the same budget and bounds.
    """
    proved, held = _common(proved=proved, held=held)
    broken = (proved == HELD) & (held != HELD)
    return Indicator("proved, yet broken", _mean(broken), 0.0, len(held))


def not_monotone(held: Mapping[float, np.ndarray], *, threshold: float = 0.01) -> Indicator:
    """Share of examples that hold at some budget although a smaller one broke them.

    Args:
        held: flags (N,) for each eps, two at least, all of one attack.
        threshold: largest share that passes.
    """
    if len(held) < 2:
        raise EcgadvError(f"flags at {len(held)} budget; give two budgets at least")
    rows = np.stack(_common(**{str(eps): held[eps] for eps in sorted(held)}))
    weakest = np.minimum.accumulate(rows, axis=0)  # 0 from the first budget that broke it
    share = _mean((rows > weakest).any(axis=0))
    return Indicator("not monotone in eps", share, threshold, rows.shape[1])


def beaten_by(
    held: np.ndarray, held_weaker: np.ndarray, *, name: str = "noise", threshold: float = 0.01
) -> Indicator:
    """Share of examples that a weaker attack breaks and the attack under test does not.

    Args:
        held: flags (N,) of the attack under test, a white-box one.
        held_weaker: flags of uniform noise, a transfer or a gradient-free attack at the same eps.
        name: what the weaker attack is called.
        threshold: largest share that passes.
    """
    held, weaker = _common(held=held, held_weaker=held_weaker)
    return Indicator(f"beaten by {name}", _mean(held > weaker), threshold, len(held))


def gains_from_more_steps(
    held: np.ndarray, held_more: np.ndarray, *, threshold: float = 0.01
) -> Indicator:
    """Accuracy that the attack loses further when it runs with more steps, usually twice as many.

    Args:
        held: flags (N,) with the steps as reported.
        held_more: flags with more steps, all else equal.
        threshold: largest share that passes.
    """
    held, more = _common(held=held, held_more=held_more)
    gain = _mean(held == HELD) - _mean(more == HELD)
    return Indicator("gains from more steps", gain, threshold, len(held))


def zero_gradients(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    mask: Tensor | None = None,
    loss: str = "ce",
    threshold: float = 0.01,
) -> Indicator:
    """Share of rightly classified examples on which the attack has no direction to go.

    These are the examples whose input gradient of the attack's own loss is zero everywhere, or
    not finite, at the starting point.

    Args:
        model: network under attack, left as it was.
        x: examples (B, C, L) on the model's device, few enough for one batch.
        y: labels (B,).
        mask: (B, 1, L) bool or None; only gradients where it is True count.
        loss: "ce", "margin" or "dlr".
        threshold: largest share that passes.
    """
    options.word("attack loss", loss, LOSSES)
    x = signals.signals("x", x)
    y, mask = signals.labels("y", y, x), signals.padding(mask, x)
    with attacked(model, y) as network:
        logits, gradient = input_gradient(network, x.clone().requires_grad_(), y, mask, loss)
    if mask is not None:
        gradient = torch.where(mask, gradient, 0.0)
    flat = gradient.flatten(-2)
    usable = (flat != 0).any(-1) & flat.isfinite().all(-1)
    right = ~misread(logits, y)
    share = _mean((~usable[right]).cpu().numpy())
    return Indicator(f"zero gradients ({loss})", share, threshold, int(right.sum()))


def _common(**flags: np.ndarray) -> list[np.ndarray]:
    """Return the flags on the examples that were attacked in all of them."""
    checked = [arrays.flags(held, name=name) for name, held in flags.items()]
    if len({len(held) for held in checked}) > 1:
        sizes = {name: len(held) for name, held in zip(flags, checked, strict=True)}
        raise EcgadvError(f"flags of unequal length {sizes}; give the same examples to each")
    common = np.all([held != NOT_ATTACKED for held in checked], axis=0)
    return [held[common] for held in checked]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
