"""Copies of finished records where the book reads them: sound, with sums, each network once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ecgadv import files
from ecgadv.experiments import described, whole
from ecgadv.experiments.store import WEIGHTS, Record, Store
from ecgadv.files import sha256

COPIED = ("metrics.json", "examples.npz")


def release(records: Sequence[Record], folder: Path, *, weights: bool) -> Iterator[Record]:
    """Copy records into the folder of released ones, and give each that is done.

    All are read whole and checked before the first is copied. A record made before there were
    sums gets its sums in the copy. Weights that another record of the same training has there are
    not kept twice: `Session.weights` finds them.

    Args:
        records: of configs of this version.
        folder: of the released records.
        weights: whether the weights go with them.

    Raises:
        EcgadvError: a record is damaged or lacks something, its weights if wanted.
    """
    for record in records:
        whole.check(record, weights=weights)
    held = _Held(folder)
    for record in records:
        _release(record, Store(folder), held, weights=weights)
        yield record


def _release(record: Record, store: Store, held: "_Held", *, weights: bool) -> None:
    content = {name: record.read(name) for name in COPIED}
    run = (record.path / record.description).read_bytes()
    own = record.read(WEIGHTS) if weights or record.weights.exists() else None
    if not record.sealed:
        sums = {name: sha256(value) for name, value in content.items()}
        sums |= {} if own is None else {WEIGHTS: sha256(own)}
        run = described.with_sums(record.description, record.run, sums)
    if weights and not held.elsewhere(record, sha256(own)):
        content[WEIGHTS] = own
    held.hand_on(record.key, content.get(WEIGHTS))
    with store.publish(store.root / record.key) as part:
        for name, value in {**content, record.description: run}.items():
            (part / name).write_bytes(value)
    held.note(Record(store.root / record.key))


class _Held:
    """Which released records are of one training, and which of them have its weights."""

    def __init__(self, folder: Path):
        self._of_training: dict[str, dict[str, Record]] = defaultdict(dict)
        for record in Store(folder).records():
            self.note(record)

    def note(self, record: Record) -> None:
        """Take in a released record."""
        self._of_training[_training(record)][record.key] = record

    def elsewhere(self, record: Record, wanted: str) -> bool:
        """Return whether another record of the training has weights of that sum, undamaged."""
        others = self._of_training[_training(record)].values()
        return any(
            other.key != record.key
            and other.weights.exists()
            and sha256(other.weights.read_bytes()) == wanted
            for other in others
        )

    def hand_on(self, key: str, kept: bytes | None) -> None:
        """Leave no record without its weights where the one that has them is to be replaced.

        Args:
            key: of the record that is replaced.
            kept: the weights that it will have, or None.
        """
        found = [group for group in self._of_training.values() if key in group]
        for group in found:
            old = group.pop(key)
            weights = old.weights.read_bytes() if old.weights.exists() else None
            if weights in (None, kept):
                continue
            left = [r for r in group.values() if r.sum(WEIGHTS) in (None, sha256(weights))]
            if left and not any(self.elsewhere(r, sha256(weights)) for r in left):
                files.write(left[0].weights, weights)


def _training(record: Record) -> str:
    """Return the key of what trained the network."""
    return record.run.get("training", {}).get("key", record.key)
