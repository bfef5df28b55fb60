"""What is certified of a smoothed network goes into its record, and from there into tables."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.smoothing import certify
from ecgadv.experiments import certificates, provenance, whole
from ecgadv.experiments.config import as_dict, from_dict
from ecgadv.experiments.exposure import subset
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import Store
from ecgadv.experiments.verify import verify
from ecgadv.results import smoothed
from ecgadv.results.result import Result

OPTIONS = {"eps": [0.005, 0.02], "sigma": 0.2, "samples": 200, "per_class": 4}
CONFIG = replace(tiny.PLAIN, attacks=tiny.ATTACKS[1:2], certificate=OPTIONS)


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """(a store with one record, the record), from a clean working tree."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        patch.setattr(provenance, "commit", lambda: ("abc", False))
        patch.setattr(certificates, "LOT", 7)
        store = Store(tmp_path_factory.mktemp("certificate"))
        return store, run_once(CONFIG, 0, Session(store, released=None))


@pytest.fixture
def world(beats, monkeypatch):
    """The settings in which the record was made."""
    tiny.install(beats, monkeypatch.setattr)
    monkeypatch.setattr(provenance, "commit", lambda: ("abc", False))
    monkeypatch.setattr(certificates, "LOT", 7)
    return monkeypatch


def test_radii_are_those_of_certify_on_the_chosen_beats(made, beats):
    record, examples = made[1], made[1].examples()
    y = examples["label"]
    index = np.flatnonzero(subset(y, 4))
    radius, uv = (examples[name] for name in certificates.RADII)
    assert (np.isnan(radius) == ~subset(y, 4)).all()
    model = load_model(CONFIG, beats, record.weights)
    rows = examples["id"][index[:7]]
    again = certify(model, torch.from_numpy(beats.x[rows]), sigma=0.2, samples=200, seed=index[0])
    expected = np.where(again.read == beats.y[rows], again.radius, 0) / np.sqrt(beats.x.shape[-1])
    np.testing.assert_allclose(radius[index[:7]], expected, rtol=1e-6)
    assert (expected > 0).any()
    np.testing.assert_allclose(uv[index[:7]], expected * 1000 * beats.unit_mv[rows], rtol=1e-5)


def test_numbers_and_tables_count_the_radii_beyond_each_level(made):
    record, radius = made[1], made[1].examples()["certified/rms"]
    seen = radius[~np.isnan(radius)]
    numbers = record.metrics["certified"]
    assert numbers["n"] == len(seen) and numbers["eps"] == OPTIONS["eps"]
    assert numbers["accuracy"] == pytest.approx([(seen > eps).mean() for eps in OPTIONS["eps"]])
    result = Result((record,))
    found = [smoothed.accuracy(result, eps).value for eps in smoothed.levels(result)]
    assert found[1:] == pytest.approx(numbers["balanced_accuracy"])
    assert found[0] == pytest.approx((seen > 0).mean())
    median = np.nanmedian(record.examples()["certified/rms-uv"])
    assert smoothed.median_radius(result).estimate == pytest.approx(median)


def test_a_later_record_of_the_same_weights_takes_the_certificate_over(made, world):
    def fail(*args, **options):
        raise AssertionError("certified again")

    world.setattr(certificates, "certify", fail)
    other = replace(CONFIG, attacks=tiny.ATTACKS[:2])
    record = run_once(other, 0, Session(made[0], released=None))
    assert record.run["taken_over"]["attacks"] == ["pgd-100", "certificate"]
    with pytest.raises(AssertionError, match="certified again"):
        more = replace(other, certificate={**OPTIONS, "samples": 300})
        run_once(more, 0, Session(made[0], released=None))


def test_verify_compares_what_is_certified(made, world):
    session = Session(Store("unused"), released=None)
    assert verify(made[1], session, retrain=False).largest == 0
    world.setattr(certificates, "LOT", 5)  # other noise, as each lot draws from its own seed
    changed = verify(made[1], session, retrain=False)
    assert changed.flags["certified/rms"] > 0


def test_a_record_whose_radii_do_not_give_its_numbers_is_told(made, monkeypatch):
    arrays = made[1].examples()
    whole.check(made[1], weights=False)
    for changed, text in (
        ({"certified/rms": arrays["certified/rms"] * 0}, "certified 0.005, accuracy is"),
        ({"certified/rms-uv": arrays["label"]}, "certified/rms-uv has shape"),
    ):
        monkeypatch.setattr(type(made[1]), "examples", lambda self, c=changed: {**arrays, **c})
        with pytest.raises(EcgadvError, match=text):
            whole.check(made[1], weights=False)


def test_a_config_with_a_certificate_comes_back_from_its_record():
    assert from_dict(as_dict(CONFIG)) == CONFIG
