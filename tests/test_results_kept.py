"""Numbers that are kept: the same as computed ones, and computed anew when anything changed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from recorded import write

from ecgadv import results
from ecgadv.experiments.store import Record, Store
from ecgadv.results import kept
from ecgadv.results.kept import Kept
from ecgadv.results.result import Result

pytestmark = pytest.mark.usefixtures("few_attacks")
LABELS = ("beatwise/mlp/nsr-0.4/faithful", "beatwise/mlp/ce/faithful")
ASKED = {"attack": ["sap", "worst-case"], "eps": 0.1, "weighting": "class-balanced"}


@pytest.fixture
def stores(tmp_path):
    for label in LABELS:
        for seed in range(2):
            write(tmp_path / "runs", label, seed=seed, shares=(1, 2 / 3, seed / 3))
    return [Store(tmp_path / "runs")]


def tables(stores):
    return results.estimates(stores, **ASKED), results.differences(stores, **ASKED)


def test_what_is_kept_is_not_computed_and_is_the_same(stores, monkeypatch):
    first = tables(stores)
    assert min(len(table) for table in first) > 1

    def refuse(*_, **__):
        raise AssertionError("computed twice")

    monkeypatch.setattr(Result, "estimate", refuse)
    monkeypatch.setattr("ecgadv.experiments.whole.check", refuse)
    for table, again in zip(first, tables(stores), strict=True):
        assert_frame_equal(table, again, check_exact=True)


def test_other_flags_or_other_code_are_computed(stores, monkeypatch):
    first, _ = tables(stores)
    record = Record(next(stores[0].root.glob("[!.]*")))
    label, seed = record.config["label"], record.seed
    shutil.rmtree(record.path)
    write(stores[0].root, label, seed=seed, shares=(1, 1, 1))
    second, _ = tables(stores)
    assert not first.value.equals(second.value)

    monkeypatch.setattr(kept, "_code", lambda: "other code")
    assert Kept("estimates", [record]).get("number", lambda: [7]) == [7]
    assert_frame_equal(second, tables(stores)[0], check_exact=True)


def test_damaged_numbers_are_computed_anew(stores):
    first, _ = tables(stores)
    for path in Path(kept.FOLDER).rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-80])
    assert_frame_equal(first, tables(stores)[0], check_exact=True)


def test_two_that_compute_at_once_keep_both(stores):
    record = Record(next(stores[0].root.glob("[!.]*")))
    a, b = (Kept("some", [record]) for _ in range(2))
    a.get("a", lambda: [0.1 + 0.2, float("nan")])
    b.get("b", lambda: [2])
    a.save(), b.save()
    later = Kept("some", [record])
    assert later.get("a", list)[0] == 0.1 + 0.2 and np.isnan(later.get("a", list)[1])
    assert later.get("b", list) == [2]


def test_where_nothing_can_be_written_the_numbers_are_the_same(stores, tmp_path, monkeypatch):
    first, _ = tables(stores)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(kept, "FOLDER", str(tmp_path / "file" / "kept"))
    assert_frame_equal(first, tables(stores)[0], check_exact=True)
