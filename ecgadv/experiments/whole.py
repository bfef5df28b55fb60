"""Whether a record holds all that its config promises: what releases and pages make sure of."""

import math
from collections.abc import Iterator

import numpy as np
from safetensors.numpy import load

from ecgadv.border import arrays as border
from ecgadv.border.arrays import NOT_ATTACKED
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.suite import SUITES
from ecgadv.experiments import certificates
from ecgadv.experiments.config import Config, from_dict
from ecgadv.experiments.store import WEIGHTS, Record
from ecgadv.experiments.unfinished import Arrays

SLACK = 1e-6  # between a number and what the arrays give, for sums taken in another order
Flags = dict[float, np.ndarray]
WALKS = ("original", "start", "distance", "queries", "transfer", "transfer-distance")


def check(record: Record, *, weights: bool) -> None:
    """Read a record whole and check it.

    Its sums, where it has them, say that nothing has changed since it was written; this says that
    every array of its config is there in its shape, and that its numbers are those that its
    arrays give.

    Args:
        record: of a config of this version.
        weights: whether it must have its weights; where they are there, they are read anyway.

    Raises:
        EcgadvError: it is damaged, or lacks something.
    """
    config, arrays, numbers = from_dict(record.config), record.examples(), record.metrics
    with record.told("run.json"):
        classes = len(record.run["data"]["classes"])
    with record.told("examples.npz"):
        _check_arrays(config, arrays, classes)
    with record.told("metrics.json"):
        _check_numbers(config, numbers, arrays, classes)
    if weights or record.weights.exists():
        content = record.read(WEIGHTS)
        with record.told(WEIGHTS):
            finite = all(np.isfinite(value).all() for value in load(content).values())
            _require(finite, "a weight is NaN or infinite")


def _require(sound: bool, text: str) -> None:
    if not sound:
        raise EcgadvError(text)


def _check_arrays(config: Config, arrays: Arrays, classes: int) -> None:
    """Raise EcgadvError unless every array of the config is there, as `evaluate` gives it."""
    n = len(_array(arrays, "id", None, "i"))
    _array(arrays, "logits", (n, classes), "f")
    for name in ("label", "prediction"):
        _require(_array(arrays, name, (n,), "u").max() < classes, f"{name} is of no class")
    if "record" in arrays:  # those made before between-patient intervals have none
        _array(arrays, "record", (n,), "U")
    for attack in config.attacks:
        for eps in attack.eps:
            name = f"held/{attack.name}/{eps:g}"
            border.flags(_array(arrays, name, (n,), "u"), name=name)
            if attack.method in SUITES:
                _array(arrays, f"by/{attack.name}/{eps:g}", (n,), "u")
            if attack.predictions:
                name = f"predicted/{attack.name}/{eps:g}"
                read = _array(arrays, name, (n,), "u")
                _require(((read < classes) | (read == NOT_ATTACKED)).all(), f"{name} is no class")
    for eps in config.proof:
        border.flags(_array(arrays, f"proved/{eps:g}", (n,), "u"), name=f"proved/{eps:g}")
    if config.certificate:
        for name in certificates.RADII:
            _array(arrays, name, (n,), "f")
    if config.boundary:
        pairs = len(_array(arrays, f"boundary/{WALKS[0]}", None, "i"))
        for name in WALKS:
            _array(arrays, f"boundary/{name}", (pairs,), "iuf")


def _array(arrays: Arrays, name: str, shape: tuple | None, kinds: str) -> np.ndarray:
    """Return an array after checking that it is there, not empty, of that shape and kind."""
    _require(name in arrays, f"{name} is missing")
    found = arrays[name]
    fits = found.ndim == 1 if shape is None else found.shape == shape
    _require(
        fits and found.size > 0 and found.dtype.kind in kinds,
        f"{name} has shape {found.shape} and type {found.dtype}",
    )
    return found


def _check_numbers(config: Config, numbers: dict, arrays: Arrays, classes: int) -> None:
    """Raise EcgadvError unless the accuracies are those that the arrays give."""
    y, read = arrays["label"].astype(np.int64), arrays["prediction"]
    about = (read, y, classes)
    _same(numbers["clean"]["accuracy"], metrics.accuracy(read, y), "clean accuracy")
    balanced = metrics.balanced_accuracy(*about)
    _same(numbers["clean"]["balanced_accuracy"], balanced, "clean balanced_accuracy")
    for name in ("accuracy", "balanced_accuracy"):
        value = numbers["validation"][name]
        _require(0 <= value <= 1, f"validation {name} is {value}")
    if config.boundary:
        _require(isinstance(numbers.get("boundary"), dict), "boundary is missing")
    for title, found, held in _curves(config, numbers, arrays):
        _require(found["eps"] == sorted(held), f"{title} has other eps: {found['eps']}")
        for name, balanced in (("accuracy", False), ("balanced_accuracy", True)):
            _, values = metrics.robustness_curve(held, y, classes, balanced=balanced)
            for eps, stated, value in zip(found["eps"], found[name], values, strict=True):
                _same(stated, value, f"{title} {eps:g}, {name}")


def _curves(config: Config, numbers: dict, arrays: Arrays) -> Iterator[tuple[str, dict, Flags]]:
    """Yield each curve's title, its numbers, and the flags by eps that they must come from."""
    for attack in config.attacks:
        held = {eps: arrays[f"held/{attack.name}/{eps:g}"] for eps in attack.eps}
        yield f"attacks/{attack.name}", numbers["attacks"][attack.name], held
    if config.proof:
        proved = {eps: arrays[f"proved/{eps:g}"] for eps in config.proof}
        yield "proved", numbers["proved"], proved
    if config.certificate:
        yield (
            "certified",
            numbers["certified"],
            certificates.held(arrays, config.certificate["eps"]),
        )


def _same(stated: float, value: float, title: str) -> None:
    same = math.isclose(stated, value, rel_tol=0, abs_tol=SLACK)
    _require(same, f"{title} is {stated}, but its examples give {value:.6f}")
