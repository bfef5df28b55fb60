"""Splits of a dataset into train, validation and test."""

from dataclasses import replace

import numpy as np

from ecgadv.data import cinc2017, match
from ecgadv.data.dataset import Split
from ecgadv.data.folders import data_root
from ecgadv.errors import EcgadvError

# Test beats of each class in the Kaggle heartbeat csv (mitbih_test.csv).
CSV_TEST = {"N": 18_118, "S": 556, "V": 1_448, "F": 162, "Q": 1_608}
TEST_SHARE = 0.2
TRAIN_SHARE = 0.8  # of what is not test; paper B, mit/pre_process.py
VALIDATION_SHARE = 0.1  # of each class of what Han does not hold out: as much as the test part

# de Chazal et al., IEEE Trans. Biomed. Eng. 51(7), 2004: 22 + 22 records; the four paced ones
# (102, 104, 107, 217) are left out as ANSI/AAMI EC57 asks.
DS1 = (
    *("101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122"),
    *("124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230"),
)
DS2 = (
    *("100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210"),
    *("212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234"),
)
# About a fifth of DS1's N, S and V beats, and some of its few F and Q: every class on both sides.
DS1_VALIDATION = ("101", "118", "205", "223")
DS_NOTE = (
    "De Chazal's DS1 trains (records 101, 118, 205 and 223 validate) and DS2 tests, without the "
    "paced records 102, 104, 107 and 217. Records 201 (DS1) and 202 (DS2) are the same subject: "
    "the usual lists are kept, so one subject of 43 stands on both sides."
)


def beatwise(dataset, *, seed=0):
    """A random split over beats, like paper B's: a patient stands on both sides of it.

    The test part has the csv's counts per class for `mitdb` and a fifth of every class otherwise,
    one at least; the rest is shuffled and cut 80/20 into train and validation, and of a class
    that has come to validation alone one beat goes to train.

    Raises:
        EcgadvError: a class has a single beat, which cannot be learnt and tested.

    Source: PROTOCOLS 3.1 (mit/pre_process.py); the csv's own choice of test beats is not known.
    """
    rng = _generator(seed)
    wanted = CSV_TEST if dataset.name == "mitdb" else None
    test = []
    for index, name in enumerate(dataset.classes):
        members = rng.permutation(np.flatnonzero(dataset.y == index))
        share = wanted[name] if wanted else _test_share(name, len(members))
        test.append(members[:share])
    test = rng.permutation(np.concatenate(test))
    rest = rng.permutation(np.setdiff1d(np.arange(len(dataset)), test))
    train, validation = _cut(rest)
    _, first = np.unique(dataset.y[validation], return_index=True)
    unlearnt = first[~np.isin(dataset.y[validation[first]], dataset.y[train])]
    train = np.concatenate([train, validation[unlearnt]])
    validation = np.delete(validation, unlearnt)
    return Split(
        name="beatwise",
        seed=seed,
        train=train,
        validation=validation,
        test=test,
        leaks_patients=True,
        note="Random over beats: beats of one patient stand in train and in test, so accuracy is "
        "that of patients already seen.",
    )


def interpatient(dataset, *, seed=0):
    """A split over patients: nobody's beats stand in two parts.

    `mitdb`: DS1 less DS1_VALIDATION, DS1_VALIDATION, DS2, fixed whatever the seed. `synthetic`:
    half of the patients for the test, a fifth of the others for validation, drawn by the seed.

    Raises:
        EcgadvError: the dataset does not say whose beats are whose.

    Source: de Chazal et al., IEEE Trans. Biomed. Eng. 51(7), 2004; the validation records are ours.
    """
    if dataset.name == "mitdb":
        validation = DS1_VALIDATION
        train, test = [name for name in DS1 if name not in validation], DS2
        note = DS_NOTE
    elif dataset.name == "synthetic":
        patients = _generator(seed).permutation(np.unique(dataset.record))
        test, rest = np.split(patients, [len(patients) // 2])
        train, validation = _cut(rest)
        note = "Synthetic patients, half of them for the test."
    else:
        raise EcgadvError(
            f"dataset '{dataset.name}' does not name its patients: use 'interpatient' on mitdb"
        )
    parts = {
        name: np.flatnonzero(np.isin(dataset.record, records))
        for name, records in (("train", train), ("validation", validation), ("test", test))
    }
    split = Split(name="interpatient", seed=seed, **parts, leaks_patients=False, note=note)
    if not shared_patients(dataset, split) <= {"201"}:
        raise EcgadvError("a patient stands in two parts of 'interpatient': mend the record lists")
    return split


def kaggle(dataset, *, seed=0):
    """The csv's own test file, and the authors' cut of its train file; the seed changes nothing.

    Source: PROTOCOLS 3.1 (mit/pre_process.py): RandomState(0) shuffles the train rows, the first
    80 % (70,043) train and 17,511 validate.
    """
    if dataset.name != "kaggle":
        raise EcgadvError(f"split 'kaggle' is of the Kaggle csv, not of '{dataset.name}'")
    edge = len(dataset) - sum(CSV_TEST.values())
    return _authors("kaggle", np.arange(edge), np.arange(edge, len(dataset)))


def csv(dataset, *, seed=0):
    """The same split of the beats of `mitdb`, which know their patients; the seed changes nothing.

    Raises:
        EcgadvError: `ecgadv data match` has not written the split down, as only a user with the
            csv's two files can make it.
    """
    if dataset.name != "mitdb":
        raise EcgadvError(f"split 'csv' is of mitdb, not of '{dataset.name}'")
    return _authors("csv", *match.read_split(data_root() / "prepared" / match.SPLIT_FILE, dataset))


def _authors(name, rows, test):
    """The split whose train rows, in the order of the csv, the authors cut into two parts."""
    train, validation = _cut(rows[np.random.RandomState(0).permutation(len(rows))])
    return Split(
        name=name,
        seed=0,
        train=train,
        validation=validation,
        test=test,
        leaks_patients=True,
        note="The exact split of paper B; the csv mixes beats of one patient between its files.",
    )


def han(dataset, *, seed=0):
    """Han's 7,675 training and 853 held-out recordings, as paper A uses them.

    The authors choose the epoch and report every result on the same 853, so `validation` is `test`
    here, and the split says so (`selects_on_test`). The seed changes nothing.

    Raises:
        EcgadvError: the dataset is not challenge-2017.

    Source: PROTOCOLS 2.1 and 2.3 (cd/utils/create_data.py, cd/train.py), row A7.
    """
    train, test = _held_out(dataset, "han")
    return Split(
        name="han",
        seed=seed,
        train=train,
        validation=test,
        test=test,
        leaks_patients=True,
        selects_on_test=True,
        note="Paper A's split: the 853 recordings that choose the epoch are the test, too, so the "
        "clean accuracy of a chosen epoch is biased upwards. Patients are not published, so one "
        "may stand on both sides; both pairs of equal signals are in train.",
    )


def han_validated(dataset, *, seed=0):
    """Han's held-out recordings for the test alone; a tenth of the others, by the seed, validate.

    The draw is stratified over classes. Equal signals stay together, in train.

    Raises:
        EcgadvError: the dataset is not challenge-2017.

    Source: the test part as in `han`; the validation part is ours (row A7).
    """
    rng = _generator(seed)
    rest, test = _held_out(dataset, "han-validated")
    alone = rest[~np.isin(dataset.record[rest], np.ravel(cinc2017.DUPLICATES))]
    validation = []
    for index in range(len(dataset.classes)):
        share = round(VALIDATION_SHARE * int((dataset.y[rest] == index).sum()))
        validation.append(rng.permutation(alone[dataset.y[alone] == index])[:share])
    validation = np.sort(np.concatenate(validation))
    return Split(
        name="han-validated",
        seed=seed,
        train=np.setdiff1d(rest, validation),
        validation=validation,
        test=test,
        leaks_patients=True,
        note="Paper A's test part, which chooses nothing here: a tenth of its training part, drawn "
        "by the seed within each class, validates. Patients are not published, so one may stand "
        "on both sides; both pairs of equal signals are in train.",
    )


def han_selected(dataset, *, seed=0):
    """As `han_validated`, but the test part validates: that choice alone differs (row A7).

    Raises:
        EcgadvError: the dataset is not challenge-2017.
    """
    fair = han_validated(dataset, seed=seed)
    return replace(
        fair,
        name="han-selected",
        validation=fair.test,
        selects_on_test=True,
        note="Trains on what han-validated trains on, and chooses the epoch on the test part, as "
        "paper A does: the difference between the two is what that choice is worth.",
    )


def _held_out(dataset, name):
    """The indices of the recordings that Han trains on and of those held out, ascending."""
    if dataset.name != "challenge-2017":
        raise EcgadvError(f"split '{name}' is of challenge-2017, not of '{dataset.name}'")
    held = np.isin(dataset.record, cinc2017.held_out())
    return np.flatnonzero(~held), np.flatnonzero(held)


def _generator(seed):
    # The stream of RandomState is frozen for good (NEP 19); default_rng's may change with numpy.
    if not 0 <= seed < 2**32:
        raise EcgadvError(f"split seed {seed} is out of range: use 0 to {2**32 - 1}")
    return np.random.RandomState(seed)


def _test_share(name, n):
    """How many of the n samples of a class are tested on: none only if there are none."""
    if n == 1:
        raise EcgadvError(
            f"class {name} has one sample; give two at least, to learn from and to test on, or "
            "leave the class out"
        )
    return max(round(TEST_SHARE * n), min(n, 1))


def _cut(shuffled):
    """The first 80 % and the rest."""
    edge = int(TRAIN_SHARE * len(shuffled))
    return shuffled[:edge], shuffled[edge:]


def shared_patients(dataset, split):
    """The patients whose beats stand in more than one part of the split: a set of record names."""
    patient = dataset.record
    if dataset.name == "mitdb":
        patient = np.where(patient == "202", "201", patient)  # two records of one subject
    parts = [set(np.unique(patient[part])) for part in (split.train, split.validation, split.test)]
    return (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])
