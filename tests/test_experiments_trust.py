"""One wrong byte in what a later step takes on trust: one line of error, or the same content."""

import json
import shutil

import numpy as np
import pytest
import sums
import tiny
import torch
from torch import nn

from ecgadv import files
from ecgadv.defenses import cross_entropy
from ecgadv.errors import EcgadvError
from ecgadv.experiments import run
from ecgadv.experiments.config import training_key
from ecgadv.experiments.run import run_once, train_missing
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import Record, Store, Trained
from ecgadv.experiments.unfinished import Unfinished
from ecgadv.training import Samples, Schedule, train

pytestmark = pytest.mark.usefixtures("tiny_suite")
FLIPS = 60
BARE = tiny.replace(tiny.PLAIN, attacks=tiny.ATTACKS[:1])


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """A store with one record, and the weights that it was made of."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        store = Store(tmp_path_factory.mktemp("made"))
        run_once(BARE, 0, Session(store, released=None))
    return store


def flipped(whole):
    """Copies of the bytes, each with another one at a place of its own drawn at random."""
    rng = np.random.default_rng(len(whole))
    for place in rng.choice(len(whole), min(FLIPS, len(whole)), replace=False):
        copy = bytearray(whole)
        copy[place] ^= rng.choice([1, 4, 32, 128, 255])
        yield bytes(copy)


def outcomes(path, read):
    """What `read` gives for each flip in the file: a value, or None after its line of error."""
    whole = path.read_bytes()
    for content in flipped(whole):
        path.write_bytes(content)
        try:
            yield read()
        except EcgadvError as error:
            text = str(error)
            assert path.name in text and "\n" not in text
            assert "delete" in text and "again" in text
            yield None
    path.write_bytes(whole)


def network(model):
    return [(name, value.tolist()) for name, value in model.state_dict().items()]


def test_a_checkpoint(tmp_path):
    path = tmp_path / "abc.pt"
    x = torch.rand(8, 1, 4, generator=torch.Generator().manual_seed(0))
    samples = Samples(x, torch.arange(8) % 2)

    def resumed():
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        schedule, generator = Schedule(epochs=1, batch_size=8), torch.Generator()
        return train(
            model,
            cross_entropy.loss,
            samples,
            schedule,
            seeds=[0],
            generator=generator,
            checkpoint=path,
        )

    resumed()
    assert set(outcomes(path, resumed)) == {None}


def test_a_part_of_an_evaluation(tmp_path):
    keep = Unfinished(tmp_path)
    keep.once("x", lambda: {"held/pgd/0.1": np.arange(300) % 2})
    found = outcomes(tmp_path / "x.npz", lambda: Unfinished(tmp_path).once("x", dict))
    assert set(found) == {None}


@pytest.mark.parametrize("name", ["training.json", "weights.safetensors"])
def test_trained_weights(name, made, beats, tmp_path):
    key = training_key(BARE, 0, beats.fingerprint)
    folder = shutil.copytree(made.weights_folder(key), tmp_path / key)

    def read():
        model = load_model(BARE, beats, folder / "weights.safetensors")
        return network(model), Trained(folder).about

    before = read()
    found = list(outcomes(folder / name, read))
    assert all(value in (None, before) for value in found)
    assert found.count(None) > FLIPS / 2


FILES = ["run.json", "metrics.json", "examples.npz", "weights.safetensors"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_record(name, sealed, made, beats, tmp_path):
    """Without sums a wrong value may get through, but never a traceback."""
    (record,) = made.records()
    folder = shutil.copytree(record.path, tmp_path / record.key)
    if not sealed:
        sums.unseal(folder)

    def read():
        record = Record(folder)
        arrays = {name: array.tolist() for name, array in record.examples().items()}
        model = load_model(BARE, beats, record.weights)
        return record.run, record.metrics, arrays, network(model)

    before = read()
    found = list(outcomes(folder / name, read))
    if sealed:
        assert all(value in (None, before) for value in found)
        assert found.count(None) > FLIPS / 2


def test_a_training_or_a_record_says_what_its_files_sum_to(made, beats):
    (record,) = made.records()
    key = training_key(BARE, 0, beats.fingerprint)
    for folder, name, names in (
        (record.path, "run.json", set(FILES)),
        (made.weights_folder(key), "training.json", {"training.json", "weights.safetensors"}),
    ):
        about = json.loads((folder / name).read_text())
        stated = about.pop("sha256")
        assert stated.keys() == names
        for file in names - {name}:
            assert stated[file] == sums.hexadecimal((folder / file).read_bytes())
        assert stated[name] == sums.hexadecimal(json.dumps(about, sort_keys=True).encode())
    assert "sha256" not in record.run and "sha256" not in record.run["training"]


def test_what_was_made_before_there_were_sums_is_taken(made, beats, tmp_path):
    key = training_key(BARE, 0, beats.fingerprint)
    store = Store(tmp_path)
    folder = shutil.copytree(made.weights_folder(key), store.weights_folder(key))
    sums.unseal(folder, "training.json")
    record = run_once(BARE, 0, Session(store, released=None))
    assert not Trained(folder).sealed and record.sealed
    assert record.metrics == made.records()[0].metrics


def test_wrong_weights_stop_the_run_before_its_evaluation(made, beats, tmp_path, monkeypatch):
    key = training_key(BARE, 0, beats.fingerprint)
    store = Store(tmp_path)
    folder = shutil.copytree(made.weights_folder(key), store.weights_folder(key))
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)
    monkeypatch.setattr(run, "evaluate", None)
    with pytest.raises(EcgadvError, match=rf"^training {key} is damaged \(weights.*delete the f"):
        run_once(BARE, 0, Session(store, released=None))
    shutil.rmtree(folder)
    train_missing(BARE, [0], Session(store, released=None))
    assert Record(folder).weights.read_bytes() == made.records()[0].weights.read_bytes()


def test_a_sealed_file_is_one_that_its_readers_still_take(tmp_path):
    files.write_sealed(tmp_path / "a.npz", files.dump_arrays({"a": np.arange(3)}, compressed=True))
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["a"].tolist() == [0, 1, 2]
    *content, last = (tmp_path / "a.npz").read_bytes().rpartition(b"\nsha256 ")
    assert last.strip().decode() == sums.hexadecimal(content[0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_record_with_a_number_that_is_none_is_damaged(constant, made, tmp_path):
    (record,) = made.records()
    folder = shutil.copytree(record.path, tmp_path / "key")
    (folder / "metrics.json").write_text(f'{{"clean": {{"accuracy": {constant}}}}}')
    sums.seal(folder)
    with pytest.raises(EcgadvError, match=rf"key is damaged \(metrics\.json: {constant} is no num"):
        _ = Record(folder).metrics
