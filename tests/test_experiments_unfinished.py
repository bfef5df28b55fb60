"""An evaluation that was stopped: what it had found is kept, and goes into the record."""

import errno
import os
import time
from dataclasses import replace

import numpy as np
import pytest
import tiny

from ecgadv.errors import EcgadvError
from ecgadv.experiments import evaluate, pairs
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session
from ecgadv.experiments.store import Store
from ecgadv.experiments.unfinished import Unfinished
from ecgadv.training import OutOfTime

pytestmark = pytest.mark.usefixtures("tiny_suite")


@pytest.fixture(scope="module")
def trained(chain, beats, tmp_path_factory):
    """(a store with the trained chain, the student's record made without a stop)."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        whole = Store(tmp_path_factory.mktemp("whole"))
        (whole.root / "models").symlink_to(chain.root / "models")
        return chain, run_once(tiny.STUDENT, 0, Session(whole, released=None))


def session_of(trained, folder, **options):
    """A session of its own whose networks are trained already."""
    if not (folder / "models").exists():
        (folder / "models").symlink_to(trained[0].root / "models")
    return Session(Store(folder), released=None, **options)


def parts_in(folder):
    return sorted(path.name for path in (folder / "checkpoints").rglob("*.npz"))


def counting(monkeypatch, owner, name):
    """Let each call of owner.name be noted, and return the list of notes."""
    original, calls = getattr(owner, name), []
    monkeypatch.setattr(owner, name, lambda *args: calls.append(args) or original(*args))
    return calls


def test_a_part_is_made_once(tmp_path):
    def fail():
        raise AssertionError("made again")

    values = {"a": np.arange(3, dtype=np.uint8), "b": np.array([np.nan, 1], np.float32)}
    first = Unfinished(tmp_path / "e").once("pgd-0.1", lambda: values)
    later = Unfinished(tmp_path / "e")
    again = later.once("pgd-0.1", fail)
    assert first is values and again.keys() == values.keys()
    for name, array in values.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype


def test_seconds_of_an_earlier_process_are_counted(tmp_path):
    def slow():
        time.sleep(0.05)
        return {"a": np.zeros(1)}

    first = Unfinished(tmp_path / "e", "abc")
    first.once("x", slow)
    assert first.seconds == 0  # this process's own are on its own clock
    assert first.commits == set()
    later = Unfinished(tmp_path / "e", "def")
    later.once("x", slow)
    assert 0.05 <= later.seconds < 5
    assert later.commits == {"abc"}


def test_without_a_folder_nothing_is_kept():
    calls = []
    keep = Unfinished()
    for _ in range(2):
        keep.once("x", lambda: calls.append(1) or {"a": np.zeros(1)})
    assert len(calls) == 2


def test_a_damaged_part_is_named(tmp_path):
    Unfinished(tmp_path / "e").once("x", lambda: {"a": np.zeros(1000)})
    path = tmp_path / "e" / "x.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        EcgadvError, match=r"checkpoint .*e/x\.npz is damaged .*; delete it and run"
    ):
        Unfinished(tmp_path / "e").once("x", dict)


def test_a_full_disk_is_a_clear_line_and_leaves_no_part(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EcgadvError, match="no space left under"):
        Unfinished(tmp_path / "e").once("x", lambda: {"a": np.zeros(1)})
    assert list((tmp_path / "e").iterdir()) == []


def test_what_a_deadline_stops_goes_on_to_the_same_record(trained, tmp_path, monkeypatch):
    whole = trained[1]
    asked = []

    def stop_at_the_third(text, share):
        asked.append(text)
        if len(asked) == 3:
            raise OutOfTime

    with pytest.raises(OutOfTime):
        run_once(tiny.STUDENT, 0, session_of(trained, tmp_path, on_progress=stop_at_the_third))
    assert parts_in(tmp_path) == ["pgd-0.05.npz", "pgd-0.1.npz"]
    attacked = counting(monkeypatch, evaluate._Evaluation, "_attack")
    record = run_once(tiny.STUDENT, 0, session_of(trained, tmp_path))
    assert [(attack.name, eps) for _, attack, eps, _ in attacked] == [("transfer-pgd", 0.1)]
    assert record.key == whole.key and record.metrics == whole.metrics
    assert record.run["parts_of_commits"] == [record.run["commit"]]
    stored, again = whole.examples(), record.examples()
    assert stored.keys() == again.keys()
    for name, array in stored.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert parts_in(tmp_path) == []


def test_parts_of_other_weights_are_not_taken(trained, tmp_path, monkeypatch):
    """Weights may be trained again, on another device say, under the same key."""

    def stop(text, share):
        if "transfer" in text:
            raise OutOfTime

    with pytest.raises(OutOfTime):
        run_once(tiny.STUDENT, 0, session_of(trained, tmp_path, on_progress=stop))
    monkeypatch.setattr("ecgadv.experiments.provenance.device_name", lambda device: "another")
    attacked = counting(monkeypatch, evaluate._Evaluation, "_attack")
    run_once(tiny.STUDENT, 0, session_of(trained, tmp_path))
    assert len(attacked) == 3
    assert parts_in(tmp_path) == []


def test_what_a_kill_left_behind_a_finished_record_is_removed(trained, tmp_path):
    session = session_of(trained, tmp_path)
    record = run_once(tiny.STUDENT, 0, session)
    Unfinished(session.store.evaluation(record.key) / "0").once("x", lambda: {"a": np.zeros(1)})
    assert parts_in(tmp_path) == ["x.npz"]
    session.store.clear_finished()  # as every `ecgadv run` begins
    assert parts_in(tmp_path) == []


def test_the_boundary_attack_is_kept_lot_by_lot(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "LOT", 8)
    config = replace(tiny.STUDENT, attacks=())  # 20 pairs, one for each ordered pair of 5 classes

    def stop(text, share):
        if text.startswith("boundary attack on itself, pair 17"):
            assert share == 16 / 20
            raise OutOfTime

    with pytest.raises(OutOfTime):
        run_once(config, 0, session_of(trained, tmp_path, on_progress=stop))
    assert parts_in(tmp_path) == ["boundary-itself-0.npz", "boundary-itself-8.npz"]
    walked = counting(monkeypatch, pairs, "_walk")
    record = run_once(config, 0, session_of(trained, tmp_path))
    assert [len(args[2]) for args in walked] == [4, 8, 8, 4]  # itself, then the surrogate
    assert record.metrics["boundary"]["pairs"] == 20
    assert len(record.examples()["boundary/distance"]) == 20
