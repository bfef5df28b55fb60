"""The prepared MIT-BIH beats against the published counts and the rows of the Kaggle csv."""

import shutil

import numpy as np
import pytest

from ecgadv import data
from ecgadv.data import match, mitbih, splits
from ecgadv.errors import EcgadvError

# de Chazal 2004, beats of DS1 and DS2 with the last one of each record.
DS1_BEATS = {"N": 45_866, "S": 944, "V": 3_788, "F": 415, "Q": 8}
DS2_BEATS = {"N": 44_259, "S": 1_837, "V": 3_221, "F": 388, "Q": 7}
FINGERPRINT = "2d99cd231bd124e4a6b331bcb9afdedd2ee42e3fed8fd5cb3afd85a1200650fa"


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


def test_de_chazal_counts_decide_where_escape_beats_belong(records):
    for names, expected in ((splits.DS1, DS1_BEATS), (splits.DS2, DS2_BEATS)):
        symbols = np.concatenate([records[name].symbols for name in names])
        found = {name: int(np.isin(symbols, group).sum()) for name, group in mitbih.AAMI.items()}
        assert found == expected
        # With e and j in S, as some repositories have it, the published counts do not come out.
        assert found["S"] + int(np.isin(symbols, ["e", "j"]).sum()) != expected["S"]


def test_genuine_rows_of_the_csv_are_ours_bit_for_bit(mitdb, genuine):
    place = {row.tobytes(): i for i, row in enumerate(mitdb.x[:, 0])}
    assert len(place) == len(mitdb)  # no two rows are equal, so each place is the only one
    found = [place.get(row[:-1].tobytes()) for row in genuine]
    assert None not in found
    np.testing.assert_array_equal(mitdb.y[found], genuine[:, -1])
    assert np.bincount(mitdb.y[found]).tolist() == [100] * 5


def test_match_finds_the_genuine_rows(mitdb, genuine, tmp_path):
    path = tmp_path / "part.csv"
    path.write_text("\n".join(",".join(map(repr, row.tolist())) for row in genuine))
    located = match.locate(path, mitdb)
    assert len(located.found) == len(genuine) == 500
    assert len(np.unique(mitdb.record[located.found])) == 48


def test_facts_that_follow_from_the_rule(mitdb):
    facts = mitdb.facts
    assert mitdb.fs == 120
    assert mitdb.x.min() == 0 and mitdb.x.max() == 1
    whole = mitdb.x[facts["uncut"] <= 187, 0]
    assert (whole.max(-1) == 1).all() and (whole.min(-1) == 0).all()
    assert facts["other"].sum() == 4_517
    assert facts["guessed"].sum() == 47
    assert (facts["uncut"] > 187).sum() == 931
    assert (facts["uncut"] < 30).sum() == 97
    assert (facts["uncut"].min(), facts["uncut"].max()) == (10, 733)


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
