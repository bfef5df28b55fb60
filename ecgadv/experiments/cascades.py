"""A suite of `ecgadv.evaluate` as one attack of a config: its cascade, at all its levels of eps."""

from dataclasses import asdict

import numpy as np

from ecgadv.evaluation.evaluate import evaluate
from ecgadv.evaluation.report import Report
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments.config import Attack
from ecgadv.experiments.exposure import subset, threat
from ecgadv.experiments.unfinished import Arrays

NOBODY = 255  # in "by": no attack broke the example, or none met it


def attacked(evaluation, attack: Attack) -> tuple[dict[float, Arrays], dict]:
    """Return what a suite finds at each eps, and what its report says of itself.

    "held" are the flags of its worst case, "by" says which attack of its cascade broke an example
    first, as a position in "cascade".
    """
    index = np.flatnonzero(subset(evaluation.y, attack.per_class))
    mask, folder = evaluation.mask_of(attack), evaluation.unfinished.folder
    bounds = threat(evaluation.tested.unit, 1.0, bounded=attack.bounded)
    report = evaluate(
        *(evaluation.model, evaluation.x[index], evaluation.y[index]),
        eps=attack.eps,
        low=bounds.low,
        high=bounds.high,
        unit=bounds.unit,
        attacks=attack.method,
        mask=None if mask is None else mask[index],
        batch_size=evaluation.batch,
        folder=None if folder is None else folder / attack.name,
        progress=evaluation.report,
    )
    found = {eps: _arrays(report, eps, index, len(evaluation.y)) for eps in attack.eps}
    passes = report.spent.sum(axis=1)[:, :2].astype(int).tolist()
    about = {
        "cascade": report.attacks,
        "passes": dict(zip(report.attacks, passes, strict=True)),
        "indicators": [asdict(indicator) for indicator in report.indicators],
        "notes": report.about["notes"],
    }
    return found, about


def _arrays(report: Report, eps: float, index: np.ndarray, n: int) -> Arrays:
    held, by = np.full((2, n), NOT_ATTACKED, np.uint8)
    breaker = report.breaker[report.level(eps)]
    held[index], by[index] = report.held(eps), np.where(breaker < 0, NOBODY, breaker)
    return {"held": held, "by": by}
