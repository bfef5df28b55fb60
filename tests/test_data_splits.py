"""Splits: who stands where, what the seed draws, and that patients keep apart."""

import numpy as np
import pytest

from ecgadv import data
from ecgadv.data import mitbih, splits
from ecgadv.data.dataset import Dataset
from ecgadv.errors import EcgadvError


def fake(name, y, record):
    n = len(y)
    return Dataset(
        name=name,
        x=np.zeros((n, 1, 4)),
        y=y,
        length=np.full(n, 4),
        record=record,
        onset=np.zeros(n),
        unit_mv=np.ones(n),
        classes=("N", "S", "V", "F", "Q"),
        fs=125.0,
        unit="normalised",
        labels="fake",
        note="",
    )


@pytest.fixture(scope="module")
def like_csv():
    """As many beats of each class as MIT-BIH has, over its records."""
    y = np.repeat(np.arange(5), list(mitbih.TOTALS.values()))
    return fake("mitdb", y, np.resize(mitbih.RECORDS, len(y)))


def parts(split):
    return np.concatenate([split.train, split.validation, split.test])


def test_beatwise_has_the_csv_counts(like_csv):
    split = data.split(like_csv, "beatwise", seed=0)
    assert like_csv.counts(split.test) == {"N": 18118, "S": 556, "V": 1448, "F": 162, "Q": 1608}
    assert [len(split.train), len(split.validation), len(split.test)] == [70_043, 17_511, 21_892]
    np.testing.assert_array_equal(np.sort(parts(split)), np.arange(109_446))
    assert split.leaks_patients and "patient" in split.note


def test_beatwise_trains_and_validates_on_beats_from_everywhere(like_csv):
    """The beats stand in the order of their classes: unshuffled, the last class would validate."""
    split = data.split(like_csv, "beatwise")
    rest = like_csv.counts(np.concatenate([split.train, split.validation]))
    for name, n in like_csv.counts(split.validation).items():
        assert n == pytest.approx(0.2 * rest[name], abs=5 * np.sqrt(0.16 * rest[name]))
    assert (np.diff(split.train) < 0).any()


def test_beatwise_follows_its_seed(synthetic):
    first, again, other = (data.split(synthetic, "beatwise", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(parts(first), parts(again))
    assert len(np.intersect1d(first.test, other.test)) < len(first.test)
    # The stream is frozen, so these stay as they are on every machine.
    assert first.test[:5].tolist() == [5487, 4146, 2257, 2514, 4850]


def test_beatwise_on_synthetic_is_stratified(synthetic):
    split = data.split(synthetic, "beatwise")
    for name, n in synthetic.counts().items():
        assert synthetic.counts(split.test)[name] == round(0.2 * n)
    assert len(split.train) == int(0.8 * (len(synthetic) - len(split.test)))
    np.testing.assert_array_equal(np.sort(parts(split)), np.arange(len(synthetic)))
    assert splits.shared_patients(synthetic, split)


@pytest.mark.parametrize("few", [2, 3, 7])
def test_beatwise_tests_every_class_and_keeps_some_of_it(few):
    own = fake("own", np.repeat([0, 3], [50, few]), np.full(50 + few, "a"))
    for seed in range(20):
        split = data.split(own, "beatwise", seed=seed)
        assert own.counts(split.test) == {"N": 10, "S": 0, "V": 0, "F": 1, "Q": 0}
        assert own.counts(split.train)["F"] > 0
        assert len(parts(split)) == len(np.unique(parts(split))) == 50 + few


def test_beatwise_refuses_a_class_of_one_beat():
    with pytest.raises(EcgadvError, match="class F has one sample; give two at least"):
        data.split(fake("own", np.repeat([0, 3], [50, 1]), np.full(51, "a")), "beatwise")


def test_interpatient_on_synthetic(synthetic):
    split = data.split(synthetic, "interpatient", seed=4)
    names = [set(synthetic.record[p]) for p in (split.train, split.validation, split.test)]
    assert [len(n) for n in names] == [16, 4, 20]
    assert len(set.union(*names)) == 40
    assert not split.leaks_patients
    for part in (split.train, split.validation, split.test):
        assert min(synthetic.counts(part).values()) > 0
    other = data.split(synthetic, "interpatient", seed=5)
    assert set(synthetic.record[other.test]) != names[2]


def test_interpatient_lists():
    assert len(splits.DS1) == len(splits.DS2) == 22
    assert not set(splits.DS1) & set(splits.DS2)
    paced = set(mitbih.RECORDS) - set(splits.DS1) - set(splits.DS2)
    assert paced == {"102", "104", "107", "217"}
    assert set(splits.DS1_VALIDATION) < set(splits.DS1)


def test_interpatient_on_mitdb(like_csv):
    split = data.split(like_csv, "interpatient", seed=9)
    assert set(like_csv.record[split.test]) == set(splits.DS2)
    assert set(like_csv.record[split.validation]) == {"101", "118", "205", "223"}
    assert len(set(like_csv.record[split.train])) == 18
    assert splits.shared_patients(like_csv, split) == {"201"}
    assert "202" in split.note
    np.testing.assert_array_equal(split.test, data.split(like_csv, "interpatient").test)


def test_a_patient_on_both_sides_is_refused(like_csv, monkeypatch):
    # One record more on the side where it does not belong.
    monkeypatch.setattr(splits, "shared_patients", lambda dataset, split: {"201", "100"})
    with pytest.raises(EcgadvError, match="two parts of 'interpatient'"):
        data.split(like_csv, "interpatient")


def test_kaggle_split_shuffles_rows_as_the_authors_do():
    n = 87_554 + 21_892
    dataset = fake("kaggle", np.zeros(n, int), np.full(n, "train"))
    split = data.split(dataset, "kaggle", seed=7)
    rows = np.stack([np.arange(87_554), np.arange(87_554)], axis=1)
    np.random.RandomState(0).shuffle(rows)
    np.testing.assert_array_equal(split.train, rows[:70_043, 0])
    np.testing.assert_array_equal(split.validation, rows[70_043:, 0])
    np.testing.assert_array_equal(split.test, np.arange(87_554, n))
    assert split.leaks_patients


def test_splits_that_do_not_fit(synthetic):
    with pytest.raises(EcgadvError, match="split 'kaggle' is of the Kaggle csv, not of 'synth"):
        data.split(synthetic, "kaggle")
    csv = fake("kaggle", np.zeros(10, int), np.full(10, "train"))
    with pytest.raises(EcgadvError, match="'kaggle' does not name its patients"):
        data.split(csv, "interpatient")
    with pytest.raises(EcgadvError, match=r"split seed -1 is out of range: use 0 to 4294967295"):
        data.split(synthetic, "beatwise", seed=-1)
