"""What every dataset and every split looks like, whatever recordings they come from."""

import hashlib
import json
from dataclasses import dataclass, field, fields

import numpy as np

from ecgadv.border import arrays
from ecgadv.errors import EcgadvError

_WHOLE = ("y", "length", "start", "onset")  # int64, one a sample


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled signals of one database, checked on construction.

    Raises:
        EcgadvError: shapes disagree, a value is not finite or not whole, or a label has no class.
    """

    name: str
    x: np.ndarray  #: (N, C, L) float32, padded with zeros around the recording
    y: np.ndarray  #: (N,) int64, index into `classes`
    length: np.ndarray  #: (N,) int64, samples of x that come from the recording
    record: np.ndarray  #: (N,) str, the record (the patient, where a record is one)
    onset: np.ndarray  #: (N,) int64, the R peak in the record, at the record's own rate
    unit_mv: np.ndarray  #: float32, millivolts of one unit of x; NaN if not known. (N,), or (N, C)
    #: where each lead has its own
    classes: tuple[str, ...]
    fs: float  #: Hz, of x
    unit: str  #: what one unit of x is
    labels: str  #: which version of the labels
    note: str
    start: np.ndarray | None = None  #: (N,) int64, where in x the recording starts; 0 if None
    facts: dict = field(default_factory=dict)  #: how each sample was made, (N,) arrays by name
    fingerprint: str = field(init=False)  #: sha256 of all of the above but the note and the facts

    def __post_init__(self):
        for name in ("x", "unit_mv"):
            values = arrays.array(f"{self.name}: {name}", getattr(self, name))
            _set(self, name, np.ascontiguousarray(values, np.float32))
        _set(self, "start", np.zeros(len(self.x), np.int64) if self.start is None else self.start)
        for name in _WHOLE:
            _set(self, name, arrays.whole(f"{self.name}: {name}", getattr(self, name)))
        _set(self, "record", np.asarray(self.record, dtype=np.str_))
        _set(self, "classes", tuple(self.classes))
        _check(self)
        _set(self, "fingerprint", _fingerprint(self))

    def __len__(self):
        return len(self.y)

    def mask(self, index=None):
        """Where the recording is: bool (n, 1, L), False in the padding.

        Args:
            index: int array (n,) of the samples wanted; None for all of them.
        """
        chosen = slice(None) if index is None else index
        start, length = self.start[chosen, None, None], self.length[chosen, None, None]
        time = np.arange(self.x.shape[-1])
        return (start <= time) & (time < start + length)

    def counts(self, index=None):
        """Samples in each class: {class: int} in the order of `classes`."""
        return class_counts(self.y if index is None else self.y[index], self.classes)


def class_counts(y, classes):
    """How many of the labels y (N,) are of each class: {class: int} in the order of `classes`."""
    found = np.bincount(y, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, found, strict=True)}


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint index arrays into one dataset.

    The one exception is named: a split with `selects_on_test` is of a protocol that chooses its
    network by the test part, and there `validation` is that part.

    Raises:
        EcgadvError: a part is empty, or a sample stands in two parts.
    """

    name: str
    seed: int
    train: np.ndarray  #: int64 (n_train,)
    validation: np.ndarray
    test: np.ndarray
    leaks_patients: bool  #: True if a patient may stand in more than one part
    note: str
    selects_on_test: bool = False  #: True if `validation` is `test`

    def __post_init__(self):
        for part in ("train", "validation", "test"):
            _set(self, part, arrays.whole(f"split '{self.name}': {part}", getattr(self, part)))
            if not len(getattr(self, part)):
                raise EcgadvError(f"split '{self.name}' has no {part} samples: use more data")
        if np.array_equal(self.validation, self.test) != self.selects_on_test:
            raise EcgadvError(
                f"split '{self.name}' has selects_on_test={self.selects_on_test}: that is True if "
                "validation is test, and False if they differ"
            )
        held_out = [self.test] if self.selects_on_test else [self.validation, self.test]
        parts = np.concatenate([self.train, *held_out])
        if len(np.unique(parts)) != len(parts):
            raise EcgadvError(f"split '{self.name}' puts a sample in two parts: parts are disjoint")


def _set(frozen, name, value):
    """Set a field of a frozen dataclass while it is being built."""
    object.__setattr__(frozen, name, value)


def _check(data):
    """Raise EcgadvError unless shapes agree, values are finite and labels have classes."""
    if data.x.ndim != 3 or 0 in data.x.shape:
        raise EcgadvError(f"{data.name}: x has shape {data.x.shape}, expected non-empty (N, C, L)")
    n, leads, longest = data.x.shape
    for name in (*_WHOLE, "unit_mv", "record"):
        shape = getattr(data, name).shape
        if shape != (n,) and (name, shape) != ("unit_mv", (n, leads)):
            raise EcgadvError(f"{data.name}: {name} has shape {shape}, expected ({n},) as x has")
    for name, values in data.facts.items():
        if values.shape != (n,):
            raise EcgadvError(
                f"{data.name}: {name} has shape {values.shape}, expected ({n},) as x has"
            )
    if not np.isfinite(data.x).all():
        raise EcgadvError(f"{data.name}: x holds NaN or infinity: prepare the dataset again")
    if (data.unit_mv <= 0).any() or np.isinf(data.unit_mv).any():
        raise EcgadvError(f"{data.name}: unit_mv must be positive, or NaN where it is not known")
    if data.y.min() < 0 or data.y.max() >= len(data.classes):
        raise EcgadvError(
            f"{data.name}: labels span {data.y.min()}..{data.y.max()}, "
            f"expected 0..{len(data.classes) - 1}"
        )
    if data.length.min() < 1 or data.length.max() > longest:
        raise EcgadvError(
            f"{data.name}: lengths span {data.length.min()}..{data.length.max()}, "
            f"expected 1..{longest}"
        )
    end = data.start + data.length
    if data.start.min() < 0 or end.max() > longest:
        raise EcgadvError(
            f"{data.name}: recordings span samples {data.start.min()}..{end.max()} of x, "
            f"expected 0..{longest}"
        )


_UNHASHED = ("fingerprint", "note", "facts")


def _fingerprint(data):
    """Hash of arrays and metadata that is the same on every platform (little-endian bytes)."""
    digest = hashlib.sha256()
    for item in fields(data):
        # The hash of a dataset whose recordings all start at 0 is older than `start`.
        if item.name in _UNHASHED or (item.name == "start" and not data.start.any()):
            continue
        value = getattr(data, item.name)
        if isinstance(value, np.ndarray) and value.dtype.kind != "U":
            value = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
            header, body = [value.dtype.str, *value.shape], value.data
        else:
            header, body = ["json"], json.dumps(np.asarray(value).tolist()).encode()
        digest.update(json.dumps([item.name, header, len(body)]).encode())
        digest.update(body)
    return digest.hexdigest()
