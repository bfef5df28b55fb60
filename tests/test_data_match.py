"""Finding rows of a heartbeat csv among the beats, and the split that its two files make."""

import numpy as np
import pytest

from ecgadv import cli, data
from ecgadv.data import cache, match
from ecgadv.errors import EcgadvError


@pytest.fixture(scope="module")
def beats():
    return data.load("synthetic")


def write(path, dataset, places):
    rows = np.concatenate([dataset.x[places, 0], dataset.y[places, None]], axis=1)
    path.write_text("\n".join(",".join(str(float(v)) for v in row) for row in rows) + "\n")
    return path


def test_every_row_is_found_at_its_place(beats, tmp_path):
    places = np.random.RandomState(0).permutation(len(beats))[:40]
    found = match.locate(write(tmp_path / "part.csv", beats, places), beats)
    np.testing.assert_array_equal(found.place, places)
    assert match.report([found], beats)[0].endswith(
        "40 of 40 rows are in the recordings, bit for bit"
    )


def test_a_row_that_differs_in_one_bit_or_in_its_class_is_named(beats, tmp_path):
    path = write(tmp_path / "part.csv", beats, np.arange(5))
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[1][3] = repr(float(np.nextafter(np.float32(lines[1][3]), np.float32(2))))
    lines[3][-1] = str((float(lines[3][-1]) + 1) % 5)
    path.write_text("\n".join(map(",".join, lines)))
    found = match.locate(path, beats)
    np.testing.assert_array_equal(found.place, [0, -1, 2, -1, 4])
    assert match.report([found], beats)[-1] == "  no place for row 2, 4"


def test_more_lost_rows_are_counted(beats, tmp_path):
    found = match.Located(tmp_path, np.full(1200, -1))
    assert match.report([found], beats) == [
        f"{tmp_path}: 0 of 1,200 rows are in the recordings, bit for bit",
        "  no place for row 1, 2, 3, 4, 5 and 1,195 more",
    ]


def test_neighbours_in_time_stop_at_the_ends_of_a_recording(beats):
    assert match.neighbours([10, 20, 30], [11, 19, 21, 40], beats) == 2
    edge = int(np.flatnonzero(beats.record != beats.record[0])[0])
    assert match.neighbours([edge - 1], [edge], beats) == 0
    assert match.neighbours([0], [len(beats) - 1], beats) == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n", "no heartbeat csv"),
        ("0.5,0.5\n", r"has shape \(1, 2\)"),
        (",".join(["0"] * 187 + ["7"]), "has the class 7"),
    ],
)
def test_another_file_is_refused_in_one_line(beats, tmp_path, text, complaint):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(EcgadvError, match=complaint) as caught:
        match.locate(path, beats)
    assert "\n" not in str(caught.value)
    with pytest.raises(EcgadvError, match="give lines of 187 values"):
        match.locate(tmp_path / "absent.csv", beats)


def like_mitdb(beats, root, monkeypatch):
    """A root whose mitdb is a part of the synthetic beats."""
    monkeypatch.setitem(data.LOADERS, "mitdb", lambda root: beats)
    monkeypatch.setenv("ECGADV_DATA", str(root))
    return root / "prepared" / match.SPLIT_FILE


@pytest.fixture
def few(beats):
    """The first 50 beats under the name of mitdb."""
    from dataclasses import fields

    from ecgadv.data import Dataset

    names = [item.name for item in fields(Dataset) if item.init]
    values = {name: getattr(beats, name) for name in names} | {"name": "mitdb"}
    for name in ("x", "y", "length", "record", "onset", "unit_mv", "start"):
        values[name] = values[name][:50]
    values["facts"] = {name: value[:50] for name, value in beats.facts.items()}
    return Dataset(**values)


def test_both_files_give_the_split_of_the_authors(few, tmp_path, monkeypatch, capsys):
    order = np.random.RandomState(1).permutation(50)
    train, test = order[:40], order[40:]
    csvs = [write(tmp_path / name, few, p) for name, p in (("a.csv", train), ("b.csv", test))]
    written = like_mitdb(few, tmp_path, monkeypatch)
    with pytest.raises(EcgadvError, match=r"ecgadv data match mitbih_train\.csv"):
        data.split(few, "csv")
    assert cli.main(["data", "match", *map(str, csvs)]) == 0
    assert "test rows directly neighbour a train row" in capsys.readouterr().out
    split = data.split(few, "csv")
    np.testing.assert_array_equal(split.test, test)
    # mit/pre_process.py shuffles the train rows with RandomState(0) and cuts them 80 to 20.
    shuffled = train[np.random.RandomState(0).permutation(40)]
    np.testing.assert_array_equal(split.train, shuffled[:32])
    np.testing.assert_array_equal(split.validation, shuffled[32:])
    assert split.leaks_patients
    cache.write(
        written, {"train": train, "test": test}, {"name": match.CSV_SPLIT, "data": "another"}
    )
    with pytest.raises(EcgadvError, match="split of other beats"):
        data.split(few, "csv")


def test_parts_of_the_files_write_no_split(few, tmp_path, monkeypatch, capsys):
    csvs = [write(tmp_path / f"{i}.csv", few, np.arange(i, 50, 3)) for i in range(2)]
    written = like_mitdb(few, tmp_path, monkeypatch)
    assert cli.main(["data", "match", *map(str, csvs)]) == 0
    assert not written.exists()
    csvs[0].write_text(csvs[0].read_text().replace("1.0", "0.25", 1))
    assert cli.main(["data", "match", str(csvs[0])]) == 1
    assert "no place for row 1" in capsys.readouterr().out
