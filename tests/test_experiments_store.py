"""Records on disk: whole or not at all, found again, told when damaged."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecgadv.errors import EcgadvError
from ecgadv.experiments import store as module
from ecgadv.experiments.store import Record, Store, find, merged


def write(folder, *, label="a", seed=0, experiment="paper-b", profile="demo"):
    """A record with as little in it as a store looks at."""
    folder.mkdir(parents=True)
    config = {"experiment": experiment, "profile": profile, "label": label}
    run = {
        "config": {**config, "dataset": "synthetic"},
        "seed": seed,
        "data": {"name": "synthetic", "fingerprint": "0123"},
        "training": {"seeds_together": [seed], "seconds": 1.0},
        "seconds": 1.0,
        "commit": "c0ffee",
        "dirty": False,
        "device": "CPU",
        "versions": {"torch": "2.13.0"},
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics.json").write_text('{"clean": 1}')
    np.savez_compressed(folder / "examples.npz", id=np.arange(3))
    (folder / "weights.safetensors").write_bytes(b"weights")
    return Record(folder)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Publishing


def test_a_folder_appears_when_it_is_whole(tmp_path):
    store = Store(tmp_path / "runs")
    with store.publish(store.root / "key") as part:
        (part / "run.json").write_text("{}")
        assert store.get("key") is None
        assert store.records() == []  # not even under another name
    assert names(store.root) == ["key"]
    assert names(store.root / "key") == ["run.json"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failed_one(failure, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(failure), store.publish(tmp_path / "key") as part:
        (part / "run.json").write_text("{}")
        raise failure
    assert names(tmp_path) == []


def test_a_failed_successor_leaves_what_stood_there(tmp_path):
    write(tmp_path / "key", label="first")
    with pytest.raises(ValueError, match="no"), Store(tmp_path).publish(tmp_path / "key"):
        raise ValueError("no")
    assert Record(tmp_path / "key").config["label"] == "first"
    assert names(tmp_path) == ["key"]


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    write(tmp_path / ".key.part")
    store = Store(tmp_path)
    assert store.records() == []
    with store.publish(tmp_path / "key") as part:
        assert names(part) == []
        (part / "run.json").write_text("{}")
    assert names(tmp_path) == ["key"]
    assert names(tmp_path / "key") == ["run.json"]


def test_a_writer_killed_between_its_two_renames_loses_nothing(tmp_path):
    write(tmp_path / ".key.old", label="finished")
    with pytest.raises(ValueError, match="no"), Store(tmp_path).publish(tmp_path / "key"):
        raise ValueError("no")
    assert Record(tmp_path / "key").config["label"] == "finished"


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(module, "_flush", full)
    store = Store(tmp_path / "runs")
    with (
        pytest.raises(EcgadvError, match=r"^no space left under .*runs; free some and run the c"),
        store.publish(store.root / "key") as part,
    ):
        (part / "run.json").write_text("{}")
    assert names(store.root) == []


def test_other_failures_of_the_disk_keep_their_name(tmp_path):
    with pytest.raises(PermissionError), Store(tmp_path).publish(tmp_path / "key"):
        raise PermissionError(errno.EACCES, "Permission denied", "file")


# Finding


def test_records_are_ordered_and_chosen(tmp_path):
    for key, label, seed in [("1", "b", 0), ("2", "a", 1), ("3", "a", 0)]:
        write(tmp_path / key, label=label, seed=seed)
    write(tmp_path / "4", experiment="paper-a")
    write(tmp_path / "5", profile="paper")
    write(tmp_path / "models" / "6")
    store = Store(tmp_path)
    assert len(store.records()) == 5
    assert [r.key for r in store.records("paper-b", "demo")] == ["3", "2", "1"]
    assert [r.key for r in store.records(profile="paper")] == ["5"]
    assert Store(tmp_path / "absent").records() == []


def test_the_first_store_that_has_a_key_wins(tmp_path):
    for place, key, label in [("a", "1", "b"), ("b", "1", "b"), ("b", "2", "a")]:
        write(tmp_path / place / key, label=label)
    found = merged([Store(tmp_path / "a"), Store(tmp_path / "b")], "paper-b", "demo")
    assert [r.path for r in found] == [tmp_path / "b" / "2", tmp_path / "a" / "1"]


def test_find_takes_a_key_or_a_folder(tmp_path):
    record = write(tmp_path / "runs" / "key")
    assert find("key", [tmp_path / "absent", tmp_path / "runs"]) == record
    assert find(str(record.path), []).path == record.path
    with pytest.raises(EcgadvError, match=r"^no record 'other'; give a key"):
        find("other", [tmp_path / "runs"])


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"null", b"[1]", b"{}"])
def test_damaged_descriptions_are_told_in_one_line(content, tmp_path):
    record = write(tmp_path / "key")
    (record.path / "run.json").write_bytes(content)
    with pytest.raises(EcgadvError, match=r"^record key is damaged \(run\.json: .*delete it"):
        Store(tmp_path).records("paper-b")


def test_a_description_without_a_field_is_told(tmp_path):
    path = write(tmp_path / "key").path / "run.json"
    whole = json.loads(path.read_text())
    for name, gone in (("seed", "seed"), ("training", "training.seconds")):
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != name}))
        with pytest.raises(EcgadvError, match=rf"\(run\.json: {name}.* is missing\); delete it"):
            _ = Record(path.parent).run
        path.write_text(json.dumps(whole | {name: {}}))
        if gone != name:
            with pytest.raises(EcgadvError, match=r"\(run\.json: training\.seconds is missing"):
                _ = Record(path.parent).run


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text", None])
def test_damaged_arrays_are_told_in_one_line(content, tmp_path):
    record = write(tmp_path / "key")
    path = record.path / "examples.npz"
    if content is None:
        whole = bytearray(path.read_bytes())
        whole[60] ^= 255
        content = bytes(whole)
    path.write_bytes(content)
    with pytest.raises(EcgadvError, match=r"^record key is damaged \(examples\.npz: .*delete it"):
        record.examples()


# Locking


def test_stores_lock_without_fcntl(tmp_path):
    """As on Windows; there msvcrt stands in, here no more than the existence of a file."""
    program = (
        "import sys; sys.modules['fcntl'] = None\n"
        "from ecgadv.experiments.store import Store\n"
        f"first, second = Store({str(tmp_path)!r}), Store({str(tmp_path)!r})\n"
        "with first.lock('job') as mine, second.lock('job') as theirs: print(mine, theirs)\n"
        "with second.lock('job') as theirs: print(theirs)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True False\nTrue\n", "")


def test_one_holder_of_a_lock_at_a_time(tmp_path):
    first, second = Store(tmp_path), Store(tmp_path)
    with first.lock("job") as mine:
        assert mine
        with second.lock("job") as theirs:
            assert not theirs
        with second.lock("another job") as other:
            assert other
    with second.lock("job") as theirs:
        assert theirs


def test_released_records_lie_in_the_repository():
    assert module.released_folder() == Path(__file__).resolve().parents[1] / "book" / "records"
