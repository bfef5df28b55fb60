"""The prepared MIT-BIH beats against the published counts and the rows of the Kaggle csv."""

import shutil

import numpy as np
import pytest

from ecgadv import data
from ecgadv.data import mitbih, splits
from ecgadv.errors import EcgadvError

# de Chazal 2004, beats of DS1 and DS2 with the last one of each record.
DS1_BEATS = {"N": 45_866, "S": 944, "V": 3_788, "F": 415, "Q": 8}
DS2_BEATS = {"N": 44_259, "S": 1_837, "V": 3_221, "F": 388, "Q": 7}
FINGERPRINT = "7cda3f0ea1698553637af92c9ebe12e3062e80b1d25138b5189bd2ef05e746e3"


def test_published_counts(prepared, mitdb):
    root, summary = prepared
    assert summary["annotations"] == 112_647
    assert summary["beats"] == 109_494
    assert summary["kept"] == len(mitdb) == 109_446
    expected = {"N": 90_589, "S": 2_779, "V": 7_236, "F": 803, "Q": 8_039}
    assert mitdb.counts() == summary["classes"] == expected
    assert (root / "prepared" / "mitdb.npz").stat().st_size < 20e6


def test_fingerprint_and_load_by_name(prepared, mitdb):
    assert mitdb.fingerprint == FINGERPRINT
    assert data.load("mitdb", root=prepared[0]).fingerprint == FINGERPRINT


def test_de_chazal_counts_decide_where_escape_beats_belong(mitdb_raw):
    records = {name: mitbih.read_record(mitdb_raw, name) for name in (*splits.DS1, *splits.DS2)}
    for names, expected in ((splits.DS1, DS1_BEATS), (splits.DS2, DS2_BEATS)):
        symbols = np.concatenate([records[name].symbols for name in names])
        found = {name: int(np.isin(symbols, group).sum()) for name, group in mitbih.AAMI.items()}
        assert found == expected
        # With e and j in S, as some repositories have it, the published counts do not come out.
        assert found["S"] + int(np.isin(symbols, ["e", "j"]).sum()) != expected["S"]


def test_rows_look_like_the_csv(mitdb):
    assert (mitdb.x.max(-1) == 1).all() and (mitdb.x.min(-1) == 0).all()
    assert np.median(mitdb.x[:, 0, 0]) > 0.99
    assert 0.005 < (mitdb.length == 187).mean() < 0.015
    # The facts at hand come from 999 rows of the csv; drawn evenly over the classes ours agree.
    rng = np.random.RandomState(0)
    rows = np.concatenate([rng.choice(np.flatnonzero(mitdb.y == k), 800) for k in range(5)])
    assert np.percentile(mitdb.length[rows], [1, 50, 99]) == pytest.approx([56, 106, 183], rel=0.06)
    assert (mitdb.length[rows] == 187).mean() == pytest.approx(0.006, abs=0.004)
    counts = mitdb.unit_mv[rows] * 200
    assert np.median(counts) == pytest.approx(424, rel=0.15)
    # Values lie on the lattice of A/D counts, at 200 counts to the millivolt.
    steps = mitdb.x[rows, 0] * counts[:, None]
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_the_next_r_peak_stands_at_one_over_stretch(mitdb):
    regular = np.flatnonzero((mitdb.record == "100") & (mitdb.length < 187))
    onset = mitdb.onset[mitdb.record == "100"]
    interval = np.diff(onset) * 125 / 360
    share = interval / mitdb.length[regular[:-1]]
    assert np.median(share) == pytest.approx(1 / 1.2, abs=0.005)


def test_beats_are_the_recorded_signal(mitdb_raw, mitdb):
    record = mitbih.read_record(mitdb_raw, "117")
    beats = np.flatnonzero(mitdb.record == "117")[::50]
    seconds = np.arange(len(record.signal)) / 360
    for beat in beats:
        n = mitdb.length[beat]
        millivolts = mitdb.x[beat, 0, :n] * mitdb.unit_mv[beat]
        # Linear interpolation of the raw record about the annotated R peak, at most a sample off.
        start = mitdb.onset[beat] / 360
        gaps = []
        for shift in np.linspace(-0.0125, 0.0125, 26):
            raw = np.interp(start + shift + np.arange(n) / 125, seconds, record.signal) / 200
            gaps.append(np.abs(raw - raw.mean() - millivolts + millivolts.mean()).mean())
        assert min(gaps) < 0.02


def test_beatwise_draws_the_csv_test_counts(mitdb):
    split = data.split(mitdb, "beatwise", seed=3)
    assert mitdb.counts(split.test) == splits.CSV_TEST
    assert (len(split.train), len(split.validation)) == (70_043, 17_511)
    assert split.leaks_patients
    assert len(splits.shared_patients(mitdb, split)) > 40


def test_interpatient_is_de_chazals(mitdb):
    split = data.split(mitdb, "interpatient")
    ds1 = np.concatenate([split.train, split.validation])
    for part, names, expected in (
        (ds1, splits.DS1, DS1_BEATS),
        (split.test, splits.DS2, DS2_BEATS),
    ):
        assert set(mitdb.record[part]) == set(names)
        lost = sum(expected.values()) - len(part)
        assert lost == len(names)  # the last beat of each record
    for part in (split.train, split.validation, split.test):
        assert min(mitdb.counts(part).values()) > 0
    assert splits.shared_patients(mitdb, split) == {"201"}
    assert "201" in split.note and "202" in split.note and not split.leaks_patients


def test_first_lead_is_mlii_in_45_records(mitdb_raw):
    lines = [(mitdb_raw / f"{name}.hea").read_text().splitlines()[1] for name in mitbih.RECORDS]
    others = {line.split()[0][:3] for line in lines if not line.endswith("MLII")}
    assert others == {"102", "104", "114"}


@pytest.mark.parametrize("suffix", ["dat", "atr", "hea"])
def test_a_truncated_file_is_named(mitdb_raw, tmp_path, suffix):
    for part in ("dat", "atr", "hea"):
        shutil.copyfile(mitdb_raw / f"100.{part}", tmp_path / f"100.{part}")
    broken = tmp_path / f"100.{suffix}"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2 - 1])
    with pytest.raises(EcgadvError, match=r"^record 100\b.*fetch mitdb") as caught:
        mitbih.read_record(tmp_path, "100")
    assert "\n" not in str(caught.value)


def test_a_flipped_byte_is_a_wrong_checksum(mitdb_raw, tmp_path):
    for part in ("dat", "atr", "hea"):
        shutil.copyfile(mitdb_raw / f"100.{part}", tmp_path / f"100.{part}")
    content = bytearray((tmp_path / "100.dat").read_bytes())
    content[300_000] ^= 0x10
    (tmp_path / "100.dat").write_bytes(content)
    with pytest.raises(EcgadvError, match="record 100: signal checksum"):
        mitbih.read_record(tmp_path, "100")
