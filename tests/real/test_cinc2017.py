"""The real CinC 2017 recordings against the published counts and Han's own files."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from ecgadv import data
from ecgadv.data import cinc2017

FINGERPRINT = "2469bbb64c2f6e029a594db94cf3240d71ee745e6dde9798e7cdddf0384b4f7e"
COUNTS = {
    "v0": {"N": 5154, "AF": 771, "O": 2557, "~": 46},
    "v2": {"N": 5050, "AF": 738, "O": 2456, "~": 284},
    "v3": {"N": 5076, "AF": 758, "O": 2415, "~": 279},
}
ORACLE = ("A07818", "A07722", "A04990", "A03524", "A03195")


@pytest.fixture(scope="module")
def challenge(raw):
    return raw("challenge-2017")


@pytest.fixture(scope="module")
def prepared(challenge, tmp_path_factory):
    """(root, summary) of the recordings prepared from the raw files."""
    root = tmp_path_factory.mktemp("recordings")
    return root, cinc2017.prepare(challenge, root / "prepared" / "challenge-2017.npz")


@pytest.fixture(scope="module")
def recordings(prepared):
    return data.load("challenge-2017", root=prepared[0])


def test_published_counts(prepared, recordings):
    root, summary = prepared
    assert summary == {"records": 8528, "padded": 967, "cut": 1584, "classes": COUNTS["v3"]}
    assert recordings.counts() == COUNTS["v3"]
    assert recordings.x.shape == (8528, 1, 9000)
    assert recordings.length.min() == 2714
    assert (root / "prepared" / "challenge-2017.npz").stat().st_size < 40e6
    assert recordings.fingerprint == FINGERPRINT


@pytest.mark.parametrize("version", list(COUNTS))
def test_three_versions_of_the_labels(challenge, version):
    found = np.bincount(cinc2017.read_labels(challenge, version=version), minlength=4)
    assert dict(zip(cinc2017.CLASSES, found.tolist(), strict=True)) == COUNTS[version]


def test_the_zeros_are_where_the_mask_is_false(recordings):
    short = np.flatnonzero(recordings.length < 9000)
    mask = recordings.mask(short)
    assert not recordings.x[short][~mask].any()
    before, after = recordings.start[short], 9000 - (recordings.start + recordings.length)[short]
    assert set((after - before).tolist()) == {0, 1}


def test_inputs_of_the_authors_are_reproduced(challenge, han):
    x, start, kept = cinc2017.centred(list(cinc2017.read_signals(challenge, ORACLE)), 18_000)
    np.testing.assert_array_equal(x, han("real_inputs"))
    assert set(start.tolist()) == {4500} and set(kept.tolist()) == {9000}


def test_held_out_are_those_of_the_authors_permutation(recordings, han):
    permutation = han("random_permutation")
    for name in ("han", "han-validated"):
        split = data.split(recordings, name)
        np.testing.assert_array_equal(split.test, np.sort(permutation[7675:]))
    np.testing.assert_array_equal(data.split(recordings, "han").train, np.sort(permutation[:7675]))


def test_labels_are_those_of_the_authors(recordings, han):
    np.testing.assert_array_equal(recordings.y, han("raw_labels"))


def test_counts_of_the_parts(recordings):
    authors, validated = (data.split(recordings, name) for name in ("han", "han-validated"))
    assert recordings.counts(authors.train) == {"N": 4567, "AF": 674, "O": 2186, "~": 248}
    assert recordings.counts(authors.test) == {"N": 509, "AF": 84, "O": 229, "~": 31}
    assert recordings.counts(validated.validation) == {"N": 457, "AF": 67, "O": 219, "~": 25}


def test_equal_signals_are_the_two_known_pairs_and_stand_in_train(recordings):
    same = {}
    for name, row in zip(recordings.record.tolist(), recordings.x, strict=True):
        same.setdefault(hash(row.tobytes()), []).append(name)
    assert sorted(tuple(names) for names in same.values() if len(names) > 1) == [
        *cinc2017.DUPLICATES
    ]
    for seed in range(3):
        split = data.split(recordings, "han-validated", seed=seed)
        assert np.isin(np.ravel(cinc2017.DUPLICATES), recordings.record[split.train]).all()


def test_sample2017_is_a_copy_of_training_records(challenge):
    archive = challenge / "sample2017.zip"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    with (
        zipfile.ZipFile(archive) as sample,
        zipfile.ZipFile(challenge / cinc2017.ARCHIVE) as training,
    ):
        names = [Path(name).name for name in sample.namelist() if name.endswith(".mat")]
        assert len(names) == 300
        for name in names:
            copied = sample.read(f"sample2017/validation/{name}")
            assert copied == training.read(f"training2017/{name}")
    held_out = {name.removesuffix(".mat") for name in names} & set(cinc2017.held_out())
    assert len(held_out) == 29
    assert "271 that Han trains on and 29 that he holds out" in cinc2017.NOTE


def test_the_stored_seconds_are_those_of_the_recording(recordings):
    """What the page on smooth perturbations draws: from book/waveforms.py."""
    found = yaml.safe_load((Path(__file__).parents[2] / "book" / "waveforms.yml").read_text())
    row = int(np.flatnonzero(recordings.record == found["record"])[0])
    whole = recordings.x[row, 0][recordings.mask([row])[0, 0]] * recordings.unit_mv[row]
    stored = np.array(found["millivolts"])
    np.testing.assert_allclose(whole[slice(*found["samples"])], stored, atol=6e-5)
    assert recordings.classes[recordings.y[row]] == found["class"]
    for added in found["microvolts"].values():
        assert len(added) == len(stored) and np.abs(added).max() <= found["eps"]
