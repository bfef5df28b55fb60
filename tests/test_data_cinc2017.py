"""CinC 2017 on made-up recordings: reading, centring, the cache, Han's split, and all failures."""

import hashlib
import struct
import zipfile

import numpy as np
import pytest
import sums

from ecgadv import data
from ecgadv.data import cache, cinc2017, splits
from ecgadv.data.dataset import Dataset
from ecgadv.errors import EcgadvError

NAMES = ("A00001", "A00002", "A00003", "A00004")
SAMPLES = (9000, 9001, 8995, 18_000)
LABELS = "A00001,N\nA00002,~\nA00003,A\nA00004,O\n"


def signals():
    rng = np.random.RandomState(0)
    return [rng.randint(-(2**15), 2**15, count).astype("<i2") for count in SAMPLES]


def files():
    """The .hea and .mat of every made-up record: {name: bytes}."""
    made = {}
    for name, signal in zip(NAMES, signals(), strict=True):
        # As in the database, the checksum is 0 whatever the signal; the first value may be wrong.
        text = f"{name} 1 300 {len(signal)} 05:05:15 1/05/2000 \r\n"
        made[f"{name}.hea"] = f"{text}{name}.mat 16+24 1000/mV 16 0 -127 0 0 ECG \r\n".encode()
        prefix = struct.pack("<5i", 30, 1, len(signal), 0, 4) + b"val\0"
        made[f"{name}.mat"] = prefix + signal.tobytes()
    return made


def arrays():
    """What is prepared of them, unpacked."""
    cut = [signal[:9000] for signal in signals()]
    return {
        "counts": np.concatenate(cut),
        "length": np.array([len(signal) for signal in cut], np.uint16),
        "y": np.array([0, 3, 1, 2], np.uint8),
    }


@pytest.fixture
def small(monkeypatch):
    """A database of four records in place of the real one."""
    monkeypatch.setattr(cinc2017, "RECORDS", NAMES)
    sha256 = hashlib.sha256(LABELS.encode()).hexdigest()
    monkeypatch.setattr(cinc2017, "VERSIONS", {"v0": "0" * 64, "v3": sha256})
    whole = hashlib.sha256(b"".join(signal.tobytes() for signal in signals())).hexdigest()
    monkeypatch.setattr(cinc2017, "SIGNALS", whole)
    monkeypatch.setattr(cinc2017, "ARRAYS", sums.of_arrays(arrays()))


def lay(folder, made, *, packed):
    """Put the files into `folder`, in the zip or in the folder that it unpacks to."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "REFERENCE-v3.csv").write_bytes(LABELS.encode())
    if packed:
        with zipfile.ZipFile(folder / "training2017.zip", "w") as archive:
            for name, content in made.items():
                archive.writestr(f"training2017/{name}", content)
        return
    (folder / "training2017").mkdir(exist_ok=True)
    for name, content in made.items():
        (folder / "training2017" / name).write_bytes(content)


@pytest.mark.parametrize("packed", [True, False])
def test_from_raw_files_to_a_dataset(small, tmp_path, packed):
    lay(tmp_path / "raw", files(), packed=packed)
    seen, out = [], tmp_path / "prepared" / "challenge-2017.npz"
    found = cinc2017.prepare(tmp_path / "raw", out, progress=seen.append)
    assert found == {
        "records": 4,
        "padded": 1,
        "cut": 2,
        "classes": {"N": 1, "AF": 1, "O": 1, "~": 1},
    }
    assert tuple(seen) == NAMES
    dataset = data.load("challenge-2017", root=tmp_path)
    assert dataset.x.shape == (4, 1, 9000)
    whole = signals()
    for row, signal in zip(dataset.x[[0, 1, 3], 0], [whole[0], whole[1], whole[3]], strict=True):
        np.testing.assert_array_equal(row, signal[:9000])
    # Five zeros: two before, three after.
    np.testing.assert_array_equal(dataset.x[2, 0, 2:8997], whole[2])
    assert not dataset.x[2, 0, :2].any() and not dataset.x[2, 0, 8997:].any()
    mask = dataset.mask()
    assert mask.sum((1, 2)).tolist() == dataset.length.tolist() == [9000, 9000, 8995, 9000]
    assert mask[2, 0, 2] and mask[2, 0, 8996] and not mask[2, 0, 1] and not mask[2, 0, 8997]
    assert dataset.y.tolist() == [0, 3, 1, 2]
    assert dataset.record.tolist() == list(NAMES)
    assert (dataset.fs, dataset.unit, dataset.labels) == (300, "uV", "challenge-2017 REFERENCE-v3")
    assert dataset.unit_mv == pytest.approx(0.001)


def test_the_records_of_a_folder_need_no_folder_of_their_own(small, tmp_path):
    lay(tmp_path, files(), packed=False)
    (found,) = cinc2017.read_signals(tmp_path / "training2017", ["A00003"])
    np.testing.assert_array_equal(found, signals()[2])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("A00002.mat", lambda content: None, "record A00002 in .* cannot be read"),
        ("A00002.hea", lambda content: None, "record A00002 in .* cannot be read"),
        ("A00003.mat", lambda content: content[:-2], "its header says 18014"),
        ("A00003.mat", lambda content: b"\1" + content[1:], "not a MATLAB file of 1 leads"),
        ("A00001.hea", lambda content: content[:40], "not of one lead at 300 Hz and 1000 counts"),
        ("A00001.hea", lambda c: c.replace(b" 300 ", b" 500 "), "not of one lead at 300 Hz"),
        ("A00001.hea", lambda c: c.replace(b"1000/mV", b"200/mV"), "and 1000 counts/mV"),
        ("A00001.hea", lambda c: c.replace(b"A00001", b"A00002"), "not a WFDB header of record A"),
        ("A00004.mat", lambda content: content[:-1] + b"?", "the signals in .* have sha256"),
    ],
)
def test_a_damaged_record_is_one_line(small, tmp_path, packed, name, change, message):
    made = files()
    made[name] = change(made[name])
    lay(tmp_path, {key: value for key, value in made.items() if value}, packed=packed)
    with pytest.raises(EcgadvError, match=message) as caught:
        cinc2017.prepare(tmp_path, tmp_path / "out.npz")
    assert "\n" not in str(caught.value) and "fetch challenge-2017` again" in str(caught.value)
    assert not (tmp_path / "out.npz").exists()


def test_a_damaged_archive(small, tmp_path):
    lay(tmp_path, files(), packed=True)
    archive = tmp_path / "training2017.zip"
    content = bytearray(archive.read_bytes())
    content[20_000] ^= 1  # within the .mat of the second record
    archive.write_bytes(content)
    with pytest.raises(EcgadvError, match=r"record A00002 .* cannot be read .*CRC"):
        list(cinc2017.read_signals(tmp_path, NAMES))
    archive.write_bytes(content[:1000])
    with pytest.raises(EcgadvError, match=r"training2017\.zip is damaged .*: run `ecgadv data f"):
        list(cinc2017.read_signals(tmp_path, NAMES))


@pytest.mark.parametrize("name", ["counts", "length", "y"])
def test_other_arrays_than_the_published_ones_are_not_loaded(small, tmp_path, name):
    """Whatever hash the file has of its own."""
    found = arrays()
    found[name][1] ^= 1
    found["counts"] = cache.pack(found["counts"])
    cache.write(tmp_path / "c.npz", found, {"name": "challenge-2017", "labels": "REFERENCE-v3"})
    with pytest.raises(EcgadvError, match=r"c\.npz gives arrays of sha256 .* but those of the pub"):
        cinc2017.load(tmp_path / "c.npz")


@pytest.mark.parametrize("fault", ["method", "encrypted", "deflate"])
def test_an_archive_that_cannot_be_unpacked(small, tmp_path, fault):
    lay(tmp_path, files(), packed=True)
    archive = tmp_path / "training2017.zip"
    if fault == "deflate":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as again:
            for name, content in files().items():
                again.writestr(f"training2017/{name}", content)
    content = bytearray(archive.read_bytes())
    at = content.index(b"training2017/A00001.hea")
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"training2017/A00001.hea"))
    if fault == "method":
        content[entry + 10] = content[at - 30 + 8] = 99
    elif fault == "encrypted":
        content[entry + 8] |= 1
        content[at - 30 + 6] |= 1
    else:
        content[at + 23] = 7  # a block of a type that deflate does not have
    archive.write_bytes(content)
    with pytest.raises(EcgadvError, match=r"^record A00001 in .* cannot be read \(.*fetch chall"):
        list(cinc2017.read_signals(tmp_path, NAMES))


def test_labels_of_another_version_or_file(small, tmp_path):
    lay(tmp_path, {}, packed=False)
    assert cinc2017.read_labels(tmp_path).tolist() == [0, 3, 1, 2]
    with pytest.raises(EcgadvError, match="no labels 'v1': use one of v0, v3"):
        cinc2017.read_labels(tmp_path, version="v1")
    with pytest.raises(EcgadvError, match=r"no labels at .*REFERENCE-v0\.csv: run `ecgadv data f"):
        cinc2017.read_labels(tmp_path, version="v0")
    (tmp_path / "REFERENCE-v3.csv").write_bytes(LABELS.replace("A00003,A", "A00003,N").encode())
    with pytest.raises(EcgadvError, match=r"REFERENCE-v3\.csv has sha256 .*, published: "):
        cinc2017.read_labels(tmp_path)


def test_centring():
    given = [np.arange(1, count + 1, dtype=np.int16) for count in (1, 4, 5, 6, 9)]
    x, start, kept = cinc2017.centred(given, 6)
    assert x.dtype == np.float32 and x.shape == (5, 1, 6)
    assert x[:, 0].tolist() == [
        [0, 0, 1, 0, 0, 0],
        [0, 1, 2, 3, 4, 0],
        [1, 2, 3, 4, 5, 0],
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 4, 5, 6],
    ]
    assert (start.tolist(), kept.tolist()) == ([2, 1, 0, 0, 0], [1, 4, 5, 6, 6])


def test_the_cache_of_another_dataset_is_refused(tmp_path):
    with pytest.raises(EcgadvError, match=r"no prepared data at .*fetch challenge-2017`, then"):
        data.load("challenge-2017", root=tmp_path)
    cache.write(tmp_path / "other.npz", {}, {"name": "mitdb"})
    with pytest.raises(EcgadvError, match="holds 'mitdb', expected 'challenge-2017'"):
        cinc2017.load(tmp_path / "other.npz")


@pytest.fixture(scope="module")
def recordings():
    """As many recordings as the real database has, with made-up labels."""
    n = len(cinc2017.RECORDS)
    return Dataset(
        name="challenge-2017",
        x=np.zeros((n, 1, 4)),
        y=np.random.RandomState(0).choice(4, n, p=[0.6, 0.09, 0.28, 0.03]),
        length=np.full(n, 4),
        record=np.array(cinc2017.RECORDS),
        onset=np.zeros(n),
        unit_mv=np.ones(n),
        classes=cinc2017.CLASSES,
        fs=300.0,
        unit="uV",
        labels="made up",
        note="",
    )


def test_held_out_names():
    names = cinc2017.held_out()
    assert len(np.unique(names)) == len(names) == 853
    assert np.isin(names, cinc2017.RECORDS).all()
    assert (names == np.sort(names)).all()
    # The five whose network inputs the authors show are among them.
    assert np.isin(["A07818", "A07722", "A04990", "A03524", "A03195"], names).all()
    assert not np.isin(np.ravel(cinc2017.DUPLICATES), names).any()


def test_han_selects_on_its_test_part_and_says_so(recordings):
    split = data.split(recordings, "han", seed=3)
    assert (len(split.train), len(split.test)) == (7675, 853)
    np.testing.assert_array_equal(split.validation, split.test)
    assert split.selects_on_test and split.leaks_patients and "choose" in split.note
    np.testing.assert_array_equal(recordings.record[split.test], cinc2017.held_out())
    np.testing.assert_array_equal(data.split(recordings, "han").train, split.train)


def test_han_validated_draws_its_validation_from_the_training_part(recordings):
    whole = data.split(recordings, "han")
    first, again, other = (data.split(recordings, "han-validated", seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.test, whole.test)
    both = np.sort(np.concatenate([first.train, first.validation]))
    np.testing.assert_array_equal(both, whole.train)
    assert not first.selects_on_test
    for name, n in recordings.counts(whole.train).items():
        assert recordings.counts(first.validation)[name] == round(0.1 * n)
    np.testing.assert_array_equal(first.validation, again.validation)
    assert len(np.intersect1d(first.validation, other.validation)) < 200
    # The stream is frozen, so these stay as they are on every machine.
    assert first.validation[:5].tolist() == [2, 78, 81, 86, 89]


def test_han_selected_differs_from_han_validated_in_what_validates_alone(recordings):
    fair, biased = (data.split(recordings, n, seed=2) for n in ("han-validated", "han-selected"))
    np.testing.assert_array_equal(biased.train, fair.train)
    np.testing.assert_array_equal(biased.test, fair.test)
    np.testing.assert_array_equal(biased.validation, fair.test)
    assert biased.selects_on_test and not fair.selects_on_test


@pytest.mark.parametrize(("share", "validating"), [(1, 0), (0.5, 1)])
def test_equal_signals_never_validate(recordings, monkeypatch, share, validating):
    """With all of one class equal to something, nothing of it; with half, still a tenth of all."""
    of_class = recordings.record[recordings.y == 3]
    equal = of_class[: round(share * len(of_class))]
    monkeypatch.setattr(cinc2017, "DUPLICATES", (tuple(equal),))
    split = data.split(recordings, "han-validated")
    train = recordings.counts(data.split(recordings, "han").train)
    assert recordings.counts(split.validation)["~"] == validating * round(0.1 * train["~"])
    assert not np.isin(equal, recordings.record[split.validation]).any()


@pytest.mark.parametrize("name", ["han", "han-validated"])
def test_splits_of_another_dataset(synthetic, name):
    with pytest.raises(EcgadvError, match=f"split '{name}' is of challenge-2017, not of 'synth"):
        data.split(synthetic, name)
    assert splits.shared_patients(synthetic, data.split(synthetic, "interpatient")) == set()
