"""Recompute a record and compare: from its weights, or from the first training step on."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ecgadv.data import Dataset
from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import from_dict, run_key
from ecgadv.experiments.evaluate import evaluate
from ecgadv.experiments.run import run_once, train_missing
from ecgadv.experiments.scores import curves
from ecgadv.experiments.session import Session, load_model, source_of
from ecgadv.experiments.store import WEIGHTS, Record, Store
from ecgadv.files import sha256


@dataclass(frozen=True)
class Comparison:
    """How far a recomputed record is from the stored one."""

    numbers: dict[str, tuple[float, float]]  # stored and recomputed, by name
    flags: dict[str, float]  # share of what was found example by example that differs, by attack

    @property
    def largest(self) -> float:
        """Largest difference of a number, or share of flags that differ; infinite beside NaN."""
        found = [abs(a - b) for a, b in self.numbers.values()] + list(self.flags.values())
        return max(math.inf if math.isnan(value) else value for value in found)

    def lines(self) -> list[str]:
        """Return a table of the numbers and a last line on the flags."""
        width = max(map(len, self.numbers))
        rows = [
            f"  {k:{width}}  {a:.4f}  {b:.4f}  {b - a:+.4f}" for k, (a, b) in self.numbers.items()
        ]
        head = f"  {'':{width}}  stored  again   difference"
        equal = [100 * (1 - share) for share in self.flags.values()]
        last = f"  equal example by example: {min(equal, default=100):.3f} % or more of each attack"
        return [head, *rows, last]


def verify(record: Record, session: Session, *, retrain: bool) -> Comparison:
    """Recompute `record` in a temporary folder and compare it.

    Args:
        record: the record to check.
        session: device and progress; its store is not touched.
        retrain: train again from the seed, beside the same other seeds, instead of loading the
            weights that were evaluated.

    Raises:
        EcgadvError: the weights are wanted and were not released, the data differ, or the code no
            longer gives the record's key; the weights found are not those of the record.
    """
    config, seed = from_dict(record.config), record.seed
    dataset = session.dataset(config.dataset)
    same_data(record, dataset)
    if run_key(config, seed, dataset.fingerprint) != record.key:
        raise EcgadvError(f"record {record.key} comes from another version of the protocol")
    if retrain:
        with tempfile.TemporaryDirectory() as folder:
            aside = Session(
                Store(Path(folder)),
                session.device,
                on_progress=session.on_progress,
                released=None,
            )
            train_missing(config, record.run["training"]["seeds_together"], aside)
            again = run_once(config, seed, aside)
            return compare(record, again.metrics, again.examples())
    model = load_model(config, dataset, weights_of(record, session)).to(session.device)
    return compare(record, *evaluate(config, seed, model, dataset, session))


def same_data(record: Record, dataset: Dataset) -> None:
    """Raise EcgadvError unless a record was made on the data that are here."""
    then, now = record.run["data"]["fingerprint"], dataset.fingerprint
    if then != now:
        raise EcgadvError(
            f"record {record.key} was made on {dataset.name} {then[:12]}, here is {now[:12]}; "
            f"run `ecgadv data prepare {dataset.name}` again"
        )


def weights_of(
    record: Record, session: Session, *, mend: str = "add --retrain to train again"
) -> Path:
    """Return the file of the weights that a record was made of, its own or another record's.

    Raises EcgadvError if they are not here, or are not those that the record says.
    """
    own = record.weights.exists()
    weights = record.weights if own else session.weights(from_dict(record.config), record.seed)
    if weights is None:
        raise EcgadvError(f"record {record.key} has no weights here; {mend}")
    stated = record.sum(WEIGHTS)
    if stated is not None and sha256(source_of(weights).read(weights.name)) != stated:
        raise EcgadvError(
            f"the weights in {weights.parent} are not those that record {record.key} was made of: "
            f"delete them, or {mend}"
        )
    return weights


def compare(record: Record, metrics: dict, examples: dict[str, np.ndarray]) -> Comparison:
    """Return the comparison of a record with metrics and examples computed again.

    Raises:
        EcgadvError: the record lacks a number or an array, or holds one too many.
    """
    before, again = record.examples(), _numbers(metrics)
    with record.told("metrics.json"):
        stored = _numbers(record.metrics)
    for found, wanted in ((stored, again), (before, examples)):
        if odd := found.keys() ^ wanted.keys():
            raise EcgadvError(f"record {record.key} has not the numbers of its config: {min(odd)}")
    if not np.array_equal(before["id"], examples["id"]):
        raise EcgadvError(f"record {record.key} was made on other test examples")
    with record.told("metrics.json"):
        numbers = {name: (float(value), again[name]) for name, value in stored.items()}
    with record.told("examples.npz"):
        flags = {
            name.removeprefix("held/"): _differing(before[name], examples[name])
            for name in before
            if name.startswith(("held/", "proved/", "certified/", "predicted/", "boundary/"))
        }
    return Comparison(numbers, flags)


def _differing(before: np.ndarray, again: np.ndarray) -> float:
    """Return the share of unequal values; distances and other fractions may be 1 % apart."""
    if np.issubdtype(before.dtype, np.floating):
        return float(np.mean(~np.isclose(before, again, rtol=0.01, equal_nan=True)))
    return float(np.mean(before != again))


def _numbers(metrics: dict) -> dict[str, float]:
    """Return the accuracies by name: clean ones, and each attack's at each noise level."""
    found = {}
    for part in ("clean", "validation"):
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            if metrics[part][name] is not None:
                found[f"{part}, {name.replace('_', ' ')}"] = metrics[part][name]
    for attack, values in curves(metrics).items():
        for name in ("accuracy", "balanced_accuracy"):
            for eps, value in zip(values["eps"], values[name], strict=True):
                found[f"{attack} {eps:g}, {name.replace('_', ' ')}"] = value
    return found


def session_on(device: str) -> Session:
    """Return a session for verifying, which never writes into a store."""
    return Session(Store(Path("runs")), torch.device(device))
