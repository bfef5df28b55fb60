"""Networks that build on others: teachers, soft labels, initial weights, transferred examples."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file

from ecgadv import attacks, data
from ecgadv.border.networks import frozen
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import predict
from ecgadv.experiments import run
from ecgadv.experiments.config import Teacher, as_dict, training_key
from ecgadv.experiments.evaluate import evaluate
from ecgadv.experiments.run import run_once, train_missing
from ecgadv.experiments.session import Session, fresh_model, load_model
from ecgadv.experiments.store import WEIGHTS, Store
from ecgadv.experiments.verify import compare, verify

CHAIN = (tiny.UNDEFENDED, tiny.HARDENED, tiny.STUDENT)


pytestmark = pytest.mark.usefixtures("tiny_suite")


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """(session, the student's record, labels in the order of their training)."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        trained, train = [], run._train
        patch.setattr(run, "_train", lambda c, *rest: trained.append(c.label) or train(c, *rest))
        session = Session(Store(tmp_path_factory.mktemp("chain")), released=None)
        train_missing(tiny.STUDENT, [0], session)
        train_missing(tiny.STUDENT, [0], session)
        return session, run_once(tiny.STUDENT, 0, session), trained


def weights_of(store, config, fingerprint, seed=0):
    return store.weights_folder(training_key(config, seed, fingerprint)) / WEIGHTS


def equal_states(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_chain_is_trained_once_in_order(made, beats):
    session, record, trained = made
    assert trained == [config.label for config in CHAIN]
    keys = [training_key(config, 0, beats.fingerprint) for config in CHAIN]
    folders = {path.name for path in (session.store.root / "models").iterdir()}
    assert folders == set(keys)
    assert record.run["builds_on"] == {
        "initial": {"label": tiny.UNDEFENDED.label, "training": keys[0]},
        "teacher": {"label": tiny.HARDENED.label, "training": keys[1]},
        "surrogate": {"label": tiny.UNDEFENDED.label, "training": keys[0]},
    }
    assert record.run["training"]["key"] == keys[2]
    assert record.run["config"] == as_dict(tiny.STUDENT)
    assert list((session.store.root / "checkpoints").iterdir()) == []


def test_the_same_seed_gives_the_same_chain(made, chain, beats, tmp_path):
    session, record, _ = made
    for config in CHAIN:
        first, other = (weights_of(s, config, beats.fingerprint) for s in (session.store, chain))
        assert first.read_bytes() == other.read_bytes()
    (tmp_path / "models").symlink_to(chain.root / "models")
    again = run_once(tiny.STUDENT, 0, Session(Store(tmp_path), released=None))
    assert again.key == record.key
    assert again.weights.read_bytes() == record.weights.read_bytes()
    assert again.metrics == record.metrics
    ours, theirs = again.examples(), record.examples()
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])


class Caught(Exception):  # noqa: N818  it only ends a training at its beginning
    pass


def beginning(config, session, monkeypatch, seeds=(0,)):
    """The network and the samples that `config` begins its training with."""
    found = []

    def train(model, loss, part, *rest, **options):
        found.append(({k: v.clone() for k, v in model.state_dict().items()}, part))
        raise Caught

    monkeypatch.setattr(run, "train", train)
    with pytest.raises(Caught):
        run._train(config, list(seeds), session, session.store.checkpoint("none"))
    return found[0]


def test_training_goes_on_from_the_initial_weights(made, beats, monkeypatch):
    session = made[0]
    state, _ = beginning(tiny.STUDENT, session, monkeypatch)
    assert equal_states(state, load_file(weights_of(session.store, CHAIN[0], beats.fingerprint)))
    anew, _ = beginning(replace(tiny.STUDENT, initial=None), session, monkeypatch)
    assert equal_states(anew, fresh_model(tiny.STUDENT, beats, 0).state_dict())
    assert not equal_states(anew, state)


@pytest.mark.parametrize("train_mode", [False, True])
def test_soft_labels_are_those_of_the_teacher(made, beats, monkeypatch, train_mode):
    session = made[0]
    teacher = Teacher(tiny.HARDENED, 2.0, train_mode)
    _, part = beginning(replace(tiny.STUDENT, teacher=teacher), session, monkeypatch)
    index = data.split(beats, "beatwise").train
    assert torch.equal(part.x, torch.from_numpy(beats.x[index]))
    network = session.trained(tiny.HARDENED, 0).train(train_mode)
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(0)  # the seed of the run: its dropout draws from it
        logits = torch.cat([network(batch) for batch in part.x.split(32)])
    torch.testing.assert_close(part.soft, (logits / 2).softmax(1))
    torch.testing.assert_close(part.soft.sum(1), torch.ones(len(index)))
    assert torch.equal(part.y, torch.from_numpy(beats.y[index]))


def test_teacher_and_initial_weights_are_those_of_the_same_seed(made, beats, monkeypatch):
    """Fresh networks stand for trained ones."""
    session = made[0]
    monkeypatch.setattr(session, "trained", lambda config, seed: fresh_model(config, beats, seed))
    student = replace(tiny.STUDENT, teacher=Teacher(tiny.HARDENED, 2.0, train_mode=False))
    index = data.split(beats, "beatwise").train
    for seed in (0, 1):
        state, part = beginning(student, session, monkeypatch, [seed])
        assert equal_states(state, fresh_model(tiny.UNDEFENDED, beats, seed).state_dict())
        logits = predict(fresh_model(tiny.HARDENED, beats, seed), torch.from_numpy(beats.x[index]))
        torch.testing.assert_close(part.soft, (logits / 2).softmax(1))


def test_a_network_without_a_teacher_learns_from_the_labels(made, monkeypatch):
    _, part = beginning(tiny.HARDENED, made[0], monkeypatch)
    assert part.soft is None


def test_the_temperature_reaches_the_loss(made, beats):
    loss = run.build_loss(tiny.STUDENT, beats.unit, torch.Generator())
    assert loss.keywords["temperature"] == 2.0
    plain = replace(tiny.UNDEFENDED, teacher=Teacher(tiny.HARDENED, 5.0))
    model = made[0].trained(tiny.UNDEFENDED, 0).eval()
    x, q = torch.from_numpy(beats.x[::40]), torch.full((13, 5), 0.2)
    found = run.build_loss(plain, beats.unit, torch.Generator())(model, x, q, None)
    assert found.item() == pytest.approx(-(model(x) / 5).log_softmax(1).mean().item(), rel=1e-5)


def test_seeds_side_by_side_cannot_have_a_teacher_each():
    with pytest.raises(EcgadvError, match=r"^beatwise/han/adt-2/faithful: together is 2, but each"):
        replace(tiny.STUDENT, together=2)


def test_transfer_needs_a_surrogate(made):
    session = made[0]
    alone = replace(tiny.STUDENT, surrogate=None, boundary={})
    model, beats = session.trained(tiny.STUDENT, 0), session.dataset("synthetic")
    with pytest.raises(EcgadvError, match="need a surrogate to be made on"):
        evaluate(alone, 0, model, beats, session)


# Transferred examples


def subset_of(record):
    examples = record.examples()
    return examples, np.flatnonzero(examples["predicted/transfer-pgd/0.1"] != 255)


def test_transferred_examples_are_made_on_the_surrogate(made, beats):
    session, record, _ = made
    examples, index = subset_of(record)
    assert np.bincount(examples["label"][index]).tolist() == [4] * 5
    assert np.array_equal(examples["record"], beats.record[examples["id"]])
    test = data.split(beats, "beatwise").test[index]
    x, y = torch.from_numpy(beats.x[test]), torch.from_numpy(beats.y[test])
    mask = torch.from_numpy(beats.mask(test))
    surrogate = session.trained(tiny.UNDEFENDED, 0)
    with frozen(surrogate):
        x = x.requires_grad_()
        loss = torch.nn.functional.cross_entropy(surrogate(x), y)
        slope = torch.autograd.grad(loss, x)[0]
    moved = (x.detach() + 0.1 * slope.sign() * mask).clamp(0, 1)  # one step of eps
    student = load_model(tiny.STUDENT, beats, record.weights)
    clean, ends = predict(student, x.detach()).argmax(1), predict(student, moved).argmax(1)
    wanted = torch.where(clean == y, ends, clean).numpy()
    found = examples["predicted/transfer-pgd/0.1"][index]
    assert np.array_equal(found, wanted)
    flags = examples["held/transfer-pgd/0.1"]
    assert np.array_equal(flags[index], wanted == y.numpy())
    assert (np.delete(flags, index) == 255).all()
    assert 0 < (clean == y).sum() < len(y)


def test_f1_scores_under_attack_follow_from_the_predictions(made):
    record = made[1]
    examples = record.examples()
    y = examples["label"]
    for name in ("pgd", "transfer-pgd"):
        values = record.metrics["attacks"][name]
        for level, eps in enumerate(values["eps"]):
            ends = examples[f"predicted/{name}/{eps:g}"]
            flags = np.where(ends == 255, 255, ends == y)
            assert np.array_equal(examples[f"held/{name}/{eps:g}"], flags)
            scores = metrics.f1(ends[ends != 255], y[ends != 255], 5)  # 4 of 20 in every class
            for kind, wanted in (("macro_f1", scores.mean()), ("han_f1", scores[:3].mean())):
                found = values[kind][level]
                assert found == (None if np.isnan(wanted) else pytest.approx(wanted))


def test_networks_share_examples_of_one_surrogate_alone(made, beats, monkeypatch):
    session = made[0]
    held = dict(session.crafted)
    assert len(held) == 2  # transfer-pgd and the boundary attack
    monkeypatch.setattr(session, "trained", None)  # no surrogate is needed again
    monkeypatch.setattr(session, "store", Store(session.store.root))
    other = replace(tiny.STUDENT, label="beatwise/han/adt-2/again")
    run_once(other, 0, session)
    assert session.crafted.keys() == held.keys()
    monkeypatch.undo()
    tiny.install(beats, monkeypatch.setattr)
    # Another profile's surrogate has the same label, and its attack the same name.
    longer = replace(tiny.UNDEFENDED, schedule=tiny.HARDENED.schedule)
    stronger = replace(
        tiny.STUDENT.attacks[1], options={**tiny.STUDENT.attacks[1].options, "steps": 2}
    )
    for change in ({"surrogate": longer}, {"attacks": (stronger,)}):
        record = run_once(replace(other, **change), 0, session)
        apart = Session(Store(session.store.root.parent / "apart"), released=None)
        shutil.rmtree(apart.store.root, ignore_errors=True)
        apart.store.root.mkdir()
        shutil.copytree(session.store.root / "models", apart.store.root / "models")
        alone = run_once(replace(other, **change), 0, apart)
        assert alone.metrics == record.metrics
    assert len(session.crafted) == len(held) + 3


def test_the_precision_is_that_of_the_logits_and_of_transferred_examples(made, beats):
    """One session, whose examples for one precision are not those for the other."""
    session = Session(made[0].store, released=None)
    config = replace(tiny.STUDENT, attacks=tiny.STUDENT.attacks[1:], boundary={})
    model, test = session.trained(tiny.STUDENT, 0).eval(), data.split(beats, "beatwise").test
    logits, close = {}, {"rtol": 1e-3, "atol": 1e-3}
    for precision in ("fp32", "bf16"):
        _, examples = evaluate(replace(config, precision=precision), 0, model, beats, session)
        with torch.no_grad(), torch.autocast("cpu", enabled=precision == "bf16"):
            wanted = model(torch.from_numpy(beats.x[test])).float()
        logits[precision] = examples["logits"].astype(np.float32)
        np.testing.assert_allclose(logits[precision], wanted, **close)
    assert not np.allclose(logits["bf16"], logits["fp32"], **close)
    exact, rounded = session.crafted.values()
    assert not torch.equal(exact, rounded)


def test_a_surrogate_that_is_not_trained_is_told(tmp_path):
    session = Session(Store(tmp_path), released=None)
    with pytest.raises(EcgadvError, match=r"^beatwise/han/ce/faithful seed 4 is not trained: run"):
        session.trained(tiny.UNDEFENDED, 4)


# The boundary attack


def test_pairs_of_the_boundary_attack(made, beats):
    session, record, _ = made
    examples, numbers = record.examples(), record.metrics["boundary"]
    arrays = {n.removeprefix("boundary/"): v for n, v in examples.items() if "boundary/" in n}
    assert arrays.keys() == {
        *("original", "start", "distance", "queries", "transfer", "transfer-distance")
    }
    assert {len(values) for values in arrays.values()} == {20} == {numbers["pairs"]}
    y = examples["label"]
    assert sorted(zip(y[arrays["original"]], y[arrays["start"]], strict=True)) == [
        (a, b) for a in range(5) for b in range(5) if a != b
    ]
    student = load_model(tiny.STUDENT, beats, record.weights)
    for model, name in ((student, "distance"), (session.trained(CHAIN[0], 0), "transfer-distance")):
        skipped = np.isnan(arrays[name])
        assert 0 < skipped.sum() < 20
        x, start, mask = both(beats, examples, arrays)
        cut = torch.where(mask, start, x)
        wrong = np.zeros(20, bool)
        for signals, side in ((x, "original"), (start, "start"), (cut, "start")):
            wrong |= predict(model, signals).argmax(1).numpy() != y[arrays[side]]
        assert np.array_equal(skipped, wrong)
    assert np.array_equal(arrays["queries"] == 0, np.isnan(arrays["distance"]))
    assert np.array_equal(arrays["transfer"] == 255, np.isnan(arrays["transfer-distance"]))
    for name, part in (("distance", "attacked"), ("transfer-distance", "transferred")):
        found = arrays[name][~np.isnan(arrays[name])]
        assert numbers[part]["n"] == len(found)
        assert numbers[part]["median_distance"] == pytest.approx(np.median(found))
    seen = arrays["transfer"] != 255
    right = arrays["transfer"][seen] == y[arrays["original"][seen]]
    assert numbers["transferred"]["accuracy"] == pytest.approx(right.mean())


def both(beats, examples, arrays):
    ids = [examples["id"][arrays[side]] for side in ("original", "start")]
    x, start = (torch.from_numpy(beats.x[index]) for index in ids)
    return x, start, torch.from_numpy(beats.mask(ids[0]))


def test_boundary_examples_of_the_surrogate_are_read_by_the_network(made, beats):
    session, record, _ = made
    examples = record.examples()
    arrays = {n.removeprefix("boundary/"): v for n, v in examples.items() if "boundary/" in n}
    rows = np.flatnonzero(arrays["transfer"] != 255)
    x, start, mask = (values[rows] for values in both(beats, examples, arrays))
    y, target = (
        torch.from_numpy(examples["label"][arrays[side][rows]].astype(np.int64))
        for side in ("original", "start")
    )
    options = {name: value for name, value in tiny.STUDENT.boundary.items() if name != "pairs"}
    surrogate = session.trained(tiny.UNDEFENDED, 0)
    found = attacks.boundary(
        surrogate, x, y, start, target=target, mask=mask,
        generator=torch.Generator().manual_seed(0), **options,
    )  # fmt: skip
    student = load_model(tiny.STUDENT, beats, record.weights)
    read = predict(student, found.x_adv).argmax(1).numpy()
    assert np.array_equal(arrays["transfer"][rows], read)
    rms = ((found.x_adv - x).square().sum((1, 2)) / mask.sum((1, 2))).sqrt()
    np.testing.assert_allclose(arrays["transfer-distance"][rows], rms, rtol=1e-4)
    before = ((start - x).square() * mask).sum((1, 2)) / mask.sum((1, 2))
    assert (rms <= before.sqrt() * (1 + 1e-6)).all() and (rms < before.sqrt()).any()


# Weights kept in half precision


def test_half_precision_keeps_vectors_whole(made, beats):
    session = made[0]
    config = replace(tiny.UNDEFENDED, half=True, schedule=tiny.HARDENED.schedule)
    whole = replace(config, half=False)
    for one in (config, whole):
        train_missing(one, [0], session)
    files = [
        load_file(weights_of(session.store, one, beats.fingerprint)) for one in (config, whole)
    ]
    for name, value in files[0].items():
        assert value.dtype == (torch.float16 if value.dim() > 1 else files[1][name].dtype)
        assert torch.equal(value, files[1][name].to(value.dtype))
    loaded = session.trained(config, 0).state_dict()
    for name, value in loaded.items():
        assert value.dtype == files[1][name].dtype
        assert torch.equal(value, files[0][name].to(value.dtype))


# Where weights come from


def release(session, config, folder):
    """Another store with the record of `config`."""
    record = run_once(config, 0, session)
    shutil.copytree(record.path, folder / record.key)
    return Store(folder)


def test_released_weights_spare_the_training(made, beats, tmp_path, monkeypatch):
    released = release(made[0], tiny.UNDEFENDED, tmp_path / "released")
    session = Session(Store(tmp_path / "runs"), released=released)
    (record,) = released.records()
    assert session.weights(tiny.UNDEFENDED, 0) == record.weights
    assert session.weights(tiny.UNDEFENDED, 1) is None
    assert session.weights(tiny.HARDENED, 0) is None
    trained, train = [], run._train
    monkeypatch.setattr(run, "_train", lambda c, *rest: trained.append(c.label) or train(c, *rest))
    train_missing(tiny.HARDENED, [0], session)
    assert trained == [tiny.HARDENED.label]
    # What evaluation adds needs no training of the record's weights, and says where they come from.
    other = replace(tiny.UNDEFENDED, attacks=tiny.ATTACKS[:1])
    again = run_once(other, 0, session)
    assert trained == [tiny.HARDENED.label]
    assert again.weights.read_bytes() == record.weights.read_bytes()
    assert again.run["training"]["history"] == record.run["training"]["history"]


def test_local_weights_come_before_released_ones(made, beats, tmp_path):
    released = release(made[0], tiny.UNDEFENDED, tmp_path / "released")
    store = Store(tmp_path / "runs")
    here = weights_of(store, tiny.UNDEFENDED, beats.fingerprint)
    shutil.copytree(
        weights_of(made[0].store, tiny.UNDEFENDED, beats.fingerprint).parent, here.parent
    )
    here.write_bytes(b"damaged")
    session = Session(store, released=released)
    assert session.weights(tiny.UNDEFENDED, 0) == here
    name = (
        rf"^training {here.parent.name} is damaged \({WEIGHTS}: its SHA-256 .*; delete the folder"
    )
    with pytest.raises(EcgadvError, match=name):
        session.trained(tiny.UNDEFENDED, 0)
    here.unlink()
    record = released.records()[0]
    record.weights.write_bytes(record.weights.read_bytes()[:1000])
    name = rf"^record {record.key} is damaged \({WEIGHTS}: its SHA-256 .*; delete it and run its "
    with pytest.raises(EcgadvError, match=name):
        session.trained(tiny.UNDEFENDED, 0)
    assert Session(store, released=None).weights(tiny.UNDEFENDED, 0) is None


def test_retraining_takes_no_released_weights(made, tmp_path, monkeypatch):
    released = release(made[0], tiny.STUDENT, tmp_path / "released")
    folder = release(made[0], tiny.UNDEFENDED, tmp_path / "others").root
    shutil.copytree(folder, released.root, dirs_exist_ok=True)
    session = Session(Store(tmp_path / "runs"), released=released)
    trained, train = [], run._train
    monkeypatch.setattr(run, "_train", lambda c, *rest: trained.append(c.label) or train(c, *rest))
    record = next(r for r in released.records() if r.config["label"] == tiny.STUDENT.label)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    result = verify(record, session, retrain=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert trained == [config.label for config in CHAIN]
    assert result.largest == 0
    assert not (tmp_path / "runs").exists()


def test_verifying_from_weights_reads_the_surrogate_from_the_release(made, tmp_path, monkeypatch):
    released = release(made[0], tiny.STUDENT, tmp_path / "released")
    others = release(made[0], tiny.UNDEFENDED, tmp_path / "others")
    (record,) = released.records()
    monkeypatch.setattr(run, "_train", None)
    session = Session(Store(tmp_path / "runs"), released=others)
    assert verify(record, session, retrain=False).largest == 0
    alone = Session(Store(tmp_path / "runs"), released=None)
    with pytest.raises(EcgadvError, match=r"^beatwise/han/ce/faithful seed 0 is not trained: run"):
        verify(record, alone, retrain=False)


def test_verifying_sees_another_end_of_a_walk_and_another_class(made):
    _, record, _ = made
    same = compare(record, record.metrics, record.examples())
    assert same.largest == 0
    walked = np.flatnonzero(~np.isnan(record.examples()["boundary/distance"]))
    for name, changed in (
        ("boundary/distance", lambda value: value * 1.05),
        ("boundary/transfer", lambda value: (value + 1) % 5),
        ("predicted/pgd/0.05", lambda value: 0 if value == 255 else 255),
    ):
        examples = record.examples()
        examples[name][walked[0]] = changed(examples[name][walked[0]])
        found = compare(record, record.metrics, examples)
        share = 1 / len(examples[name])
        assert found.flags[name] == share and found.largest == share
