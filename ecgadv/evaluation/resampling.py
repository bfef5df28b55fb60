"""Accuracies on test examples drawn anew: one by one within their classes, or by whole patients.

Neither touches single examples in a resample. Examples of one class, drawn with replacement and
averaged, are a multinomial draw (a binomial one for a single row of flags) of how often each
pattern of flags occurs. Whole patients need no more than their examples counted by class.

Both return, for M rows of flags, the accuracies (M,), those of every resample (R, M), and the
number of examples that count: those attacked in all rows.
"""

import numpy as np

from ecgadv.border import arrays
from ecgadv.border.arrays import HELD, NOT_ATTACKED
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.metrics import class_weights, weigh


def draw_examples(
    rows: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    *,
    balanced: bool,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw examples within their classes, whose weights are known and do not vary.

    Args:
        rows: flags (M, N).
        y: labels (N,).
        n_classes: K.
        balanced: average the classes equally instead of by their share of y.
        resamples: R.
        rng: generator of the draws.
    """
    rows, y, common = _checked(rows, y)
    weights = class_weights(y, n_classes, balanced=balanced)
    means = np.full((len(rows), n_classes), np.nan)
    draws = np.full((resamples, len(rows), n_classes), np.nan)
    for c in range(n_classes):
        stratum = rows[:, common & (y == c)]
        if stratum.shape[1]:
            means[:, c] = stratum.mean(axis=1)
            draws[:, :, c] = _resample_means(stratum, resamples, rng)
    return weigh(means, weights), weigh(draws, weights), int(common.sum())


def draw_patients(
    rows: np.ndarray,
    y: np.ndarray,
    patients: np.ndarray,
    n_classes: int,
    *,
    balanced: bool,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Draw patients with replacement, each with all of its examples: the cluster bootstrap.

    Every draw has as many patients as the data; its number of examples, and natural accuracy's
    class shares, follow from who was drawn. A draw without an attacked example of some class is
    drawn again: a mean over fewer classes would be another quantity. So the spread that a class of
    very few patients adds is understated, and a class of a single patient adds none.

    Args:
        patients: whose each example is (N,), of any type that sorts.

    The other arguments are those of `draw_examples`.

    Raises:
        EcgadvError: fewer than two patients, or not one for each label.

    Source: Davison & Hinkley, Bootstrap Methods and Their Application, 1997, section 3.8, and
    Field & Welsh, J. R. Statist. Soc. B 69 (2007) 369: of hierarchical data, the highest level is
    drawn and what lies below is kept whole.
    """
    rows, y, common = _checked(rows, y)
    weights = class_weights(y, n_classes, balanced=balanced)
    names, patient = np.unique(patients, return_inverse=True)
    if patient.shape != y.shape:
        raise EcgadvError(f"patients of shape {patient.shape} for {len(y)} labels; give one each")
    if len(names) < 2:
        raise EcgadvError(f"all examples are of patient {names[0]}; give those of two at least")

    def count(chosen: np.ndarray) -> np.ndarray:
        cells = patient[chosen] * n_classes + y[chosen]
        return np.bincount(cells, minlength=len(names) * n_classes).reshape(-1, n_classes)

    attacked = count(common)  # (G, K)
    held = np.stack([count(common & (row == HELD)) for row in rows])  # (M, G, K)
    times = _times_drawn(attacked, resamples, rng)
    times = np.concatenate([np.ones_like(times[:1]), times])  # (1 + R, G), the data come first
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: a class that nobody has, or not attacked
        shares = (times @ held) / (times @ attacked)  # (M, 1 + R, K)
    if not balanced:
        drawn = times @ count(np.ones_like(common))
        weights = drawn / drawn.sum(axis=1, keepdims=True)  # (1 + R, K)
    accuracies = np.where(weights > 0, weights * shares, 0.0).sum(axis=-1)
    return accuracies[:, 0], accuracies[:, 1:].T, int(common.sum())


def _checked(rows: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flags, labels, and which examples were attacked in all rows (N,)."""
    rows, y = arrays.flags(rows), np.asarray(y)
    arrays.one_each("flags", rows[0], y)
    return rows, y, (rows != NOT_ATTACKED).all(axis=0)


def _resample_means(stratum: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return the row means (R, M) of resamples of the columns of 0/1 flags (M, n)."""
    first, counts = _patterns(stratum)
    n = stratum.shape[1]
    drawn = rng.multinomial(n, counts / n, size=resamples)  # (R, patterns)
    return drawn @ stratum[:, first].T.astype(float) / n


def _patterns(stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a column with each pattern of 0/1 flags (M, n) and its number, in order of the flags.

    Up to 63 flags are one whole number, which sorts several times as fast as bytes do.
    """
    m, about = len(stratum), {"return_index": True, "return_counts": True}
    if m < 64:
        codes = (1 << np.arange(m, dtype=np.int64)[::-1]) @ stratum
        return np.unique(codes, **about)[1:]
    packed = np.packbits(stratum, axis=0).T  # (n, ceil(M / 8)), one code an example
    return np.unique(packed, axis=0, **about)[1:]


def _times_drawn(attacked: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each resample holds each patient (R, G), with every class that anyone has.

    Args:
        attacked: examples of every patient and class that count (G, K).
    """
    n = len(attacked)
    classes = attacked[:, attacked.any(axis=0)]
    times = np.zeros((resamples, n), np.int64)
    lacking = np.ones(resamples, bool)
    while lacking.any():
        times[lacking] = rng.multinomial(n, np.full(n, 1 / n), size=int(lacking.sum()))
        lacking = (times @ classes == 0).any(axis=1)
    return times
