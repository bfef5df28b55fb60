"""What is proved of a network goes into its record, once."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from ecgadv.evaluation.bounds import proved_margins
from ecgadv.experiments import proofs, provenance
from ecgadv.experiments.config import as_dict, from_dict
from ecgadv.experiments.exposure import subset
from ecgadv.experiments.proofs import PROOF_SLACK
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import Store
from ecgadv.experiments.verify import verify
from ecgadv.threat import Threat

LEVELS = (0.001, 0.01, 0.1)
CONFIG = replace(tiny.PLAIN, attacks=tiny.ATTACKS[1:2], proof=LEVELS, proof_per_class=6)


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """(a store with one record, the record), from a clean working tree."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        patch.setattr(provenance, "commit", lambda: ("abc", False))
        store = Store(tmp_path_factory.mktemp("proof"))
        return store, run_once(CONFIG, 0, Session(store, released=None))


def test_flags_are_those_of_the_bound_on_the_chosen_beats(made, beats):
    record, examples = made[1], made[1].examples()
    model = load_model(CONFIG, beats, record.weights)
    x, y = torch.from_numpy(beats.x[examples["id"]]), torch.from_numpy(beats.y[examples["id"]])
    chosen = subset(y.numpy(), 6)
    for eps in LEVELS:
        flags = examples[f"proved/{eps:g}"]
        assert flags.dtype == np.uint8
        assert ((flags == 255) == ~chosen).all()
        wanted = (proved_margins(model, x, y, Threat(eps, low=0.0, high=1.0)) > PROOF_SLACK).numpy()
        np.testing.assert_array_equal(flags[chosen] == 1, wanted[chosen])
    counts = [(examples[f"proved/{eps:g}"] == 1).sum() for eps in LEVELS]
    assert counts[0] > counts[-1]
    assert not (examples["proved/0.001"] == 1)[examples["prediction"] != y.numpy()].any()
    numbers = record.metrics["proved"]
    assert numbers["eps"] == list(LEVELS) and numbers["n"] == 30
    assert numbers["accuracy"] == pytest.approx([count / 30 for count in counts])


def test_a_later_record_of_the_same_weights_takes_the_proof_over(made, monkeypatch, beats):
    tiny.install(beats, monkeypatch.setattr)
    monkeypatch.setattr(provenance, "commit", lambda: ("abc", False))

    def fail(*args, **options):
        raise AssertionError("proved again")

    monkeypatch.setattr(proofs, "proved_margins", fail)
    other = replace(CONFIG, attacks=tiny.ATTACKS[:2])
    record = run_once(other, 0, Session(made[0], released=None))
    assert record.run["taken_over"]["attacks"] == ["pgd-100", "proof"]
    with pytest.raises(AssertionError, match="proved again"):
        run_once(replace(other, proof_per_class=5), 0, Session(made[0], released=None))


def test_verify_compares_what_is_proved(made, beats, monkeypatch):
    tiny.install(beats, monkeypatch.setattr)
    session = Session(Store("unused"), released=None)
    assert verify(made[1], session, retrain=False).largest == 0
    monkeypatch.setattr(proofs, "PROOF_SLACK", 1e9)
    changed = verify(made[1], session, retrain=False)
    assert changed.flags["proved/0.001"] > 0
    assert changed.numbers["proved 0.001, accuracy"][1] == 0


def test_a_config_with_a_proof_comes_back_from_its_record():
    assert from_dict(as_dict(CONFIG)) == CONFIG
