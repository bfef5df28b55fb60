"""What randomized smoothing certifies of a network, from the records that asked for it."""

import numpy as np

from ecgadv.evaluation import scores
from ecgadv.evaluation.intervals import Interval
from ecgadv.experiments import certificates
from ecgadv.models import MODELS
from ecgadv.results.estimate import Estimate
from ecgadv.results.result import Result


def levels(result: Result) -> list[float]:
    """Return 0 and the levels at which the smoothed network was certified; none if it was not."""
    options = result.config.get("certificate")
    return [0.0, *options["eps"]] if options else []


def masked(result: Result) -> bool:
    """Return whether the certificate leaves the padding alone: the network is told where it is."""
    return getattr(MODELS.get(result.config["model"]), "uses_mask", False)


def certified(result: Result, eps: float) -> np.ndarray:
    """Return flags (S, N): 1 where the smoothed network reads the label, and does within eps.

    eps is a root mean square over the signal, so that the "linf" ball of eps is within, too. At 0
    stands what the smoothed network reads right, and often enough to certify anything.
    """
    radius = result.arrays(certificates.RADII[0])
    return np.stack([certificates.held({certificates.RADII[0]: r}, [eps])[eps] for r in radius])


def accuracy(result: Result, eps: float) -> Estimate:
    """Return the class-balanced share that is certified to hold at one noise level."""
    return result.estimate(certified(result, eps)[:, None])


def median_radius(result: Result) -> Interval:
    """Return the median radius in microvolts, root mean square, over seeds and examples.

    Examples whose label is not read count as 0, those that were not looked at count nothing.
    """
    return scores.median_interval(result.arrays(certificates.RADII[1]).astype(float))
