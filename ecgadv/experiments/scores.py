"""The numbers of metrics.json, from predictions and flags."""

import numpy as np

from ecgadv.border.arrays import NOT_ATTACKED
from ecgadv.evaluation import metrics

HAN_CLASSES = 3  # N, AF and O: Han's F1 leaves the last class, noise, out (row A19)


def clean(prediction: np.ndarray, y: np.ndarray, classes: int) -> dict:
    """Return the numbers without an attack of predictions (N,) with labels (N,)."""
    about = (prediction, y, classes)
    return {
        "n": len(y),
        "accuracy": metrics.accuracy(prediction, y),
        "balanced_accuracy": metrics.balanced_accuracy(*about),
        "macro_f1": _number(metrics.macro_f1(*about)),
        "sensitivity": [_number(value) for value in metrics.sensitivity(*about)],
        "precision": [_number(value) for value in metrics.precision(*about)],
        "confusion": metrics.confusion(*about).tolist(),
    }


def attacked(held: dict, clean_held: np.ndarray, y: np.ndarray, classes: int) -> dict:
    """Return accuracy against eps, natural and class-balanced, with paper B's summaries.

    Args:
        held: flags (N,) by eps.
        clean_held: flags without an attack.
    """
    eps = sorted(held)
    result = {"eps": eps, "n": int((held[eps[0]] != NOT_ATTACKED).sum())}
    for name, balanced in (("accuracy", False), ("balanced_accuracy", True)):
        levels, values = metrics.robustness_curve(
            {0.0: clean_held, **held}, y, classes, balanced=balanced
        )
        result[name] = values[1:].tolist()
        if 0.1 in eps:
            area = metrics.auc(levels, values)
            result[f"{name}_auc"] = float(area)
            result[f"{name}_robust"] = float(metrics.acc_robust(values[0], area))
    return result


def curves(numbers: dict) -> dict[str, dict]:
    """Return what metrics.json has against eps: of each attack, then what no attack can take."""
    bounds = {name: numbers[name] for name in ("proved", "certified") if name in numbers}
    return numbers["attacks"] | bounds


def f1_under_attack(ends: dict[float, np.ndarray], y: np.ndarray, classes: int) -> dict:
    """Return macro-F1 against eps, over all classes and over those that Han used."""
    found = [metrics.f1_among(ends[eps], y, classes) for eps in sorted(ends)]
    return {
        "macro_f1": [_number(s.mean()) for s in found],
        "han_f1": [_number(s[:HAN_CLASSES].mean()) for s in found],
    }


def _number(value: float) -> float | None:
    """Return None for an undefined number: JSON has no NaN."""
    return None if np.isnan(value) else float(value)
