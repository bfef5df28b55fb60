"""One run: what its record holds, that it is made once, and that it can be made again."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sums
import tiny
import torch
from safetensors.torch import load_file

from ecgadv import data, machine
from ecgadv.errors import EcgadvError
from ecgadv.experiments import described, evaluate, exposure, run, session
from ecgadv.experiments.config import Attack, as_dict, run_key, training_key
from ecgadv.experiments.run import Session, run_once, train_missing
from ecgadv.experiments.store import Record, Store
from ecgadv.experiments.verify import verify
from ecgadv.models import build
from ecgadv.training import OutOfTime

pytestmark = pytest.mark.usefixtures("tiny_suite")


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """A store with some records, by (config, seed)."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        session = Session(Store(tmp_path_factory.mktemp("made")), command="ecgadv run tiny")
        train_missing(tiny.ADVERSARIAL, [0, 1], session)
        wanted = [(tiny.PLAIN, 0), (tiny.ADVERSARIAL, 0), (tiny.ADVERSARIAL, 1)]
        wanted += [(tiny.NSR, 1), (tiny.CNN, 0)]
        return {(config.label, seed): run_once(config, seed, session) for config, seed in wanted}


def copy_of(record, folder):
    """A copy to tamper with."""
    shutil.copytree(record.path, folder / record.key)
    return Record(folder / record.key)


def same_arrays(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# What a record holds


def test_arrays_of_a_record(made, beats):
    parts = data.split(beats, "beatwise")
    for record in made.values():
        examples = record.examples()
        attacks = [a for a in tiny.ATTACKS if a.name in record.metrics["attacks"]]
        assert examples.keys() == {
            *("id", "record", "label", "logits", "prediction"),
            *(f"held/{a.name}/{eps:g}" for a in attacks for eps in a.eps),
        }
        assert np.array_equal(examples["id"], parts.test)
        assert np.array_equal(examples["record"], beats.record[parts.test])
        assert np.array_equal(examples["label"], beats.y[parts.test])
        assert examples["logits"].shape == (len(parts.test), 5)
        assert examples["logits"].dtype == np.float16
        clean = examples["prediction"] == examples["label"]
        for attack in attacks:
            flags = [examples[f"held/{attack.name}/{eps:g}"] for eps in attack.eps]
            attacked = [held != 255 for held in flags]
            assert all(held.dtype == np.uint8 for held in flags)
            assert set(np.unique(flags)) <= {0, 1, 255}
            assert all(np.array_equal(seen, attacked[0]) for seen in attacked)
            counts = np.bincount(examples["label"][attacked[0]], minlength=5)
            assert (counts == (attack.per_class or 20)).all()
            # What is wrong without an attack does not hold.
            assert not any((held[attacked[0] & ~clean] == 1).any() for held in flags)
            if attack.nested:
                assert (flags[1] <= flags[0]).all()


def test_logits_are_those_of_the_stored_weights(made, beats):
    record = made[tiny.PLAIN.label, 0]
    examples = record.examples()
    model = build("beat-mlp", length=187, classes=5, width=16)
    model.load_state_dict(load_file(record.weights))
    logits = model(torch.from_numpy(beats.x[examples["id"]])).detach().numpy()
    np.testing.assert_allclose(examples["logits"], logits, rtol=1e-3, atol=1e-3)
    assert np.array_equal(examples["prediction"], logits.argmax(1))
    assert (examples["prediction"] == examples["label"]).mean() > 0.5  # it has learnt something


def accuracies(held, y):
    """Natural and class-balanced accuracy of a subset that is stratified by class, in loops."""
    natural = balanced = 0.0
    for label in range(5):
        own = [h for h, truth in zip(held.tolist(), y.tolist(), strict=True) if truth == label]
        seen = [h for h in own if h != 255]
        balanced += sum(seen) / len(seen) / 5
        natural += sum(seen) / len(seen) * len(own) / len(y)
    return natural, balanced


def test_metrics_follow_from_the_arrays(made):
    for record in made.values():
        examples, metrics = record.examples(), record.metrics
        y = examples["label"]
        clean = (examples["prediction"] == y).astype(np.uint8)
        natural, balanced = accuracies(clean, y)
        assert metrics["clean"]["n"] == 100
        assert metrics["clean"]["accuracy"] == pytest.approx(natural)
        assert metrics["clean"]["balanced_accuracy"] == pytest.approx(balanced)
        confusion = np.zeros((5, 5), int)
        np.add.at(confusion, (y, examples["prediction"]), 1)
        assert metrics["clean"]["confusion"] == confusion.tolist()
        assert metrics["validation"]["n"] == 80
        for name, values in metrics["attacks"].items():
            levels = [examples[f"held/{name}/{eps:g}"] for eps in values["eps"]]
            assert values["n"] == (levels[0] != 255).sum()
            for index, kind in enumerate(("accuracy", "balanced_accuracy")):
                curve = [accuracies(held, y)[index] for held in (clean, *levels)]
                assert values[kind] == pytest.approx(curve[1:])
                (a0, a1, a2), (e1, e2) = curve, tiny.EPS
                area = ((a0 + a1) * e1 / 2 + (a1 + a2) * (e2 - e1) / 2) / 0.1
                assert values[f"{kind}_auc"] == pytest.approx(area)
                assert values[f"{kind}_robust"] == pytest.approx((a0 * area) ** 0.5)


def test_provenance_of_a_record(made, beats):
    record = made[tiny.ADVERSARIAL.label, 1]
    found = record.run
    assert found["config"] == as_dict(tiny.ADVERSARIAL)
    assert found["seed"] == 1
    assert found["command"] == "ecgadv run tiny"
    assert found["data"] == {
        "name": "synthetic",
        "fingerprint": beats.fingerprint,
        "labels": beats.labels,
        "unit": "normalised",
        "classes": ["N", "S", "V", "F", "Q"],
    }
    for part in (found, found["training"]):
        assert part["versions"].keys() == {"ecgadv", "python", "torch", "numpy"}
        assert part["device"].startswith("CPU")
        assert part["threads"] == 1
        assert part["seconds"] >= 0
        assert re.fullmatch(r"[0-9a-f]{40}|unknown", part["commit"])
        assert isinstance(part["dirty"], bool)
    assert found["training"]["seeds_together"] == [0, 1]
    assert [line["epoch"] for line in found["training"]["history"]] == [1, 2, 3]
    assert record.key == run_key(tiny.ADVERSARIAL, 1, beats.fingerprint)


def test_no_folder_and_no_name_of_this_machine_in_a_record(made):
    folders = [Path.cwd(), Path.home(), Path("/tmp"), Path("/home")]
    for record in made.values():
        for path in (record.path / "run.json", record.path / "metrics.json"):
            text = path.read_text()
            assert not re.search(r"[\s\"',:=]/", text)
            assert machine.told(text, folders=folders, names=machine.hosts()) == []


# Made once, and the same again


def forbid_training(monkeypatch):
    def train(*arguments, **options):
        raise AssertionError("it trains again")

    monkeypatch.setattr(run, "train", train)


def test_a_finished_run_is_not_done_twice(made, monkeypatch):
    forbid_training(monkeypatch)
    record = made[tiny.PLAIN.label, 0]
    store = Store(record.path.parent)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    monkeypatch.setattr(run, "evaluate", None)
    assert run_once(tiny.PLAIN, 0, Session(store)).path == record.path
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_other_attacks_take_the_weights_that_are_there(made, beats, monkeypatch):
    forbid_training(monkeypatch)
    record = made[tiny.PLAIN.label, 0]
    config = replace(tiny.PLAIN, attacks=(Attack("fgsm", "fgsm", (0.1,)),))
    other = run_once(config, 0, Session(Store(record.path.parent)))
    assert other.key != record.key
    assert other.weights.read_bytes() == record.weights.read_bytes()
    assert list(other.metrics["attacks"]) == ["fgsm"]


@pytest.mark.parametrize("config", [tiny.NSR, tiny.CNN], ids=lambda config: config.label)
def test_the_same_seed_gives_the_same_record(config, made, tmp_path):
    (record,) = (r for (label, _), r in made.items() if label == config.label)
    again = run_once(config, record.seed, Session(Store(tmp_path)))
    assert again.key == record.key
    assert again.weights.read_bytes() == record.weights.read_bytes()
    assert again.metrics == record.metrics
    assert same_arrays(again.examples(), record.examples())


def test_seeds_differ(made):
    first, second = (made[tiny.ADVERSARIAL.label, seed] for seed in (0, 1))
    assert first.key != second.key
    assert first.weights.read_bytes() != second.weights.read_bytes()
    assert np.array_equal(first.examples()["id"], second.examples()["id"])


def test_a_group_killed_between_two_of_its_weights_goes_on(made, beats, tmp_path, monkeypatch):
    store = Store(tmp_path)
    folders = [
        store.weights_folder(training_key(tiny.ADVERSARIAL, seed, beats.fingerprint))
        for seed in (0, 1)
    ]
    publish = store.publish

    def killed(folder):
        if folder == folders[1]:
            raise KeyboardInterrupt
        return publish(folder)

    monkeypatch.setattr(store, "publish", killed)
    with pytest.raises(KeyboardInterrupt):
        train_missing(tiny.ADVERSARIAL, [0, 1], Session(store))
    assert [folder.exists() for folder in folders] == [True, False]
    monkeypatch.undo()
    tiny.install(beats, monkeypatch.setattr)
    train_missing(tiny.ADVERSARIAL, [0, 1], Session(store))
    for seed, folder in enumerate(folders):
        # Trained alone, seed 1 would have met other random starts.
        wanted = made[tiny.ADVERSARIAL.label, seed].weights.read_bytes()
        assert (folder / "weights.safetensors").read_bytes() == wanted
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_deadline_between_attacks_leaves_the_weights_and_no_record(tmp_path, beats):
    store = Store(tmp_path)
    train_missing(tiny.PLAIN, [0], Session(store))
    with pytest.raises(OutOfTime):
        run_once(tiny.PLAIN, 0, Session(store, deadline=0.0))
    assert store.records() == []
    weights = store.weights_folder(training_key(tiny.PLAIN, 0, beats.fingerprint))
    assert (weights / "weights.safetensors").exists()


def test_progress_and_deadline_during_training(tmp_path):
    shown = []
    session = Session(Store(tmp_path), on_progress=lambda *line: shown.append(line))
    train_missing(tiny.PLAIN, [0], session)
    assert [share for _, share in shown] == [0.25, 0.5, 0.75, 1.0]
    assert all(text.startswith("train, loss ") for text, _ in shown)
    with pytest.raises(OutOfTime):
        train_missing(tiny.PLAIN, [1], Session(Store(tmp_path), deadline=0.0))


def test_a_fresh_network_depends_on_its_seed_alone(beats):
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(len(states))
        before = torch.get_rng_state()
        states.append(session.fresh_model(tiny.PLAIN, beats, seed).layers[0].weight)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_the_attacked_few_are_the_same_and_balanced():
    y = np.repeat([0, 1, 2], [50, 10, 3])
    chosen = exposure.subset(y, 5)
    assert np.bincount(y[chosen]).tolist() == [5, 5, 3]
    assert np.array_equal(chosen, exposure.subset(y, 5))
    assert exposure.subset(y, None).all()
    # Fewer are a part of more, so that attacks on few and on many share their examples.
    assert not (exposure.subset(y, 3) & ~chosen).any()


@pytest.mark.parametrize("middle", [0.02, 0.2])
def test_what_the_level_before_broke_stays_broken(made, beats, tmp_path, monkeypatch, middle):
    """An attack that fails at the first and at the last of three levels."""

    def moody(model, x, y, threat, **options):
        return evaluate.attacks.fgsm(model, x, y, threat, **options) if threat.eps == middle else x

    monkeypatch.setitem(evaluate.ATTACKS, "fgsm", moody)
    attack = Attack("fgsm", "fgsm", (0.01, middle, 0.3), nested=True, predictions=True)
    config = replace(tiny.PLAIN, attacks=(attack,))
    model = session.load_model(config, beats, made[tiny.PLAIN.label, 0].weights)
    _, found = evaluate.evaluate(config, 0, model, beats, Session(Store(tmp_path)))
    for kind in ("held", "predicted"):
        first, second, third = (found[f"{kind}/fgsm/{eps:g}"] for eps in attack.eps)
        assert not np.array_equal(first, second)
        assert np.array_equal(second, third)


# Verifying


def test_verify_agrees_to_the_last_flag(made, tmp_path):
    for key in [(tiny.PLAIN.label, 0), (tiny.CNN.label, 0)]:
        result = verify(made[key], Session(Store(tmp_path)), retrain=False)
        assert result.largest == 0
        assert set(result.flags.values()) == {0}
    assert list(tmp_path.iterdir()) == []


def test_verify_trains_again_beside_the_same_seeds(made, tmp_path):
    record = made[tiny.ADVERSARIAL.label, 1]
    result = verify(record, Session(Store(tmp_path)), retrain=True)
    assert result.largest == 0
    assert list(tmp_path.iterdir()) == []


def test_verify_sees_tampered_numbers(made, tmp_path):
    record = copy_of(made[tiny.PLAIN.label, 0], tmp_path)
    for kind in ("accuracy", "balanced_accuracy"):
        metrics = json.loads((made[tiny.PLAIN.label, 0].path / "metrics.json").read_text())
        metrics["attacks"]["sap"][kind][1] += 0.25
        (record.path / "metrics.json").write_text(json.dumps(metrics))
        sums.seal(record.path)
        result = verify(Record(record.path), Session(Store(tmp_path)), retrain=False)
        assert result.largest == pytest.approx(0.25)
    name = "sap 0.1, balanced accuracy"
    stored, again = result.numbers[name]
    assert stored - again == pytest.approx(0.25)
    assert any(line.split()[:2] == ["sap", "0.1,"] and "-0.25" in line for line in result.lines())


def test_verify_sees_tampered_flags(made, tmp_path):
    record = copy_of(made[tiny.PLAIN.label, 0], tmp_path)
    examples = record.examples()
    examples["held/noise/0.05"] = 1 - examples["held/noise/0.05"]
    np.savez_compressed(record.path / "examples.npz", **examples)
    sums.seal(record.path)
    result = verify(Record(record.path), Session(Store(tmp_path)), retrain=False)
    assert result.largest == 1
    assert result.flags["noise/0.05"] == 1
    del examples["held/noise/0.05"]
    np.savez_compressed(record.path / "examples.npz", **examples)
    sums.seal(record.path)
    with pytest.raises(EcgadvError, match=r"not the numbers of its config: held/noise/0\.05"):
        verify(Record(record.path), Session(Store(tmp_path)), retrain=False)


def test_verify_sees_tampered_weights(made, tmp_path):
    record = copy_of(made[tiny.PLAIN.label, 0], tmp_path)
    other = made[tiny.NSR.label, 1].weights.read_bytes()
    record.weights.write_bytes(other)
    with pytest.raises(EcgadvError, match=r"is damaged \(weights\.safetensors: its SHA-256 sum"):
        verify(record, Session(Store(tmp_path)), retrain=False)
    sums.seal(record.path)
    record = Record(record.path)
    assert verify(record, Session(Store(tmp_path)), retrain=False).largest > 0.01
    for content in (b"", other[: len(other) // 2], made[tiny.CNN.label, 0].weights.read_bytes()):
        record.weights.write_bytes(content)
        sums.seal(record.path)
        with pytest.raises(EcgadvError, match=r"is damaged \(weights\.safetensors: "):
            verify(Record(record.path), Session(Store(tmp_path)), retrain=False)
    record.weights.unlink()
    with pytest.raises(EcgadvError, match=r"has no weights here; add --retrain"):
        verify(record, Session(Store(tmp_path)), retrain=False)
    # Another record of the same training has weights, but only the right ones do.
    released = Store(made[tiny.PLAIN.label, 0].path.parent)
    session = Session(Store(tmp_path), released=released)
    with pytest.raises(EcgadvError, match=r"are not those that record .* was made of: delete them"):
        verify(record, session, retrain=False)
    shutil.copy(made[tiny.PLAIN.label, 0].path / "run.json", record.path)
    assert verify(Record(record.path), session, retrain=False).largest == 0


def test_verify_refuses_weights_that_are_whole_but_not_those_of_the_record(made, beats, tmp_path):
    record = copy_of(made[tiny.PLAIN.label, 0], tmp_path)
    record.weights.unlink()
    store = Store(tmp_path / "runs")
    folder = store.weights_folder(training_key(tiny.PLAIN, 0, beats.fingerprint))
    with store.publish(folder) as part:
        about = {"seeds_together": [0], "seconds": 1.0}
        files = {"weights.safetensors": made[tiny.NSR.label, 1].weights.read_bytes()}
        described.write(part, "training.json", about, files)
    with pytest.raises(EcgadvError, match=rf"are not those that record {record.key} was made of"):
        verify(record, Session(store, released=None), retrain=False)


UNUSABLE = {
    "nothing": lambda m: m.clear(),
    "no clean ones": lambda m: m.pop("clean"),
    "no attacks": lambda m: m.pop("attacks"),
    "no levels": lambda m: m["attacks"]["sap"].pop("eps"),
    "an accuracy too few": lambda m: m["attacks"]["sap"]["accuracy"].pop(),
    "a text": lambda m: m["clean"].update(accuracy="all"),
    "a list": lambda m: m.update(attacks=[1]),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_verify_tells_of_metrics_that_are_none(fault, made, tmp_path, monkeypatch):
    whole = made[tiny.PLAIN.label, 0]
    again = (whole.metrics, whole.examples())
    monkeypatch.setattr("ecgadv.experiments.verify.evaluate", lambda *_: again)
    record = copy_of(whole, tmp_path)
    numbers = json.loads((record.path / "metrics.json").read_text())
    UNUSABLE[fault](numbers)
    (record.path / "metrics.json").write_text(json.dumps(numbers))
    sums.seal(record.path)
    with pytest.raises(EcgadvError, match=r"^record .* is damaged \(metrics\.json: .*delete it"):
        verify(Record(record.path), Session(Store(tmp_path)), retrain=False)


def test_verify_refuses_other_data_and_another_protocol(made, tmp_path, monkeypatch):
    record = copy_of(made[tiny.PLAIN.label, 0], tmp_path)
    sums.seal(record.path, data=record.run["data"] | {"fingerprint": "0" * 64})
    with pytest.raises(EcgadvError, match=r"was made on synthetic 000000000000, here is "):
        verify(Record(record.path), Session(Store(tmp_path)), retrain=False)
    moved = shutil.copytree(made[tiny.PLAIN.label, 0].path, tmp_path / "0123456789abcdef")
    with pytest.raises(EcgadvError, match=r"0123456789abcdef comes from another version of the p"):
        verify(Record(moved), Session(Store(tmp_path)), retrain=False)
