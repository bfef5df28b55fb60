"""The split of CPSC 2018 that paper B's authors have: how they draw it, and whom they hold out."""

from pathlib import Path

import numpy as np

from ecgadv.errors import EcgadvError

# Which records the authors hold out: without labels, so that a part of the set can be split, too.
HELD_OUT_LIST = Path(__file__).with_name("cpsc2018_heldout.txt")
PER_CLASS = {"validation": 5, "test": 50}


def select(first, single):
    """The authors' validation, test and training part of a whole table of labels.

    Args:
        first: int (N,), first label of each row of REFERENCE.csv, in its order.
        single: bool (N,), True where there is no second one.

    Returns:
        {part: int array of rows}, in the order in which they are taken.

    Source: PROTOCOLS 3.6, point 6 (cpsc/app/ECG/preprocess.py).
    """
    first = np.asarray(first)
    rng = np.random.RandomState(0)
    index = np.flatnonzero(single)
    rng.shuffle(index)
    validation = _first_of_each(first, index, PER_CLASS["validation"])
    rest = np.setdiff1d(index, validation)
    for _ in range(9):
        rng.shuffle(rest)
    test = _first_of_each(first, rest, PER_CLASS["test"])
    return {"validation": validation, "test": test, "train": np.setdiff1d(rest, test)}


def _first_of_each(first, index, count):
    """The first `count` rows of every label, in the order of `index`."""
    chosen = np.zeros(len(index), bool)
    for label in np.unique(first[index]):
        chosen[np.flatnonzero(first[index] == label)[:count]] = True
    return index[chosen]


def held_out():
    """{"validation": names, "test": names} of the records that the authors hold out, ascending."""
    lines = HELD_OUT_LIST.read_text().splitlines()
    found, part = {}, None
    for line in lines:
        if line.endswith(":"):
            part = found.setdefault(line[:-1], [])
        elif not line.startswith("#"):
            part += [f"A{number:0>4}" for number in line.split()]
    return {part: np.array(names) for part, names in found.items()}


def check(reference):
    """Raise EcgadvError unless these labels give the split that paper B's authors have.

    Args:
        reference: {record: classes} of all records, in the order of REFERENCE.csv.
    """
    names = np.array(list(reference))
    first = np.array([classes[0] for classes in reference.values()])
    single = np.array([len(classes) == 1 for classes in reference.values()])
    parts, listed = select(first, single), held_out()
    for part, expected in listed.items():
        if not np.array_equal(np.sort(names[parts[part]]), expected):
            raise EcgadvError(
                f"the labels in REFERENCE.csv give another {part} part than paper B's: use the "
                "organisers' file, with its rows in their order"
            )
