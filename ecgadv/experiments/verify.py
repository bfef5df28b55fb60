"""Recompute a record and compare: from its weights, or from the first training step on."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ecgadv.errors import EcgadvError
from ecgadv.experiments import run
from ecgadv.experiments.config import from_dict, run_key
from ecgadv.experiments.store import Record, Store


@dataclass(frozen=True)
class Comparison:
    """How far a recomputed record is from the stored one."""

    numbers: dict[str, tuple[float, float]]  # stored and recomputed, by name
    flags_equal: float  # share of all per-example flags that agree

    @property
    def largest(self) -> float:
        """Largest difference of an accuracy."""
        return max(abs(a - b) for a, b in self.numbers.values())

    def lines(self) -> list[str]:
        """Return a table of the numbers and a last line on the flags."""
        width = max(map(len, self.numbers))
        rows = [
            f"  {k:{width}}  {a:.4f}  {b:.4f}  {b - a:+.4f}" for k, (a, b) in self.numbers.items()
        ]
        head = f"  {'balanced accuracy':{width}}  stored  again   difference"
        return [head, *rows, f"  equal per-example flags: {100 * self.flags_equal:.3f} %"]


def verify(record: Record, session: run.Session, *, retrain: bool) -> Comparison:
    """Recompute `record` in a temporary folder and compare it.

    Args:
        record: the record to check.
        session: device and progress; its store is not touched.
        retrain: train again from the seed, beside the same other seeds, instead of loading the
            weights that were evaluated.

    Raises:
        EcgadvError: the weights are wanted and were not released, the data differ, or the code no
            longer gives the record's key.
    """
    config, seed = from_dict(record.config), record.seed
    dataset = session.dataset(config.dataset)
    then, now = record.run["data"]["fingerprint"], dataset.fingerprint
    if then != now:
        raise EcgadvError(
            f"record {record.key} was made on {config.dataset} {then[:12]}, here is {now[:12]}; "
            f"run `ecgadv data prepare {config.dataset}` again"
        )
    if run_key(config, seed, dataset.fingerprint) != record.key:
        raise EcgadvError(f"record {record.key} comes from another version of the protocol")
    if retrain:
        with tempfile.TemporaryDirectory() as folder:
            aside = run.Session(
                Store(Path(folder)), session.device, on_progress=session.on_progress
            )
            run.train_missing(config, record.run["training"]["seeds_together"], aside)
            again = run.run_once(config, seed, aside)
            return compare(record, again.metrics, again.examples())
    if not record.weights.exists():
        raise EcgadvError(f"record {record.key} has no weights here; add --retrain to train again")
    model = run.load_model(config, dataset, record.weights).to(session.device)
    return compare(record, *run.evaluate(config, model, dataset, session))


def compare(record: Record, metrics: dict, examples: dict[str, np.ndarray]) -> Comparison:
    """Return the comparison of a record with metrics and examples computed again."""
    numbers = {
        "clean": (
            record.metrics["clean"]["balanced_accuracy"],
            metrics["clean"]["balanced_accuracy"],
        )
    }
    for name, stored in record.metrics["attacks"].items():
        again = metrics["attacks"][name]["balanced_accuracy"]
        for eps, a, b in zip(stored["eps"], stored["balanced_accuracy"], again, strict=True):
            numbers[f"{name} {eps:g}"] = (a, b)
    before = record.examples()
    flags = [name for name in before if name.startswith("held/")]
    equal = [before[name] == examples[name] for name in flags]
    return Comparison(numbers, float(np.mean(equal)) if equal else 1.0)


def session_on(device: str) -> run.Session:
    """Return a session for verifying, which never writes into a store."""
    return run.Session(Store(Path("runs")), torch.device(device))
