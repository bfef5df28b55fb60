"""PTB-XL on made-up recordings: whose label is whose, folds, preparing, and all failures."""

import csv

import made_leads
import numpy as np
import pytest
from loopback import Mirror, below, fake_files, with_sums

from ecgadv import data
from ecgadv.data import catalogue, describe, physionet, ptbxl
from ecgadv.errors import EcgadvError

# ecg_id: statements, patient, fold. Of normal ones 5 is on the list, 1 is not.
ROWS = {
    9001: ("{'AFIB': 0.0, 'ABQRS': 0.0}", 1, 1),
    9002: ("{'CRBBB': 100.0, 'LAFB': 100.0}", 2, 8),
    9003: ("{'PVC': 100.0, 'AFIB': 0.0}", 3, 2),  # two classes
    9004: ("{'IRBBB': 100.0}", 4, 3),  # none
    9005: ("{'STE_': 0.0}", 5, 3),  # left out
    9006: ("{'STD_': 0.0}", 6, 9),
    9007: ("{'1AVB': 15.0, 'NDT': 50.0}", 1, 10),
    5: ("{'NORM': 100.0, 'SR': 0.0}", 7, 4),
    1: ("{'NORM': 100.0, 'SR': 0.0}", 7, 4),
}
USED = [5, 9001, 9002, 9006, 9007]


def write_database(root, rows):
    folder = root / "ptb-xl/1.0.3"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ptbxl_database.csv").open("w", encoding="latin-1", newline="") as file:
        out = csv.writer(file)
        names = ("ecg_id", "patient_id", "age", "report", "scp_codes", "strat_fold", "filename_lr")
        out.writerow(names)
        for ecg_id, (codes, patient, fold) in rows.items():
            # Ages may be missing, and reports come in Latin-1.
            name = f"records100/00000/{ecg_id:05d}_lr"
            out.writerow([ecg_id, f"{patient}.0", "", "Überleitung", codes, fold, name])
    return folder


def write_signals(folder):
    for ecg_id in USED:
        signal = made_leads.counts(1000, ecg_id)
        made_leads.write(folder / "records100/00000", f"{ecg_id:05d}_lr", signal, fs=100)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("ptbxl")
    folder = write_database(root, ROWS | {9007: ("{'1AVB': 15.0, 'NDT': 50.0}", 9, 10)})
    write_signals(folder)
    return root, ptbxl.prepare(folder, root / "prepared/ptb-xl.npz")


def test_one_class_of_eight_is_wanted(prepared):
    root, found = prepared
    assert found["records"] == 5 and found["patients"] == 5
    assert {name for name, n in found["classes"].items() if n} == {
        "N",
        "AF",
        "RBBB",
        "STD",
        "I-AVB",
    }
    dataset = data.load("ptb-xl", root=root)
    assert dataset.record.tolist() == [f"{ecg_id:05d}" for ecg_id in USED]
    assert [dataset.classes[label] for label in dataset.y] == ["N", "AF", "RBBB", "STD", "I-AVB"]
    assert dataset.x.shape == (5, 8, 1000) and dataset.mask().all()
    counts = made_leads.counts(1000, 9002)[[0, 1, 6, 7, 8, 9, 10, 11]]
    assert np.allclose(dataset.x[2] * dataset.unit_mv[2][:, None] * 1000, counts, atol=1e-3)
    parts = data.split(dataset, "folds")
    assert (parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()) == (
        [0, 1, 2],
        [3],
        [4],
    )
    assert not parts.leaks_patients


def test_a_patient_in_two_parts_is_refused(tmp_path):
    folder = write_database(tmp_path, ROWS)  # patient 1 trains in fold 1 and tests in fold 10
    with pytest.raises(EcgadvError, match="patient 1 has recordings in train and in test"):
        ptbxl.read_database(folder / "ptbxl_database.csv", rate=100)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("{'AFIB'", 1, 1), "line 2"),
        (("[]", 1, 1), "scp_codes is"),
        (("{'AFIB': 0.0}", "nan", 1), "line 2"),
        (("{'AFIB': 0.0}", 1, 11), "fold 11, expected 1 to 10"),
        (("{'AFIB': 0.0}", 1, ""), "line 2"),
        (("{'LAFB': 0.0}", 1, 1), "has no recording of N, AF"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, said):
    folder = write_database(tmp_path, {9001: row})
    with pytest.raises(EcgadvError, match=said):
        ptbxl.read_database(folder / "ptbxl_database.csv", rate=100)


def test_files_that_are_missing_or_of_another_length(tmp_path):
    with pytest.raises(EcgadvError, match="ecgadv data fetch ptb-xl"):
        ptbxl.prepare(tmp_path, tmp_path / "out.npz")
    folder = write_database(tmp_path, {9001: ROWS[9001]})
    with pytest.raises(EcgadvError, match="09001_lr"):
        ptbxl.prepare(folder, tmp_path / "out.npz")
    signal = made_leads.counts(900)
    made_leads.write(folder / "records100/00000", "09001_lr", signal, fs=100)
    with pytest.raises(EcgadvError, match="900 samples, expected 1000"):
        ptbxl.prepare(folder, tmp_path / "out.npz")
    with pytest.raises(EcgadvError, match="filename_hr"):
        ptbxl.read_database(folder / "ptbxl_database.csv", rate=500)


@pytest.mark.usefixtures("quick_downloads")
def test_fetch_takes_the_rate_asked_for_and_says_that_a_copy_is_a_part(tmp_path):
    source = catalogue.source("ptb-xl")
    signals = [
        f"records100/00000/{n:05d}_lr.{kind}" for n in range(1, 12) for kind in ("hea", "dat")
    ]
    other = ["records500/00000/00001_hr.hea", "records500/00000/00001_hr.dat", "example.py"]
    files = with_sums(fake_files([*source.files, *signals, *other]))
    with Mirror(below(source.path, files)) as mirror:
        done = physionet.fetch("ptb-xl", root=tmp_path, base=mirror.url, say=lambda line: None)
    there = {path.relative_to(done.folder).as_posix() for path in done.folder.rglob("*.*")}
    assert set(signals) <= there and not any("500" in name for name in there)
    assert (done.records, done.new, done.published) == (11, 25, True)
    assert "a part, 11 of 21,799 records" in "\n".join(done.summary())
    said = "\n".join(describe.describe("ptb-xl", root=tmp_path))
    assert "11 of 21,799: PART" in said and "`ecgadv data prepare ptb-xl` writes it" in said
    rate500 = catalogue.source("ptb-xl-500")
    assert rate500.lists(other[0]) and not rate500.lists(signals[0])
