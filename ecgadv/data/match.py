"""Where the rows of a heartbeat csv lie in the MIT-BIH recordings, and the split that it makes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgadv.data import cache
from ecgadv.data.beats import LENGTH
from ecgadv.errors import EcgadvError

NAMED = 5  # rows that match nothing are named one by one up to so many
CSV_SPLIT = "mitdb-csv-split"
SPLIT_FILE = f"{CSV_SPLIT}.npz"
MEND = "run `ecgadv data match mitbih_train.csv mitbih_test.csv` with the csv's two files"


@dataclass(frozen=True)
class Located:
    """The rows of one file of the csv.

    Attributes:
        path: the file.
        place: int64 (n,), which row of the prepared beats each is, bit for bit in float32 and
            with its class; -1 where there is none.
    """

    path: Path
    place: np.ndarray

    @property
    def found(self):
        """The places of the rows that match, int64 (m,)."""
        return self.place[self.place >= 0]


def locate(path, dataset):
    """Find every row of a heartbeat csv, or of a part of one, among the prepared beats.

    Args:
        path: lines of 187 values and a class, without a header.
        dataset: the beats of `ecgadv data prepare mitdb`.

    Raises:
        EcgadvError: there is no such file, or it is no heartbeat csv.
    """
    path = Path(path)
    rows = _read(path)
    places = {}
    for place, (row, label) in enumerate(zip(dataset.x[:, 0], dataset.y, strict=True)):
        places.setdefault((row.tobytes(), int(label)), []).append(place)
    # Equal beats, if there were any, would be given away in the order of the recordings.
    waiting = {key: iter(found) for key, found in places.items()}
    found = [next(waiting.get((r[:-1].tobytes(), int(r[-1])), iter(())), -1) for r in rows]
    return Located(path, np.array(found, np.int64))


def _read(path):
    """The rows of a heartbeat csv, float32 (n, 188)."""
    wanted = f"give lines of {LENGTH} values in [0, 1] and a class 0 to 4, without a header"
    if not path.is_file():
        raise EcgadvError(f"no {path}: {wanted}")
    try:
        rows = np.loadtxt(path, dtype=np.float32, delimiter=",", ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise EcgadvError(f"{path} is no heartbeat csv ({error}): {wanted}") from error
    if rows.shape[-1] != LENGTH + 1 or not len(rows):
        raise EcgadvError(f"{path} has shape {rows.shape}: {wanted}")
    if not np.isin(rows[:, -1], range(5)).all():
        odd = rows[~np.isin(rows[:, -1], range(5)), -1][0]
        raise EcgadvError(f"{path} has the class {odd:g}: {wanted}")
    return rows


def neighbours(one, other, dataset):
    """How many rows of `one` directly precede or follow a row of `other` in a recording.

    Args:
        one, other: places among the beats, int (n,) and (m,).
    """
    there = np.zeros(len(dataset) + 2, bool)
    there[np.asarray(other) + 1] = True
    record = np.concatenate([[""], dataset.record, [""]])
    here = np.asarray(one) + 1
    beside = [there[here + step] & (record[here + step] == record[here]) for step in (-1, 1)]
    return int((beside[0] | beside[1]).sum())


def report(files, dataset):
    """What was found, as lines of text.

    Args:
        files: one Located, or those of the train and of the test file.
        dataset: the beats in which they were looked for.
    """
    lines = []
    for file in files:
        n, found = len(file.place), len(file.found)
        lines.append(f"{file.path}: {found:,} of {n:,} rows are in the recordings, bit for bit")
        if found:
            names, counts = np.unique(dataset.record[file.found], return_counts=True)
            each = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
            lines.append(f"  from {len(names)} of 48 records: {each}")
        lost = np.flatnonzero(file.place < 0) + 1
        if len(lost):
            named = ", ".join(map(str, lost[:NAMED]))
            more = f" and {len(lost) - NAMED:,} more" if len(lost) > NAMED else ""
            lines.append(f"  no place for row {named}{more}")
    if len(files) == 2:
        train, test = (file.found for file in files)
        beside = neighbours(test, train, dataset)
        shared = len(np.intersect1d(dataset.record[train], dataset.record[test]))
        lines.append(
            f"{beside:,} of {len(test):,} test rows directly neighbour a train row in time"
        )
        lines.append(f"{shared} records have rows in both files")
    return lines


def write_split(train, test, dataset, path):
    """Write the csv's own split down, if its two files hold every beat once; say whether.

    Args:
        train, test: what `locate` gave for the two files, in the order of their rows.
        path: the .npz to write.
    """
    both = np.concatenate([train.place, test.place])
    if len(both) != len(dataset) or not np.array_equal(np.sort(both), np.arange(len(dataset))):
        return False
    arrays = {"train": train.place.astype(np.int32), "test": test.place.astype(np.int32)}
    cache.write(path, arrays, {"name": CSV_SPLIT, "data": dataset.fingerprint})
    return True


def read_split(path, dataset):
    """The places (train, test) that `write_split` wrote, in the order of the csv's rows.

    Raises:
        EcgadvError: there is no such file, or it is of other beats.
    """
    arrays, meta = cache.read(path, name=CSV_SPLIT, mend=MEND)
    if meta.get("data") != dataset.fingerprint:
        raise EcgadvError(f"{path} is a split of other beats than these: {MEND}")
    return arrays["train"].astype(np.int64), arrays["test"].astype(np.int64)
