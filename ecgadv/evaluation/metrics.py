"""Accuracies and the summary metrics of both papers, from predictions or from held flags.

Labels and predictions are integers 0 ... K-1 of shape (N,); flags are those of `robustness`.
Undefined values are NaN, never 0 and never left out in silence: each function says which.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ecgadv.border import arrays
from ecgadv.border.arrays import HELD, NOT_ATTACKED
from ecgadv.errors import EcgadvError


def confusion(pred: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Count the pairs of true class (row) and predicted class (column): int64 (K, K)."""
    pred, y = _pairs(pred, y, n_classes)
    return np.bincount(y * n_classes + pred, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(pred: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the share of right predictions, each counted with its weight (default 1)."""
    pred, y = _pairs(pred, y)
    if weights is not None:
        weights = arrays.array("weights", weights)
        arrays.one_each("weights", weights, y)
    return float(np.average(pred == y, weights=weights))


def sensitivity(pred: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the recall of every class (K,); NaN for a class without an example."""
    counts = confusion(pred, y, n_classes)
    return _ratio(np.diag(counts), counts.sum(axis=1))


def precision(pred: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the precision of every class (K,); NaN for a class that is never predicted."""
    counts = confusion(pred, y, n_classes)
    return _ratio(np.diag(counts), counts.sum(axis=0))


def balanced_accuracy(pred: np.ndarray, y: np.ndarray, n_classes: int) -> float:
    """Return the mean sensitivity of the classes that occur in y.

    It is what paper B calls accuracy: its test sampler repeats the rare classes until all are
    as frequent as the commonest one (PROTOCOLS 3.1, row B3).
    """
    return float(np.nanmean(sensitivity(pred, y, n_classes)))


def f1(pred: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return F1_c = 2 C_cc / (row_c + column_c) (K,); NaN for a class in neither y nor pred."""
    counts = confusion(pred, y, n_classes)
    return _ratio(2 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def macro_f1(
    pred: np.ndarray, y: np.ndarray, n_classes: int, *, classes: Sequence[int] | None = None
) -> float:
    """Return the mean F1 over `classes` (default: all), as in PROTOCOLS 2.6.

    Han and the 2017 challenge leave the noise class out of the mean, though not out of the
    predictions: pass `classes=(0, 1, 2)`. NaN where a class of the mean has no F1.
    """
    scores = f1(pred, y, n_classes)
    return float(scores.mean() if classes is None else scores[list(classes)].mean())


def f1_among(pred: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the F1 of every class (K,) from predictions of some of the examples.

    Each class counts as often as it stands in y, however many of it were attacked, so the score
    of a few of each class estimates that of all; of all examples it is `f1`. All are NaN if a
    class that occurs in y was never attacked: what it is taken for is not known.

    Args:
        pred: uint8 (N,), the class, or 255 where there is no prediction.
        y: labels (N,).
    """
    pred, y = _pairs(pred, y)
    seen = pred != NOT_ATTACKED
    counts = confusion(pred[seen], y[seen], n_classes)
    every = np.bincount(y, minlength=n_classes)
    weights = np.where(every > 0, _ratio(every, counts.sum(axis=1)), 0.0)
    counts = counts * weights[:, None]
    return _ratio(2 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def held_by_class(held: np.ndarray, y: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Count held and attacked examples of every class: two int64 arrays (K,)."""
    held, y = arrays.flags(held), arrays.classes("label", y, n_classes)
    arrays.one_each("flags", held, y)
    attacked = np.bincount(y[held != NOT_ATTACKED], minlength=n_classes)
    return np.bincount(y[held == HELD], minlength=n_classes), attacked


def class_weights(y: np.ndarray, n_classes: int, *, balanced: bool = False) -> np.ndarray:
    """Return the weight of every class (K,): its share of y, or equal for those that occur."""
    counts = np.bincount(arrays.classes("label", y, n_classes), minlength=n_classes)
    weights = (counts > 0).astype(float) if balanced else counts
    return weights / weights.sum()


def robust_accuracy(
    held: np.ndarray, y: np.ndarray, n_classes: int, *, balanced: bool = False
) -> float:
    """Return the accuracy under attack, estimated from the attacked examples of each class.

    `sum_c w_c * held_c / attacked_c`, where w_c is the share of class c in all of y (natural
    accuracy, however the attacked subset was drawn) or equal for the classes in y (balanced).
    NaN if a class that occurs in y was never attacked.
    """
    counts, attacked = held_by_class(held, y, n_classes)
    return weigh(_ratio(counts, attacked), class_weights(y, n_classes, balanced=balanced))


def weigh(by_class: np.ndarray, weights: np.ndarray) -> np.ndarray | float:
    """Return the weighted sum over the last axis (K); a class of weight 0 may be NaN."""
    used = weights > 0
    total = by_class[..., used] @ weights[used]
    return float(total) if np.ndim(total) == 0 else total


def robustness_curve(
    held: Mapping[float, np.ndarray], y: np.ndarray, n_classes: int, *, balanced: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return noise levels in ascending order (E,) and the accuracy at each (E,).

    Args:
        held: flags (N,) for each noise level; level 0.0 is clean correctness.
        y: labels (N,).
        n_classes: K.
        balanced: average the classes equally.
    """
    levels = sorted(held)
    values = [robust_accuracy(held[eps], y, n_classes, balanced=balanced) for eps in levels]
    return np.array(levels, dtype=float), np.array(values)


def auc(eps: Sequence[float], accuracy: np.ndarray, eps_max: float = 0.1) -> np.ndarray | float:
    """Return the area under accuracy against noise level, up to and divided by eps_max.

    Paper B: `AUC(e_max) = (1/e_max) sum_k (a_k + a_{k-1}) (e_k - e_{k-1}) / 2` with e_0 = 0.

    Args:
        eps: noise levels (E,), ascending from 0.
        accuracy: accuracy at each level (..., E).
        eps_max: last level that counts; it must be one of the levels.

    Raises:
        EcgadvError: levels not ascending from 0, eps_max not among them, unequal lengths.
    """
    eps, accuracy = np.asarray(eps, dtype=float), np.asarray(accuracy, dtype=float)
    if accuracy.shape[-1] != len(eps):
        raise EcgadvError(f"{accuracy.shape[-1]} accuracies for {len(eps)} noise levels")
    if eps[0] != 0 or (np.diff(eps) <= 0).any():
        raise EcgadvError(f"noise levels {eps.tolist()}; give them ascending, the clean 0 first")
    last = np.flatnonzero(np.isclose(eps, eps_max, rtol=1e-9, atol=0.0))
    if not eps_max > 0 or not len(last):
        raise EcgadvError(
            f"eps_max {eps_max} is not a noise level; choose one of {eps[1:].tolist()}"
        )
    stop = int(last[0]) + 1
    area = np.trapezoid(accuracy[..., :stop], eps[:stop]) / eps_max
    return float(area) if area.ndim == 0 else area


def acc_robust(clean: np.ndarray | float, area: np.ndarray | float) -> np.ndarray | float:
    """Return paper B's summary `ACC_robust = sqrt(a_0 * AUC)` of clean accuracy and area."""
    return np.sqrt(clean * area) if np.ndim(area) else float(np.sqrt(clean * area))


def _pairs(pred, y, n_classes: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    pred, y = arrays.classes("prediction", pred, n_classes), arrays.classes("label", y, n_classes)
    arrays.one_each("predictions", pred, y)
    return pred, y


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
