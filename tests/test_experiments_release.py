"""Releasing: sound records only, with their sums, and the weights of each training once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import sums
import tiny
from safetensors.numpy import load, save

from ecgadv.errors import EcgadvError
from ecgadv.experiments import release as module
from ecgadv.experiments import whole
from ecgadv.experiments.release import release
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session
from ecgadv.experiments.store import Record, Store

pytestmark = pytest.mark.usefixtures("tiny_suite")
PLAIN = tiny.replace(tiny.PLAIN, attacks=tiny.ATTACKS[:1])
TWIN = tiny.replace(PLAIN, attacks=tiny.ATTACKS[:2], proof=(0.05,), proof_per_class=2)
FILES = ["examples.npz", "metrics.json", "run.json", "weights.safetensors"]


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """Records of one training with one attack ("plain") and with more ("twin")."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        session = Session(Store(tmp_path_factory.mktemp("made")), released=None)
        return {"plain": run_once(PLAIN, 0, session), "twin": run_once(TWIN, 0, session)}


@pytest.fixture
def records(made, tmp_path):
    """Copies of them, to be changed."""
    return {
        name: Record(shutil.copytree(record.path, tmp_path / "runs" / record.key))
        for name, record in made.items()
    }


def done(records, folder, *, weights=True):
    return [record.key for record in release(list(records), folder, weights=weights)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def holders(folder):
    return sorted(path.parent.name for path in folder.glob("*/weights.safetensors"))


@pytest.mark.parametrize("weights", [True, False])
def test_a_record_is_copied_and_may_be_again(weights, records, tmp_path):
    plain, folder = records["plain"], tmp_path / "records"
    (plain.path / "notes.txt").write_text("mine alone")
    for _ in range(2):
        assert done([plain], folder, weights=weights) == [plain.key]
    assert names(folder) == [plain.key]
    assert names(folder / plain.key) == FILES[: 3 + weights]
    for name in names(folder / plain.key):
        assert (folder / plain.key / name).read_bytes() == (plain.path / name).read_bytes()


def test_a_record_without_sums_gets_them_and_nothing_else_changes(records, tmp_path):
    plain = records["plain"]
    shutil.rmtree(records["twin"].path)
    about = json.loads((plain.path / "run.json").read_text())
    stated = about.pop("sha256")
    (plain.path / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    before = (plain.path / "run.json").read_text()
    done([Record(plain.path)], plain.path.parent)  # in its place
    after = (plain.path / "run.json").read_text()
    assert after.startswith(before.removesuffix("\n}\n") + ',\n "sha256": {')
    assert json.loads(after) == {**about, "sha256": stated}
    assert names(plain.path) == FILES


def test_weights_of_one_training_are_kept_once(records, tmp_path):
    plain, twin = records["plain"], records["twin"]
    folder = tmp_path / "records"
    done([plain, twin, plain], folder)
    assert holders(folder) == [plain.key]
    # What is released says of which weights it is, though it has them not.
    assert Record(folder / twin.key).sum("weights.safetensors") == sums.hexadecimal(
        plain.weights.read_bytes()
    )
    session = Session(Store(tmp_path / "none"), released=Store(folder))
    assert session.weights(TWIN, 0).read_bytes() == twin.weights.read_bytes()


def test_equal_weights_of_another_training_are_kept(records, tmp_path):
    plain, twin = records["plain"], records["twin"]
    sums.seal(twin.path, training={**twin.run["training"], "key": "another"})
    done([plain, Record(twin.path)], tmp_path / "records")
    assert holders(tmp_path / "records") == sorted([plain.key, twin.key])


def test_a_damaged_or_absent_twin_keeps_nobody_from_its_weights(records, tmp_path):
    plain, twin = records["plain"], records["twin"]
    folder = tmp_path / "records"
    done([plain], folder)
    weights = folder / plain.key / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    done([twin], folder)
    assert twin.key in holders(folder)
    weights.unlink()
    done([twin], folder)
    assert holders(folder) == [twin.key]
    done([plain], folder)
    assert holders(folder) == [twin.key]


def test_weights_that_others_rely_on_stay_when_their_record_is_replaced(records, tmp_path):
    plain, twin = records["plain"], records["twin"]
    folder = tmp_path / "records"
    done([plain, twin], folder)
    content = plain.weights.read_bytes()
    # Trained again, with another outcome.
    other = {name: value + 1 for name, value in load(content).items()}
    plain.weights.write_bytes(save(other))
    sums.seal(plain.path)
    done([Record(plain.path)], folder)
    assert holders(folder) == sorted([plain.key, twin.key])
    assert (folder / twin.key / "weights.safetensors").read_bytes() == content
    done([Record(plain.path)], folder, weights=False)
    assert holders(folder) == [twin.key]


def test_each_file_of_weights_is_read_few_times(made, tmp_path, monkeypatch):
    """A twin is found by its training and its sum, not by reading all weights for each record."""
    copies = []
    for number in range(6):
        path = shutil.copytree(made["plain"].path, tmp_path / "runs" / f"{number:016x}")
        training = made["plain"].run["training"]
        sums.seal(path, training={**training, "key": f"t{number}"})
        copies.append(Record(path))
    read, original = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or original(path))
    done(copies, tmp_path / "records")
    weights = [path for path in read if path.name == "weights.safetensors"]
    assert len(weights) <= 2 * len(copies)


def nan(record):
    text = (record.path / "metrics.json").read_text()
    accuracy = json.loads(text)["clean"]["accuracy"]
    (record.path / "metrics.json").write_text(text.replace(f"{accuracy}", "NaN", 1))


def numbers(change):
    def changed(record):
        found = json.loads((record.path / "metrics.json").read_text())
        change(found)
        (record.path / "metrics.json").write_text(json.dumps(found))

    return changed


def arrays(change):
    def changed(record):
        found = record.examples()
        change(found)
        np.savez(record.path / "examples.npz", **found)

    return changed


def cut(name):
    def changed(record):
        whole = (record.path / name).read_bytes()
        (record.path / name).write_bytes(whole[: len(whole) // 2])

    return changed


def infinite(record):
    found = dict(load(record.weights.read_bytes()))
    next(iter(found.values())).flat[0] = np.inf
    record.weights.write_bytes(save(found))


HELD = "held/noise/0.05"
NO_CLASSES = {"name": "synthetic", "fingerprint": "f"}
UNSOUND = {
    "NaN": (nan, "metrics.json: NaN is no number"),
    "no numbers": (numbers(dict.clear), "metrics.json: 'clean'"),
    "a list": (lambda r: (r.path / "metrics.json").write_text("[]"), "metrics.json: list indices"),
    "other accuracy": (
        numbers(lambda n: n["attacks"]["noise"]["accuracy"].__setitem__(1, 0.99)),
        "metrics.json: attacks/noise 0.1, accuracy is 0.99, but its examples give ",
    ),
    "other clean accuracy": (
        numbers(lambda n: n["clean"].update(balanced_accuracy=0.123)),
        "metrics.json: clean balanced_accuracy is 0.123, but its examples give ",
    ),
    "impossible validation": (
        numbers(lambda n: n["validation"].update(accuracy=1.5)),
        "metrics.json: validation accuracy is 1.5",
    ),
    "a missing attack": (
        numbers(lambda n: n["attacks"].pop("noise")),
        "metrics.json: 'noise'",
    ),
    "other eps": (
        numbers(lambda n: n["attacks"]["noise"].update(eps=[0.05])),
        "metrics.json: attacks/noise has other eps",
    ),
    "a proof that is not there": (numbers(lambda n: n.pop("proved")), "metrics.json: 'proved'"),
    "truncated examples": (cut("examples.npz"), "examples.npz: File is not a zip file"),
    "a missing array": (arrays(lambda a: a.pop(HELD)), f"examples.npz: {HELD} is missing"),
    "another length": (
        arrays(lambda a: a.update({HELD: a[HELD][:-1]})),
        f"examples.npz: {HELD} has shape (99,) and type uint8",
    ),
    "another type": (
        arrays(lambda a: a.update(prediction=a["prediction"] / 1)),
        "examples.npz: prediction has shape (100,) and type float64",
    ),
    "no such class": (
        arrays(lambda a: a.update(label=a["label"] + np.uint8(1))),
        "examples.npz: label is of no class",
    ),
    "no such flag": (
        arrays(lambda a: a.update({HELD: a[HELD] + np.uint8(7)})),
        "examples.npz: flag ",
    ),
    "no such proof": (
        arrays(lambda a: a.update({"proved/0.05": a["proved/0.05"] * 0 + np.uint8(7)})),
        "examples.npz: flag 7 in 'proved/0.05'",
    ),
    "truncated weights": (cut("weights.safetensors"), "weights.safetensors: "),
    "infinite weights": (infinite, "weights.safetensors: a weight is NaN or infinite"),
    "no weights": (lambda r: r.weights.unlink(), "weights.safetensors: No such file"),
    "no classes": (lambda r: sums.seal(r.path, data=NO_CLASSES), "run.json: 'classes'"),
}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("fault", UNSOUND)
def test_an_unsound_record_is_not_released(fault, sealed, records, tmp_path):
    """Not even one that was written so, or was made before there were sums."""
    spoil, message = UNSOUND[fault]
    spoil(records["twin"])
    (sums.seal if sealed else sums.unseal)(records["twin"].path)
    twin = Record(records["twin"].path)
    with pytest.raises(EcgadvError) as caught:
        done([records["plain"], twin], tmp_path / "records")
    text = str(caught.value)
    assert text.startswith(f"record {twin.key} is damaged ({message}")
    assert text.endswith("); delete it and run its suite again") and "\n" not in text
    assert not (tmp_path / "records").exists()


def test_a_sound_record_passes(made):
    for record in made.values():
        whole.check(record, weights=True)


def test_a_walk_that_is_missing_is_named(chain, beats, tmp_path):
    (tmp_path / "models").symlink_to(chain.root / "models")
    config = tiny.replace(tiny.STUDENT, attacks=())
    record = run_once(config, 0, Session(Store(tmp_path), released=None))
    whole.check(record, weights=True)
    arrays(lambda a: a.pop("boundary/queries"))(record)
    sums.seal(record.path)
    with pytest.raises(EcgadvError, match="boundary/queries is missing"):
        whole.check(Record(record.path), weights=True)


def test_the_module_copies_all_that_a_record_consists_of(made):
    assert sorted([*module.COPIED, "run.json", "weights.safetensors"]) == names(made["plain"].path)
