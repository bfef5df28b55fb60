"""Splits of the recordings of twelve leads."""

import numpy as np

from ecgadv.data import cpsc2018_split, ptbxl
from ecgadv.data.dataset import Split
from ecgadv.errors import EcgadvError


def authors(dataset, *, seed=0):
    """Paper B's split of CPSC2018: 45 records validate, 450 test; the seed changes nothing.

    Of a part of the set, what there is of each.

    Raises:
        EcgadvError: the dataset is not cpsc2018, or has none of the records that validate or test.

    Source: PROTOCOLS 3.6 (cpsc/app/ECG/preprocess.py).
    """
    if not dataset.name.startswith("cpsc2018"):
        raise EcgadvError(f"split 'authors' is of cpsc2018, not of '{dataset.name}'")
    listed = cpsc2018_split.held_out()
    held = {part: np.isin(dataset.record, names) for part, names in listed.items()}
    return Split(
        name="authors",
        seed=seed,
        train=np.flatnonzero(~held["validation"] & ~held["test"]),
        validation=np.flatnonzero(held["validation"]),
        test=np.flatnonzero(held["test"]),
        leaks_patients=True,
        note="Paper B's split over records: 5 and 50 of each class are held out of 6,400 with one "
        "class. Patients are not published, so one may stand on both sides.",
    )


def folds(dataset, *, seed=0):
    """PTB-XL's own folds: 1 to 8 train, 9 validates, 10 tests; the seed changes nothing.

    Of the synthetic recordings of twelve leads likewise, whose folds are made with them.

    Raises:
        EcgadvError: the dataset has no folds, or a patient stands in two parts.

    Source: Wagner et al., Scientific Data 7:154, 2020.
    """
    if "fold" not in dataset.facts:
        raise EcgadvError(f"dataset '{dataset.name}' has no folds: use 'folds' on ptb-xl")
    parts = {
        part: np.flatnonzero(np.isin(dataset.facts["fold"], numbers))
        for part, numbers in ptbxl.FOLDS.items()
    }
    patients = [set(dataset.facts["patient"][index].tolist()) for index in parts.values()]
    if len(set.union(*patients)) < sum(map(len, patients)):
        raise EcgadvError("a patient stands in two parts of 'folds': prepare the dataset again")
    return Split(
        name="folds",
        seed=seed,
        **parts,
        leaks_patients=False,
        note="Folds 1 to 8 train, 9 validates and 10 tests; all recordings of a patient lie in "
        "one fold.",
    )
