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
