"""Twelve leads on the real recordings: labels, the authors' split, both forms, PTB-XL."""

import hashlib
from pathlib import Path

import leads as maker
import numpy as np
import pytest
import voltage
import yaml

from ecgadv import data
from ecgadv.data import cpsc2018, cpsc2018_split, leads, ptbxl, wfdb16
from ecgadv.data import prepare as preparing

BOOK = Path(__file__).parents[2] / "book"


@pytest.fixture(scope="module")
def reference(organisers):
    return cpsc2018.read_reference(organisers / "REFERENCE.csv")


@pytest.fixture(scope="module")
def headers(physionet):
    found = sorted(physionet.glob("challenge-2020/1.0.2/training/cpsc_2018/g*/*.hea"))
    if not found:
        pytest.skip("no records of CPSC2018")
    return found


def test_the_authors_split_of_the_whole_list(reference):
    cpsc2018_split.check(reference)
    names = np.array(list(reference))
    first = np.array([labels[0] for labels in reference.values()])
    single = np.array([len(labels) == 1 for labels in reference.values()])
    assert len(names) == 6877 and (~single).sum() == 477
    assert np.bincount(first).tolist() == [918, 1098, 704, 207, 1695, 574, 653, 826, 202]
    parts = cpsc2018_split.select(first, single)
    # SHA-256 of the names in order, from the authors' own selection.
    for part, expected in (
        ("validation", "23f3bbbb0ab187fb"),
        ("test", "4520baad7a98d0fc"),
        ("train", "c8787f88c30e8c01"),
    ):
        text = "\n".join(names[parts[part]])
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == expected
    counts = np.bincount(first[parts["train"]]).tolist()
    assert counts == [863, 921, 631, 124, 1478, 477, 552, 729, 130]


def test_both_forms_name_the_same_classes(headers, reference):
    for header in headers:
        counts, comments = wfdb16.read(header, fs=500)
        assert 3000 <= counts.shape[1] <= 72_500
        assert set(cpsc2018.classes_in(comments)) == set(reference[header.stem])


def test_physionets_form_from_the_raw_files_to_the_split(headers, physionet, tmp_path):
    (tmp_path / "challenge-2020").symlink_to(physionet / "challenge-2020")
    preparing.prepare("cpsc2018", root=tmp_path)
    dataset = data.load("cpsc2018", root=tmp_path)
    assert dataset.x.shape[1:] == (8, 33_792) and (np.abs(dataset.x).max(-1) <= 1).all()
    several = len(headers) - len(dataset)
    assert several == sum("," in header.read_text(errors="replace") for header in headers)
    held = cpsc2018_split.held_out()
    names = set(dataset.record)
    assert names.isdisjoint(set(held["validation"]) & set(held["test"]))
    assert data.load("cpsc2018-100", root=tmp_path).x.shape[1:] == (8, 1000)


def test_the_organisers_form(organisers, tmp_path):
    found = cpsc2018.prepare(organisers, tmp_path / "cpsc2018.npz")
    assert found["records"] == len(list(organisers.glob("A*.mat")))
    dataset = cpsc2018.load(tmp_path / "cpsc2018.npz", wanted=leads.LEADS)
    assert dataset.x.shape[1:] == (12, 33_792)


@pytest.fixture(scope="module")
def recordings(physionet, tmp_path_factory):
    """PTB-XL as prepared from the raw files."""
    if not (physionet / "ptb-xl").is_dir():
        pytest.skip("no PTB-XL")
    root = tmp_path_factory.mktemp("ptb-xl")
    ptbxl.prepare(physionet / "ptb-xl/1.0.3", root / "prepared/ptb-xl.npz")
    return data.load("ptb-xl", root=root)


def test_ptb_xl(recordings):
    dataset = recordings
    assert list(dataset.counts().values()) == [1000, 948, 505, 341, 343, 145, 533, 598]
    assert dataset.fingerprint.startswith("dab0de701677")
    parts = data.split(dataset, "folds")
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [3536, 439, 438]
    assert not parts.leaks_patients and dataset.classes == ptbxl.CLASSES


def test_the_stored_facts_and_seconds_are_those_of_the_recordings(recordings):
    """What pages say and draw: from book/voltage.py and book/leads.py."""
    (stored,) = (
        fact
        for fact in yaml.safe_load((BOOK / "recordings.yml").read_text())
        if fact["dataset"] == "ptb-xl"
    )
    assert [stored] == voltage.facts(recordings)
    found = yaml.safe_load((BOOK / "leads.yml").read_text())
    row = int(np.flatnonzero(recordings.record == found["record"])[0])
    whole = leads.twelve(recordings.x[row] * recordings.unit_mv[row][:, None])
    for lead, part in maker.printed(
        [whole[lead] for lead in leads.EIGHT], recordings.fs, 3
    ).items():
        np.testing.assert_allclose(found["millivolts"][lead], part, atol=6e-4)
    assert recordings.classes[recordings.y[row]] == found["class"]
    for lead, unit in zip(leads.EIGHT, recordings.unit_mv[row], strict=True):
        added = np.abs(found["microvolts"][lead])
        assert len(added) == 250 and added.max() <= 1000 * found["eps"] * unit + 0.06
