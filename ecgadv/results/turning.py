"""Which examples attacks turned, for tables of what one attack finds and another misses."""

from collections.abc import Sequence

import numpy as np

from ecgadv.evaluation.robustness import BROKEN, NOT_ATTACKED
from ecgadv.results.result import WORST, Result


def turned(result: Result, attacks: Sequence[str], *, eps: float) -> np.ndarray:
    """Return which examples each attack turned at a noise level, bool (A, S, N).

    Counted are examples that the network reads right and that all attacks saw.
    """
    seen = (result.held(WORST, eps) != NOT_ATTACKED) & (result.clean == 1)
    return np.stack([(result.held(attack, eps) == BROKEN) & seen for attack in attacks])


def strongest(result: Result, *, eps: float) -> tuple[str, float]:
    """Return the attack that turned most at a noise level, and its share of what any turned.

    Counted are examples as `turned` counts them, of all seeds; the share is NaN if none turned any.
    """
    attacks = [name for name, levels in result.own_attacks.items() if eps in levels]
    flags = turned(result, attacks, eps=eps)
    counts, any_turned = flags.sum(axis=(1, 2)), flags.any(axis=0).sum()
    first = int(counts.argmax())
    return attacks[first], float(counts[first] / any_turned) if any_turned else float("nan")
