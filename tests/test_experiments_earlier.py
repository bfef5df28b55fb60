"""An attack that an older record has of the same weights is taken over, and nothing else is."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sums
import tiny

from ecgadv.errors import EcgadvError
from ecgadv.experiments import earlier, evaluate, pairs, provenance
from ecgadv.experiments.config import Attack
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session
from ecgadv.experiments.store import WEIGHTS, Record, Store

pytestmark = pytest.mark.usefixtures("tiny_suite")

PGD, TRANSFERRED = tiny.STUDENT.attacks
OTHER = replace(TRANSFERRED, options={**TRANSFERRED.options, "steps": 2})
CHANGED = replace(tiny.STUDENT, attacks=(PGD, OTHER))
MORE = replace(tiny.STUDENT, attacks=(PGD, TRANSFERRED, Attack("noise", "uniform-noise", (0.1,))))


@pytest.fixture(scope="module")
def old(chain, beats, tmp_path_factory):
    """The student's record, from a clean working tree."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        patch.setattr(provenance, "commit", lambda: ("abc", False))
        store = Store(tmp_path_factory.mktemp("old"))
        (store.root / "models").symlink_to(chain.root / "models")
        return run_once(tiny.STUDENT, 0, Session(store, released=None))


@pytest.fixture
def session(old, chain, tmp_path, monkeypatch):
    """A session of its own that has the old record, from a clean working tree."""
    monkeypatch.setattr(provenance, "commit", lambda: ("abc", False))
    (tmp_path / "models").symlink_to(chain.root / "models")
    shutil.copytree(old.path, tmp_path / old.key)
    return Session(Store(tmp_path), released=None)


@pytest.fixture
def attacked(monkeypatch):
    """The attacks that are run, and "boundary" for each walk."""
    names, attack, walk = [], evaluate._Evaluation._attack, pairs._walk

    def noted(self, what, *args):
        names.append(what.name)
        return attack(self, what, *args)

    monkeypatch.setattr(evaluate._Evaluation, "_attack", noted)
    monkeypatch.setattr(pairs, "_walk", lambda *a: names.append("boundary") or walk(*a))
    return names


def test_what_is_unchanged_is_taken_over(session, old, attacked):
    assert "taken_over" not in old.run
    new = run_once(CHANGED, 0, session)
    assert attacked == ["transfer-pgd"]
    assert new.run["taken_over"] == {
        "record": old.key,
        "commit": "abc",
        "attacks": ["pgd", "boundary"],
    }
    alone = Session(Store(session.store.root / "alone"), released=None)
    (alone.store.root).mkdir()
    (alone.store.root / "models").symlink_to(session.store.root / "models")
    fresh = run_once(CHANGED, 0, alone)
    assert fresh.metrics == new.metrics
    stored, again = fresh.examples(), new.examples()
    assert stored.keys() == again.keys()
    for name, array in stored.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


@pytest.mark.parametrize("name", ["adt-1", "adt-3"])
def test_the_record_that_shares_most_is_taken_whatever_its_label(session, old, name):
    """Records come in the order of their labels: before the other one, and after it."""
    poorer = replace(tiny.STUDENT, label=f"beatwise/han/{name}/faithful", attacks=(PGD,))
    run_once(poorer, 0, session)
    assert len(session.store.records()) == 2
    found = earlier.find(MORE, 0, session.weights(tiny.STUDENT, 0), session)
    assert found.record.key == old.key


def forget(record, *names):
    """Let run.json say no more than it did before these facts of what was taken over were kept."""
    kept = {k: v for k, v in record.run["taken_over"].items() if k not in names}
    sums.seal(record.path, taken_over=kept)
    return type(record)(record.path)


def test_the_seconds_of_a_whole_evaluation_are_taken_over_with_it(session, old):
    new = run_once(MORE, 0, session)
    assert new.run["taken_over"]["attacks"] == ["pgd", "transfer-pgd", "boundary"]
    assert new.run["taken_over"]["seconds"] == old.run["seconds"] == old.attack_seconds
    assert new.attack_seconds == new.run["seconds"] + old.run["seconds"]
    assert new.seconds == new.attack_seconds + new.run["training"]["seconds"]
    assert not new.untimed
    # What was itself taken over comes along.
    most = replace(MORE, attacks=(*MORE.attacks, Attack("fgsm", "fgsm", (0.1,))))
    newer = run_once(most, 0, session)
    assert newer.run["taken_over"]["record"] == new.key
    assert newer.run["taken_over"]["seconds"] == pytest.approx(new.attack_seconds, abs=0.05)


def test_seconds_that_are_not_known_are_not_taken_over(session, old):
    part = run_once(CHANGED, 0, session)  # of two attacks and the walks, which took how much?
    assert "seconds" not in part.run["taken_over"]
    assert part.untimed
    assert part.attack_seconds == part.run["seconds"]
    legacy = forget(run_once(MORE, 0, session), "seconds")
    most = replace(MORE, attacks=(*MORE.attacks, Attack("fgsm", "fgsm", (0.1,))))
    newer = run_once(most, 0, session)
    assert newer.run["taken_over"]["record"] == legacy.key
    assert newer.untimed


def test_an_attack_of_which_only_flags_are_kept_is_taken_over_too():
    flags = np.array([1, 0, 255], np.uint8)
    whole, bare = PGD, replace(PGD, predictions=False)
    record = SimpleNamespace(examples=lambda: {f"held/{PGD.name}/{PGD.eps[0]:g}": flags})
    before = earlier.Earlier(record, replace(tiny.STUDENT, attacks=(bare,)))
    found = before.found(bare, PGD.eps[0])
    assert found.keys() == {"held"} and np.array_equal(found["held"], flags)
    assert before.found(whole, PGD.eps[0]) is None
    assert before.used == [PGD.name]


@pytest.mark.parametrize(
    "changes", [{"precision": "tf32"}, {"surrogate": tiny.HARDENED}, {"split": "interpatient"}]
)
def test_nothing_is_taken_from_a_record_made_in_another_way(session, changes):
    weights = session.weights(tiny.STUDENT, 0)
    assert earlier.find(CHANGED, 0, weights, session)
    assert earlier.find(replace(CHANGED, **changes), 0, weights, session) is None
    assert earlier.find(CHANGED, 1, weights, session) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("dirty", True), ("device", "another"), ("versions", {"torch": "1.0"})],
)
def test_nothing_is_taken_from_another_machine_or_unknown_code(session, field, value, monkeypatch):
    (record,) = session.store.records()
    monkeypatch.setitem(record.run, field, value)
    monkeypatch.setattr(session.store, "records", lambda *args: [record])
    weights = session.weights(tiny.STUDENT, 0)
    assert earlier.find(CHANGED, 0, weights, session) is None


def test_nothing_is_taken_from_other_weights(session, tmp_path):
    (record,) = session.store.records()
    other = tmp_path / "other" / WEIGHTS
    other.parent.mkdir()
    other.write_bytes(record.weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert earlier.find(CHANGED, 0, other, session) is None


def test_a_damaged_record_is_told_before_anything_is_taken(session, tmp_path, monkeypatch):
    (record,) = session.store.records()
    folder = shutil.copytree(record.path, tmp_path / "copy" / record.key)
    (folder / "metrics.json").write_text("{}")
    sums.seal(folder)
    monkeypatch.setattr(session.store, "records", lambda *args: [Record(folder)])
    weights = session.weights(tiny.STUDENT, 0)
    with pytest.raises(EcgadvError, match=r"is damaged \(metrics\.json: 'clean'\); delete it"):
        earlier.find(CHANGED, 0, weights, session)


def test_a_network_that_reads_otherwise_now_is_attacked_anew(session, attacked, monkeypatch):
    whole = earlier.Earlier.examples.func

    def changed(self):
        examples = whole(self)
        return {**examples, "prediction": (examples["prediction"] + 1) % 5}

    monkeypatch.setattr(earlier.Earlier, "examples", property(changed))
    record = run_once(CHANGED, 0, session)
    assert attacked == ["pgd", "pgd", "transfer-pgd", "boundary", "boundary"]
    assert "taken_over" not in record.run
