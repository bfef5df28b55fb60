"""The certificate of randomized smoothing in an evaluation: how far the majority cannot change."""

from collections.abc import Iterable
from functools import partial

import numpy as np

from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.evaluation.smoothing import certify
from ecgadv.experiments.exposure import subset
from ecgadv.experiments.unfinished import Arrays

RADII = ("certified/rms", "certified/rms-uv")
LOT = 100  # examples of a part that an evaluation keeps


def certified(evaluation) -> dict[str, np.ndarray]:
    """Return the radius of each example, as a root mean square over the signal.

    A change of root mean square eps is as long as one of eps on every value, so that a radius
    beyond eps also holds in the "linf" ball of eps. A network that is told where the padding is
    meets noise on the recording alone, and the radius is over it alone.

    Returns:
        "certified/rms" in the unit of x and "certified/rms-uv" in microvolts, float32 (N,): 0 where
        the majority is not the label or too small, NaN where the example was not looked at.
    """
    options = dict(evaluation.config.certificate)
    index = np.flatnonzero(subset(evaluation.y, options.pop("per_class")))
    del options["eps"]
    found = np.full((2, len(evaluation.y)), np.nan, np.float32)
    for first in range(0, len(index), LOT):
        evaluation.report("certificate", first / len(index))
        lot = index[first : first + LOT]
        certify_lot = partial(_certify, evaluation, lot, options)
        part = evaluation.unfinished.once(f"certified-{first}", certify_lot)
        found[:, lot] = part["rms"], part["uv"]
    return dict(zip(RADII, found, strict=True))


def _certify(evaluation, lot: np.ndarray, options: dict) -> Arrays:
    """Return the radii of some test examples, 0 where the class is wrong."""
    found = certify(
        evaluation.model,
        evaluation.x[lot],
        mask=evaluation.mask[lot] if evaluation.sees_mask else None,
        batch_size=evaluation.batch,
        seed=int(lot[0]),
        **options,
    )
    right = found.held(evaluation.y[lot])
    units = evaluation.tested.unit_mv[evaluation.test[lot]].reshape(len(lot), -1)
    microvolts = 1000 * units.min(axis=1)  # where leads differ, never too large a radius
    return {"rms": right * found.rms(), "uv": right * found.rms(microvolts)}


def held(arrays: Arrays, levels: Iterable[float]) -> dict[float, np.ndarray]:
    """Return flags (N,) by eps: 1 where the certificate reaches beyond it, 255 where none is."""
    radius = arrays[RADII[0]]
    unknown = np.isnan(radius)
    return {eps: np.where(unknown, NOT_ATTACKED, radius > eps).astype(np.uint8) for eps in levels}
