"""The contract of a dataset and of a split."""

import dataclasses

import numpy as np
import pytest

from ecgadv import data
from ecgadv.data.dataset import Dataset, Split
from ecgadv.errors import EcgadvError


def small(**changes):
    fields = {
        "name": "small",
        "x": np.arange(24, dtype=np.float32).reshape(4, 2, 3) / 24,
        "y": np.array([0, 1, 1, 0]),
        "length": np.array([3, 2, 1, 3]),
        "record": np.array(["a", "a", "b", "é"]),
        "onset": np.array([0, 5, 9, 2]),
        "unit_mv": np.array([1.0, 2.0, 0.5, 1.5]),
        "classes": ("N", "V"),
        "fs": 125.0,
        "unit": "normalised",
        "labels": "v1",
        "note": "made up",
    }
    return Dataset(**{**fields, **changes})


def test_types_mask_and_counts():
    dataset = small()
    assert (dataset.x.dtype, dataset.y.dtype, dataset.unit_mv.dtype) == (
        np.float32,
        np.int64,
        np.float32,
    )
    assert len(dataset) == 4
    assert dataset.mask().tolist() == [
        [[True, True, True]],
        [[True, True, False]],
        [[True, False, False]],
        [[True, True, True]],
    ]
    assert dataset.mask(np.array([2])).shape == (1, 1, 3)
    assert dataset.counts() == {"N": 2, "V": 2}
    assert dataset.counts(np.array([1, 2])) == {"N": 0, "V": 2}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("x", np.zeros((4, 3)), r"x has shape \(4, 3\), expected non-empty \(N, C, L\)"),
        ("x", np.zeros((0, 1, 3)), "non-empty"),
        ("x", np.full((4, 2, 3), np.nan), "x holds NaN"),
        ("y", np.array([0, 1]), r"y has shape \(2,\), expected \(4,\)"),
        ("y", [0, 0.9, 0, 1], r"small: y holds 0\.9; give whole numbers"),
        ("y", [0, np.nan, 0, 1], "y holds nan; give whole numbers"),
        ("y", ["N", "N", "V", "V"], "y holds <U1; give numbers"),
        ("length", [3, 2.5, 1, 3], r"length holds 2\.5"),
        ("x", np.full((4, 2, 3), 1j), "x holds complex128; give numbers"),
        ("y", np.array([0, 1, 2, 0]), r"labels span 0\.\.2, expected 0\.\.1"),
        ("y", np.array([0, 1, -1, 0]), r"labels span -1\.\.1"),
        ("length", np.array([3, 4, 1, 3]), r"lengths span 1\.\.4, expected 1\.\.3"),
        ("length", np.array([3, 0, 1, 3]), r"lengths span 0\.\.3"),
        ("record", np.array(["a"]), "record has shape"),
        ("unit_mv", np.array([1, 1, 0, 1]), "unit_mv must be positive"),
    ],
)
def test_bad_fields_are_one_line_errors(field, value, message):
    with pytest.raises(EcgadvError, match=message) as caught:
        small(**{field: value})
    assert "\n" not in str(caught.value)


def test_unknown_millivolts_are_allowed():
    assert np.isnan(small(unit_mv=np.full(4, np.nan)).unit_mv).all()


def test_recordings_may_start_after_zeros():
    centred = small(start=[0, 1, 2, 0])
    assert centred.start.dtype == np.int64
    assert centred.mask()[1:3].tolist() == [[[False, True, True]], [[False, False, True]]]
    assert centred.mask(np.array([2])).tolist() == [[[False, False, True]]]
    assert small().start.tolist() == [0, 0, 0, 0]
    with pytest.raises(EcgadvError, match=r"recordings span samples 0\.\.4 of x, expected 0\.\.3"):
        small(start=[0, 2, 0, 0])
    with pytest.raises(EcgadvError, match=r"recordings span samples -1\.\.3 of x"):
        small(start=[0, -1, 0, 0])


def test_fingerprint_is_older_than_start():
    # What it was before there was a `start`: runs are named by it.
    assert small().fingerprint == "6453729b1484cc162f9387ef62e7a345e963fb746df0a237a7bbe5a1ec1b7ba7"
    assert small(start=[0, 0, 0, 0]).fingerprint == small().fingerprint
    assert small(start=[0, 1, 0, 0]).fingerprint != small().fingerprint


def test_fingerprint_follows_everything_but_the_note():
    original = small()
    assert original.fingerprint == small().fingerprint
    assert original.fingerprint == small(note="other words").fingerprint
    assert original.fingerprint == small(x=original.x.astype(">f4")).fingerprint
    changed = {
        "name": "other",
        "x": original.x + np.float32(1e-6),
        "y": np.array([0, 1, 1, 1]),
        "length": np.array([3, 2, 2, 3]),
        "record": np.array(["a", "a", "b", "e"]),
        "onset": np.array([0, 5, 9, 3]),
        "unit_mv": np.array([1.0, 2.0, 0.5, 1.6]),
        "classes": ("N", "S"),
        "fs": 126.0,
        "unit": "mV",
        "labels": "v2",
    }
    hashes = {small(**{name: value}).fingerprint for name, value in changed.items()}
    assert len(hashes | {original.fingerprint}) == len(changed) + 1


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        small().name = "other"


def test_split_parts_are_disjoint_and_filled():
    parts = {"name": "s", "seed": 0, "leaks_patients": False, "note": ""}
    split = Split(train=[0, 1], validation=[2], test=[3], **parts)
    assert split.train.dtype == np.int64
    with pytest.raises(EcgadvError, match="a sample in two parts"):
        Split(train=[0, 1], validation=[2], test=[1], **parts)
    with pytest.raises(EcgadvError, match="no validation samples"):
        Split(train=[0, 1], validation=[], test=[3], **parts)


def test_a_split_that_selects_on_its_test_part_is_named():
    parts = {"name": "s", "seed": 0, "leaks_patients": False, "note": ""}
    split = Split(train=[0], validation=[2, 1], test=[2, 1], selects_on_test=True, **parts)
    assert split.validation.tolist() == split.test.tolist() == [2, 1]
    with pytest.raises(EcgadvError, match="'s' has selects_on_test=False: that is True if valid"):
        Split(train=[0], validation=[1], test=[1], **parts)
    with pytest.raises(EcgadvError, match=r"'s' has selects_on_test=True: .* if they differ"):
        Split(train=[0], validation=[1], test=[2], selects_on_test=True, **parts)
    with pytest.raises(EcgadvError, match="a sample in two parts"):
        Split(train=[0, 1], validation=[1], test=[1], selects_on_test=True, **parts)


def test_unknown_names():
    with pytest.raises(EcgadvError, match="no dataset 'ptbxl': use one of challenge-2017, c"):
        data.load("ptbxl")
    with pytest.raises(
        EcgadvError, match="no split 'random': use one of authors, beatwise, csv, fol"
    ):
        data.split(small(), "random")


def test_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("ECGADV_DATA", str(tmp_path))
    assert data.data_root() == tmp_path
    monkeypatch.delenv("ECGADV_DATA")
    assert str(data.data_root()) == "recordings"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("ECGADV_DATA", "~/ecg data")
    assert data.data_root() == tmp_path / "ecg data"
    monkeypatch.setenv("ECGADV_DATA", "~nobody-of-this-name/ecg")
    with pytest.raises(
        EcgadvError, match=r"'~nobody-of-this-name/ecg', but that home is not known"
    ):
        data.data_root()
