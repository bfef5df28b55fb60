"""The proved bound in an evaluation: which examples no attack within a level can break.

A smaller ball lies within a larger one, so that a level is tried on what the one below it proved.
"""

from functools import partial

import numpy as np
import torch

from ecgadv.evaluation.bounds import proved_margins
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments.exposure import subset, threat
from ecgadv.experiments.unfinished import Arrays

# Logits are of the order of 1 and rounded in float32: a smaller proved margin is no proof.
PROOF_SLACK = 1e-4


def proved(evaluation) -> dict[float, np.ndarray]:
    """Return at each eps which examples are proved to hold: 1, 0, or 255 not looked at."""
    found: dict[float, np.ndarray] = {}
    for eps in sorted(evaluation.config.proof):
        evaluation.report(f"proof at eps {eps:g}", 0.0)
        known = evaluation.earlier and evaluation.earlier.proved(eps)
        if known is None:
            prove = partial(_prove, evaluation, eps, found)
            known = evaluation.unfinished.once(f"proved-{eps:g}", prove)
        found[eps] = known["proved"]
    return found


def _prove(evaluation, eps: float, before: dict[float, np.ndarray]) -> Arrays:
    """Prove what can be proved at one eps, of what is proved at the next smaller one."""
    chosen = subset(evaluation.y, evaluation.config.proof_per_class)
    open_ = chosen & (evaluation.prediction == evaluation.y)
    if before:
        open_ &= before[max(before)] == 1
    flags = np.where(chosen, np.uint8(0), np.uint8(NOT_ATTACKED))
    index = np.flatnonzero(open_)
    margins = proved_margins(
        evaluation.model,
        evaluation.x[index],
        torch.from_numpy(evaluation.y[index]),
        threat(evaluation.dataset.unit, eps),
    )
    flags[index] = (margins > PROOF_SLACK).numpy()
    return {"proved": flags}
