"""Records on disk: one folder a run, written aside and moved into place when it is whole."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from ecgadv.errors import EcgadvError
from ecgadv.experiments import described
from ecgadv.files import full_disk_told, parse_arrays, parse_json
from ecgadv.repository import place, root

# A folder whose name starts with a dot is still being written, or was left by a killed process.
_FINISHED = "[!.]*/run.json"


WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Record(described.Described):
    """A finished run."""

    description = "run.json"
    needed = frozenset(
        {
            *(f"config.{name}" for name in ("experiment", "profile", "label", "dataset")),
            *(f"data.{name}" for name in ("name", "fingerprint")),
            *("seed", "seconds", "commit", "dirty", "device", "versions.torch"),
            *("training.seeds_together", "training.seconds"),
        }
    )

    @property
    def title(self) -> str:
        return f"record {self.key}"

    @property
    def mend(self) -> str:
        if self.path.resolve().parent == released_folder():
            return f"restore it with `git checkout -- book/records/{self.key}`"
        return "delete it and run its suite again"

    @property
    def run(self) -> dict:
        """Config, seed, command, commit, versions, device, data and seconds."""
        return self.about

    @cached_property
    def metrics(self) -> dict:
        """The numbers of the evaluation."""
        content = self.read("metrics.json")
        with self.told("metrics.json"):
            return parse_json(content)

    @property
    def config(self) -> dict:
        return self.run["config"]

    @property
    def seed(self) -> int:
        return self.run["seed"]

    @property
    def attack_seconds(self) -> float:
        """What its evaluation took, with that of the attacks that it took over where it is known.

        These count with the whole evaluation they come from, reading the test part included.
        """
        return self.run["seconds"] + self.run.get("taken_over", {}).get("seconds", 0.0)

    @property
    def seconds(self) -> float:
        """What training and evaluation took."""
        return self.run["training"]["seconds"] + self.attack_seconds

    @property
    def untimed(self) -> bool:
        """Whether it took attacks over that nobody timed and `attack_seconds` leaves out."""
        taken = self.run.get("taken_over")
        return taken is not None and "seconds" not in taken

    @property
    def weights(self) -> Path:
        """The safetensors file of the evaluated network; it may be absent in a release."""
        return self.path / WEIGHTS

    def examples(self) -> dict[str, np.ndarray]:
        """Return id, record, label, prediction, logits, and uint8 "held/ATTACK/EPS" an attack."""
        content = self.read("examples.npz")
        with self.told("examples.npz"):
            return parse_arrays(content)


@dataclass(frozen=True)
class Trained(described.Described):
    """Trained weights that wait for their evaluation."""

    description = "training.json"
    needed = frozenset({"seeds_together", "seconds"})

    @property
    def title(self) -> str:
        return f"training {self.key}"

    @property
    def mend(self) -> str:
        return f"delete the folder {self.path} and run the command again"


class Store:
    """A folder of records (one subfolder a key), trained weights and locks.

    Args:
        root: `runs` for local ones, `book/records` for the released ones.
    """

    def __init__(self, root: Path | str):
        self.root = Path(root)

    def get(self, key: str) -> Record | None:
        """Return the record of that key, or None if the run is not finished."""
        path = self.root / key
        return Record(path) if (path / "run.json").exists() else None

    def records(self, experiment: str | None = None, profile: str | None = None) -> list[Record]:
        """Return the finished records, ordered by config label and seed."""
        found = [Record(path.parent) for path in sorted(self.root.glob(_FINISHED))]
        found = [
            record
            for record in found
            if experiment in (None, record.config["experiment"])
            and profile in (None, record.config["profile"])
        ]
        return sorted(found, key=lambda record: (record.config["label"], record.seed))

    def weights_folder(self, key: str) -> Path:
        """Where trained weights wait for their evaluation."""
        return self.root / "models" / key

    def checkpoint(self, name: str) -> Path:
        """Where the progress of a training is saved; its folder is made if missing."""
        path = self.root / "checkpoints" / f"{name}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def evaluation(self, key: str) -> Path:
        """Where the finished parts of an evaluation wait for its record."""
        return self.root / "checkpoints" / key

    def clear_evaluation(self, key: str) -> None:
        """Remove the parts of an evaluation whose record is there."""
        shutil.rmtree(self.evaluation(key), ignore_errors=True)

    def clear_finished(self) -> None:
        """Remove what a process left that was killed after publishing, before it tidied up."""
        for path in (self.root / "checkpoints").glob("*"):
            if self.get(path.name):
                self.clear_evaluation(path.name)
            keys = path.name.partition(".")[0].split("-")
            if all((self.weights_folder(key) / WEIGHTS).exists() for key in keys):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def publish(self, folder: Path) -> Iterator[Path]:
        """Give a temporary folder to write into, and move it to `folder` if all went well.

        What stood there before is replaced.

        A reader sees the whole folder or none; a killed writer leaves only a folder that the
        next one for the same key removes.
        """
        part, old = (folder.with_name(f".{folder.name}.{end}") for end in ("part", "old"))
        if old.exists() and not folder.exists():
            old.replace(folder)  # a writer was killed between its two renames
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            with full_disk_told(self.root):
                yield part
                for path in part.iterdir():
                    _flush(path)
                if folder.exists():
                    folder.replace(old)
                part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[bool]:
        """Try to take the lock of that name; give False at once if another process holds it.

        The lock goes with its process, so a killed one leaves none behind.
        """
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def released_folder() -> Path:
    """Where the repository keeps the released records; absent in an installed package."""
    return root() / "book" / "records"


def folders_at_hand(runs: Path | str | None = None) -> list[Path | str]:
    """Return the folder of the runs made here, then that of the released records.

    Args:
        runs: the first of them; the repository's `runs` if None.

    Raises:
        EcgadvError: it is None, and the package is installed without the repository.
    """
    return [place("runs") if runs is None else runs, released_folder()]


def stores_at_hand(given: Iterable[Store] | None = None) -> list[Store]:
    """Return the stores given, or else those of `folders_at_hand`; the first with a key wins."""
    return list(map(Store, folders_at_hand()) if given is None else given)


def merged(stores: Sequence[Store], experiment: str, profile: str) -> list[Record]:
    """Return the records of several stores, each key once: the first store that has it wins."""
    found = {}
    for store in stores:
        for record in store.records(experiment, profile):
            found.setdefault(record.key, record)
    return sorted(found.values(), key=lambda record: (record.config["label"], record.seed))


def find(name: Path | str, folders: Sequence[Path | str]) -> Record:
    """Return the record at the path `name`, or the one of that key in the first folder with it."""
    candidates = [Path(name), *(Path(folder, name) for folder in folders)]
    for path in candidates:
        if (path / "run.json").exists():
            return Record(path)
    raise EcgadvError(f"no record {name!r}; give a key from `runs` or `book/records`, or a folder")


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes no file that is open for reading alone
        os.fsync(file.fileno())
