"""Reading WFDB records: small ones written here, and every way in which they can be broken."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import sums

from ecgadv import data
from ecgadv.data import beats, cache, mitbih
from ecgadv.errors import EcgadvError

SAMPLES = 12_000
R_PEAKS = np.array([400, 700, 1010, 1300, 1620, 4000, 4290, 4600, 11_000])
SYMBOLS = np.array(["N", "L", "A", "V", "/", "F", "e", "E", "N"])


@pytest.fixture(autouse=True)
def _old_wfdb():
    """wfdb 4.3.1 on pandas 3 warns while it is imported and while it writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def signal():
    """Two leads (SAMPLES, 2) of A/D counts: a slow wave and a spike on every R peak."""
    seconds = np.arange(SAMPLES) / 360
    lead = 1024 + 60 * np.sin(2 * np.pi * 0.8 * seconds)
    for peak in R_PEAKS:
        lead += 300 * np.exp(-0.5 * ((np.arange(SAMPLES) - peak) / 6) ** 2)
    return np.rint(np.stack([lead, lead[::-1]], axis=1)).astype(np.int64)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, signal())
    return tmp_path


def write(path, counts, peaks=R_PEAKS, symbols=SYMBOLS):
    """Write record 100 into `path` with a rhythm annotation before its beats."""
    import wfdb

    wfdb.wrsamp(
        "100",
        fs=360,
        units=["mV", "mV"],
        sig_name=["MLII", "V5"],
        d_signal=counts,
        fmt=["212", "212"],
        adc_gain=[200, 200],
        baseline=[1024, 1024],
        write_dir=str(path),
    )
    wfdb.wrann("100", "atr", np.append(10, peaks), np.append("+", symbols), write_dir=str(path))


def test_the_mapping_covers_every_beat_code_once():
    codes = [symbol for group in mitbih.AAMI.values() for symbol in group]
    assert sorted(codes) == sorted("NLRejAaJSVEF/fQ")
    assert {name: len(group) for name, group in mitbih.AAMI.items()} == {
        "N": 5,
        "S": 4,
        "V": 2,
        "F": 1,
        "Q": 3,
    }
    assert mitbih.CLASS_OF["e"] == mitbih.CLASS_OF["j"] == 0
    assert sum(mitbih.TOTALS.values()) == 109_446 == 109_494 - len(mitbih.RECORDS)


def test_read_record(folder):
    record = mitbih.read_record(folder, "100")
    np.testing.assert_array_equal(record.signal, signal()[:, 0] - 1024)
    np.testing.assert_array_equal(record.samples, [10, *R_PEAKS])
    np.testing.assert_array_equal(record.symbols, ["+", *SYMBOLS])
    np.testing.assert_array_equal(record.is_beat, [False] + [True] * 9)
    assert record.gain == 200.0


def test_cut_beats(folder):
    found = mitbih.cut_beats(mitbih.read_record(folder, "100"))
    assert found["y"].tolist() == [0, 0, 1, 2, 4, 3, 0, 2]
    assert found["onset"].tolist() == R_PEAKS[:-1].tolist()
    assert found["annotation"].tolist() == list(range(1, 9))
    # Intervals 300, 310, 290, 320, 2380, 290, 310, 6400, each with a fifth of the next.
    spans = [362, 368, 354, 796, 2438, 352, 1590, 7680]
    assert found["uncut"].tolist() == [-(-span // 3) for span in spans[:-1]] + [-(-7400 // 3)]
    assert found["length"].tolist() == [121, 123, 118, 187, 187, 118, 187, 187]
    dataset = beats.assemble(found, name="mitdb", labels="", note="")
    assert (dataset.x[:, 0, 0] > 0.8).all()
    assert dataset.unit_mv == pytest.approx(found["range"] / 200)


@pytest.mark.parametrize("suffix", ["hea", "dat", "atr"])
@pytest.mark.parametrize("share", [0.0, 0.45, 0.8])
def test_a_truncated_file_is_named(folder, suffix, share):
    path = folder / f"100.{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        EcgadvError, match=r"^record 100\b.*run `ecgadv data fetch mitdb`"
    ) as caught:
        mitbih.read_record(folder, "100")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["hea", "dat", "atr"])
def test_a_missing_file_is_named(folder, suffix):
    (folder / f"100.{suffix}").unlink()
    with pytest.raises(EcgadvError, match=rf"^record 100: .*100\.{suffix} is missing: delete"):
        mitbih.read_record(folder, "100")


def test_a_flipped_byte_is_a_wrong_checksum(folder):
    path = folder / "100.dat"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(EcgadvError, match=r"record 100: signal checksum is \d+, its header says"):
        mitbih.read_record(folder, "100")


def test_missing_samples(tmp_path):
    counts = signal()
    counts[500, 0] = mitbih.NO_SAMPLE
    write(tmp_path, counts)
    with pytest.raises(EcgadvError, match=r"record 100 has missing samples \(NaN\)"):
        mitbih.read_record(tmp_path, "100")


def test_too_few_beats_and_beats_past_the_end(tmp_path):
    write(tmp_path, signal(), peaks=R_PEAKS[:1], symbols=SYMBOLS[:1])
    with pytest.raises(EcgadvError, match="record 100 has 1 annotated beats, needs 2"):
        mitbih.read_record(tmp_path, "100")
    write(tmp_path, signal(), peaks=R_PEAKS + 2000)
    with pytest.raises(EcgadvError, match="record 100: annotations do not fit its signal"):
        mitbih.read_record(tmp_path, "100")


def test_annotations_may_share_a_sample_and_stand_on_the_last_one_but_no_farther(tmp_path):
    for last, fits in ((SAMPLES - 1, True), (SAMPLES, False)):
        peaks = np.array([400, 400, 700, last])
        write(tmp_path, signal(), peaks=peaks, symbols=SYMBOLS[:4])
        if fits:
            assert mitbih.read_record(tmp_path, "100").samples.tolist() == [10, *peaks]
        else:
            with pytest.raises(EcgadvError, match="record 100: annotations do not fit its signal"):
                mitbih.read_record(tmp_path, "100")


def test_prepare_names_the_missing_record_and_writes_nothing(folder):
    out = folder / "prepared" / "mitdb.npz"
    done = []
    with pytest.raises(EcgadvError, match=r"record 101: .* is missing"):
        mitbih.prepare(folder, out, progress=done.append)
    assert done == ["100"]
    assert not out.parent.exists()


def test_prepare_refuses_other_totals(folder, monkeypatch):
    monkeypatch.setattr(mitbih, "RECORDS", ("100",))
    with pytest.raises(EcgadvError, match=r"give \{'N': 3, .*expected \{'N': 90589"):
        mitbih.prepare(folder, folder / "mitdb.npz")


TOTALS = {"N": 3, "S": 1, "V": 2, "F": 1, "Q": 1}


def pin(monkeypatch, folder):
    """Let the record that was written here be what is published."""
    arrays = mitbih.cut_beats(mitbih.read_record(folder, "100"))
    monkeypatch.setattr(mitbih, "ARRAYS", sums.of_arrays(arrays))
    return arrays


def test_a_beat_that_moved_is_not_prepared(folder, monkeypatch):
    """The annotation file has no checksum, and the class totals stay as they are."""
    monkeypatch.setattr(mitbih, "RECORDS", ("100",))
    monkeypatch.setattr(mitbih, "TOTALS", TOTALS)
    pin(monkeypatch, folder)
    write(folder, signal(), peaks=R_PEAKS + (R_PEAKS == 1010))
    with pytest.raises(EcgadvError, match=r"gives arrays of sha256 .*: delete the \.hea, .*fetch"):
        mitbih.prepare(folder, folder / "mitdb.npz")
    assert not (folder / "mitdb.npz").exists()


def test_no_other_arrays_than_the_published_ones_are_loaded(folder, tmp_path, monkeypatch):
    """Whatever hash the file has of its own; each array counts."""
    whole = pin(monkeypatch, folder)
    path = tmp_path / "c.npz"
    cache.write(path, whole, META)
    assert len(mitbih.load(path)) == 8
    for name, array in whole.items():
        changed = array.copy()
        changed[0] = "101" if name == "record" else array[0] == 0
        cache.write(path, {**whole, name: changed}, META)
        with pytest.raises(
            EcgadvError, match=r"c\.npz gives arrays of sha256 .*data prepare mitdb"
        ):
            mitbih.load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" 200(1024)/mV ", " 100(1024)/mV "),
        (" 200(1024)/mV ", " -200(1024)/mV "),
        (" 200(1024)/mV ", " 1e400(1024)/mV "),
        (" 200(1024)/mV ", " 200(1000)/mV "),
        (" 200(1024)/mV ", " 200(1024)/uV "),
        ("100 2 360 ", "100 0 360 "),
        ("100 2 360 ", "100 2 -360 "),
        ("100 2 360 ", "100 2 1e400 "),
    ],
)
def test_a_header_that_says_other_things_of_the_signal(folder, old, new):
    path = folder / "100.hea"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(EcgadvError, match=r"^record 100.*: delete .*100\.\* and run") as caught:
        mitbih.read_record(folder, "100")
    assert "\n" not in str(caught.value)


def test_one_wrong_byte_is_one_line_or_changes_nothing(folder, monkeypatch):
    """Of a header or of annotations; what gets past the reader is seen by the hash of all beats."""
    monkeypatch.setattr(mitbih, "RECORDS", ("100",))
    monkeypatch.setattr(mitbih, "TOTALS", TOTALS)
    pin(monkeypatch, folder)
    rng, outcomes = np.random.default_rng(0), []
    for suffix in ("hea", "atr"):
        path = folder / f"100.{suffix}"
        whole = path.read_bytes()
        for place in rng.integers(0, len(whole), 30):
            content = bytearray(whole)
            content[place] ^= rng.choice([1, 8, 64, 128])
            path.write_bytes(content)
            try:
                mitbih.prepare(folder, folder / "c.npz")
                outcomes.append("unchanged")
            except EcgadvError as error:
                assert "\n" not in str(error) and "fetch mitdb" in str(error)
                outcomes.append("told")
        path.write_bytes(whole)
    assert outcomes.count("told") > 20


def test_prepare_then_load_by_name(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(mitbih, "RECORDS", ("100",))
    monkeypatch.setattr(mitbih, "TOTALS", TOTALS)
    pin(monkeypatch, folder)
    root = tmp_path / "recordings"
    summary = mitbih.prepare(folder, root / "prepared" / "mitdb.npz")
    assert summary["annotations"] == 10
    assert (summary["beats"], summary["kept"]) == (9, 8)
    dataset = data.load("mitdb", root=root)
    assert dataset.counts() == summary["classes"]
    assert dataset.record.tolist() == ["100"] * 8
    assert dataset.fingerprint == data.load("mitdb").fingerprint  # $ECGADV_DATA


def test_load_says_how_to_get_the_data(tmp_path):
    with pytest.raises(
        EcgadvError,
        match=r"no prepared data at .*run `ecgadv data fetch mitdb`, then `ecgadv data prepare",
    ):
        data.load("mitdb", root=tmp_path)
    cache.write(tmp_path / "prepared" / "mitdb.npz", {}, {"name": "other"})
    with pytest.raises(EcgadvError, match="holds 'other', expected 'mitdb'"):
        data.load("mitdb", root=tmp_path)


def test_a_header_without_signals_is_one_line(folder):
    (folder / "100.hea").write_text("100 0 360 3600\n")
    with pytest.raises(EcgadvError, match=r"^record 100 has no signals, by its header: delete .*"):
        mitbih.read_record(folder, "100")


def test_any_folder_and_any_comment_will_do(tmp_path):
    folder = tmp_path / "Jörgs ECG's"
    folder.mkdir()
    write(folder, signal())
    header = folder / "100.hea"
    header.write_bytes(header.read_bytes() + "# Müller\n".encode("latin-1"))
    assert np.array_equal(mitbih.read_record(folder, "100").signal, signal()[:, 0] - 1024)


def test_loading_needs_numpy_alone(folder, tmp_path):
    path = tmp_path / "prepared" / "mitdb.npz"
    arrays = mitbih.cut_beats(mitbih.read_record(folder, "100"))
    cache.write(path, arrays, META)
    program = (
        "import sys\n"
        "for name in ('wfdb', 'scipy', 'pandas', 'matplotlib', 'tqdm', 'torch', 'filelock'):\n"
        "    sys.modules[name] = None\n"
        "from ecgadv import data\n"
        f"data.mitbih.ARRAYS = {sums.of_arrays(arrays)!r}\n"
        f"print(len(data.load('mitdb', root={str(tmp_path)!r})), len(data.load('synthetic')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("8 6000\n", "")


META = {"name": "mitdb", "labels": mitbih.LABELS}
