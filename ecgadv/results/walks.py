"""What the boundary attack of paper A reached, from the records that ran it."""

import numpy as np

from ecgadv.evaluation import scores
from ecgadv.evaluation.intervals import Interval
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.evaluation.scores import Share
from ecgadv.results.result import Result


def walked(result: Result) -> bool:
    """Return whether the boundary attack was run."""
    return bool(result.config.get("boundary"))


def distances(result: Result) -> np.ndarray:
    """Return how far it stayed from each original, RMS in the unit of the data (S, P).

    NaN where a pair was skipped because the network misread its original or its start.
    """
    return result.arrays("boundary/distance").astype(float)


def median_distance(result: Result) -> Interval | None:
    """Return the median distance over seeds and pairs, None if every pair was skipped."""
    found = distances(result)
    return None if np.isnan(found).all() else scores.median_interval(found)


def transferred(result: Result) -> Share:
    """Return the share of its examples, found on the undefended network of the same seed, that
    this network reads as the original's class.

    Seeds have different undefended networks, so a pair counts in the seeds that walked it.
    """
    ends = result.arrays("boundary/transfer")
    right = ends == result.y[result.arrays("boundary/original")]
    flags = np.where(ends == NOT_ATTACKED, NOT_ATTACKED, right).astype(np.uint8)
    by_seed = [scores.share(row[None]) for row in flags]
    seen = [found for found in by_seed if found.n]
    if not seen:
        return Share(float("nan"), float("nan"), float("nan"), 0)
    value = float(np.mean([found.value for found in seen]))
    low, high = min(found.low for found in seen), max(found.high for found in seen)
    return Share(value, low, high, min(found.n for found in seen))


def pairs(result: Result) -> tuple[int, int, int]:
    """Return how many pairs were drawn, and the fewest and most that were walked in a seed."""
    flags = ~np.isnan(distances(result))
    counts = flags.sum(axis=1)
    return flags.shape[1], int(counts.min()), int(counts.max())


def queries(result: Result) -> float:
    """Return the median number of queries of a pair that was walked."""
    asked = result.arrays("boundary/queries")
    return float(np.median(asked[asked > 0])) if (asked > 0).any() else float("nan")
