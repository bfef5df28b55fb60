"""The suite of twelve leads: its configs, budgets by lead and by voltage, and other test parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from strangers import refused

from ecgadv import data
from ecgadv.evaluation.robustness import attack_predictions
from ecgadv.evaluation.smoothing import certify
from ecgadv.experiments import exposure, submission, suites
from ecgadv.experiments.config import Attack, as_dict, from_dict, run_key, training_key
from ecgadv.experiments.run import run_once, train_missing
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import Store
from ecgadv.experiments.suites import twelve_leads
from ecgadv.models import build
from ecgadv.results import names, smoothed
from ecgadv.results.result import Result
from ecgadv.threat import Threat

PROFILES = ("paper", "compact", "demo")


@pytest.mark.parametrize("profile", PROFILES)
def test_labels_are_unique_and_configs_come_back_from_json(profile):
    plan = suites.plan("twelve-leads", profile)
    assert len({config.label for config, _ in plan}) == len(plan)
    for config, _ in plan:
        assert from_dict(as_dict(config)) == config
        assert all(
            attack.masked or config.label.endswith("/as-released") for attack in config.attacks
        )


def test_the_paper_profile_is_the_authors_protocol():
    found = {config.label: config for config, _ in suites.plan("twelve-leads", "paper")}
    nsr = found["authors/resnet/nsr-1/faithful"]
    assert (nsr.dataset, nsr.split, nsr.model_options) == ("cpsc2018", "authors", {})
    schedule = nsr.schedule
    assert (schedule.epochs, schedule.warmup, schedule.batch_size) == (70, 10, 64)
    assert (schedule.optimizer, schedule.learning_rate, schedule.shift) == ("adam", 1e-3, 3072)
    assert nsr.defense.options == {"beta": 1.0, "gate": True}
    attack = found["authors/resnet/at-0.05/faithful"].defense.options
    assert (attack["steps"], attack["relative_step"], attack["loss"]) == (20, 0.2, "soft-margin")
    rooted = found["authors/resnet/jacobian-24/faithful"].defense.options
    assert rooted == {"beta": 24.0, "norm": "rooted", "divisor": 9}
    assert found["authors/resnet/ce/faithful"].schedule.warmup == 0
    pgd = next(a for a in nsr.attacks if a.name == "pgd-100")
    assert pgd.eps == (0.001, 0.003, 0.005, 0.007, 0.01, 0.03, 0.05, 0.1)
    assert (pgd.options["steps"], pgd.options["relative_step"]) == (100, 0.1)


def test_other_attacks_and_other_recordings_share_the_weights():
    plan = [config for config, _ in suites.plan("twelve-leads", "compact")]
    own = [c for c in plan if c.label.split("/")[2] == "nsr-1"]
    assert len({training_key(c, 0, "data") for c in own}) == 1
    assert len({run_key(c, 0, "data") for c in own}) == len(own) > 4


def test_an_axis_says_what_eps_is_a_share_of():
    assert names.axis("lead maximum") == "eps (share of the lead's maximum)"
    assert names.axis("normalised") == names.axis("") == "eps (share of the beat's range)"
    assert names.axis("uV") == "eps (µV)"


def test_budgets_by_lead_and_by_voltage():
    assert exposure.of_leads(0.1, (), 8) == 0.1
    assert exposure.of_leads(0.1, (2,), 3).flatten().tolist() == pytest.approx([0, 0, 0.1])
    unit = np.array([[0.5, 2.0]], np.float32)  # millivolts
    found = exposure.in_microvolts(10.0, unit)
    assert found.shape == (1, 2, 1) and found.flatten().tolist() == pytest.approx([0.02, 0.005])
    budget = exposure.threat("lead maximum", 0.1)
    assert (budget.low, budget.high) == (-1.0, 1.0)


def test_an_attack_may_reach_the_padding_of_which_the_network_is_told():
    torch.manual_seed(0)
    network = build("resnet18a", classes=2, leads=1, width=2, blocks=1, stride=1, pool=False)
    x, y = torch.randn(4, 1, 20), np.zeros(4, np.int64)
    mask = (torch.arange(20) >= 8).expand(4, 1, 20)
    x = x * mask
    seen = []

    def attack(model, x, y, threat, *, mask, generator):
        seen.append((mask, model(x) if mask is None else None))
        return x + 0.1

    with torch.no_grad():
        y = network(x, mask).argmax(-1).numpy()
        expected = network(x, mask)
    attack_predictions(network, x, y, attack, Threat(0.1), mask=mask, keep_padding=False)
    assert seen[0][0] is None and torch.allclose(seen[0][1], expected, atol=1e-6)
    with pytest.raises(ValueError, match="changed outside the mask"):
        attack_predictions(network, x, y, attack, Threat(0.1), mask=mask)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A session and a config of a minute network on some of the synthetic recordings."""
    whole = data.load("synthetic-12")
    some = np.flatnonzero(np.isin(whole.facts["fold"], (1, 9, 10)) & (whole.y < 3))[::2]
    fields = ("x", "y", "length", "record", "onset", "unit_mv", "start")
    taken = {name: getattr(whole, name)[some] for name in fields}
    facts = {name: values[some] for name, values in whole.facts.items()}
    small = replace(whole, **taken, facts=facts, classes=whole.classes[:3])
    session = Session(Store(tmp_path_factory.mktemp("runs")), released=None)
    session._data["synthetic-12"] = small
    session._data["elsewhere"] = replace(small, name="elsewhere", x=-small.x)
    base, _ = suites.plan("twelve-leads", "demo")[0]
    schedule = replace(base.schedule, epochs=2, batch_size=8)
    options = {"width": 2, "blocks": 3, "pool": False, "stride": 2}
    return session, replace(base, schedule=schedule, model_options=options, attacks=())


def test_each_defense_trains_and_its_record_says_where_it_was_tested(tiny):
    session, base = tiny
    step = {"steps": 2, "relative_step": 0.5}
    some = {"masked": True, "nested": True}
    attacks = (
        Attack("lead-V1", "pgd", (0.1, 0.5), step, leads=(2,), **some),
        Attack("all-leads", "pgd", (0.1, 0.5), step, **some),
    )
    networks = [twelve_leads.config_of(base, "cross-entropy")]
    networks += [
        twelve_leads.config_of(base, name, strengths[0], warmup=1, steps=2, projections=1)
        for name, strengths in twelve_leads.STRENGTHS.items()
    ]
    for config in networks:
        train_missing(config, [0], session)
        record = run_once(replace(config, attacks=attacks), 0, session)
        found = record.metrics["attacks"]
        assert found["all-leads"]["n"] == len(record.examples()["label"])
        # The first level is found apart from a one-lead ball that it holds.
        assert 0 <= found["lead-V1"]["accuracy"][1] <= record.metrics["clean"]["accuracy"]
    volts = Attack("apgd", "apgd", (1e-4, 1e4), {"steps": 2}, unit="uV", **some)
    record = run_once(replace(config, label="a/b/ce/microvolts", attacks=(volts,)), 0, session)
    low, high = record.metrics["attacks"]["apgd"]["accuracy"]
    assert low == record.metrics["clean"]["accuracy"] and high <= low
    there = replace(config, label="c/b/ce/faithful", tested_on="elsewhere")
    record = run_once(there, 0, session)
    assert record.run["data"]["tested_on"]["name"] == "elsewhere"
    assert len(record.examples()["id"]) == len(session.dataset("elsewhere"))
    there = replace(config, label="d/b/ce/faithful", tested_on="validation")
    record = run_once(there, 0, session)
    assert record.metrics["clean"] == record.metrics["validation"]
    assert "tested_on" not in record.run["data"]


def test_the_certificate_of_a_network_that_is_told_of_the_padding_is_over_the_recording(tiny):
    session, base = tiny
    options = {"eps": [0.1], "sigma": 0.3, "samples": 50, "per_class": 2}
    whole = session.dataset("synthetic-12")
    x, length = whole.x.copy(), np.full(len(whole), whole.x.shape[-1] // 2)
    x[..., length[0] :] = 0
    dataset = session._data["halves"] = replace(whole, name="halves", x=x, length=length)
    config = twelve_leads.config_of(base, "cross-entropy")
    config = replace(config, certificate=options, tested_on="halves")
    train_missing(config, [0], session)
    record = run_once(config, 0, session)
    examples = record.examples()
    rows = np.flatnonzero(~np.isnan(examples["certified/rms"]))
    index = examples["id"][rows]
    mask = dataset.mask(index)
    assert not mask.all()
    network = load_model(config, dataset, record.weights)
    about = {"sigma": 0.3, "samples": 50, "seed": int(rows[0])}
    again = certify(network, torch.from_numpy(dataset.x[index]), mask=mask, **about)
    expected = again.rms() * again.held(dataset.y[index])
    assert (expected > 0).any()
    np.testing.assert_allclose(examples["certified/rms"][rows], expected, rtol=1e-6)
    uv = expected * 1000 * dataset.unit_mv[index].min(axis=1)
    np.testing.assert_allclose(examples["certified/rms-uv"][rows], uv, rtol=1e-5)
    assert smoothed.masked(Result((record,)))


def test_a_submission_keeps_to_the_budget_of_the_records_own_attacks(tiny, monkeypatch):
    """In microvolts, on some leads, or on the recordings that were tested."""
    session, base = tiny
    monkeypatch.setattr(submission, "session_on", lambda device: session)
    config = twelve_leads.config_of(base, "cross-entropy")
    train_missing(config, [0], session)
    lead = Attack("lead-V1", "pgd", (0.1,), {"steps": 1, "step_size": 0.1}, leads=(2,))

    def made(label, *attacks, on=""):
        changed = replace(config, label=f"{label}/b/ce/faithful", attacks=attacks, tested_on=on)
        record = run_once(changed, 0, session)
        index, beats = (
            record.examples()["id"],
            session.dataset("elsewhere" if on == "elsewhere" else config.dataset),
        )
        unit = beats.unit_mv[index][..., None]
        eps = attacks[0].eps[0]
        given = submission.Submission(record.key, eps, "A. Author", "x", index, beats.x[index])
        return record, given, unit

    def moved(given, by):
        return replace(given, x=np.clip(given.x + by, -1, 1).astype(np.float32))

    record, given, unit = made("x", replace(lead, eps=(10.0,), leads=(), unit="uV"))
    assert submission.check(moved(given, 0.0099 / unit), record).n == len(given.id)
    refused("over the budget", submission.check, moved(given, 0.011 / unit), record)

    record, given, _ = made("y", lead)
    only = np.zeros((1, given.x.shape[1], 1))
    only[:, 2] = 0.09
    assert submission.check(moved(given, only), record).n == len(given.id)
    refused("over the budget", submission.check, moved(given, only[:, ::-1]), record)
    record, given, _ = made("y", lead, replace(lead, name="lead-V2", leads=(3,)))
    refused("change other leads each at eps 0.1", submission.check, given, record)
    record, given, _ = made("y", lead, replace(lead, name="all", leads=()))
    assert submission.check(moved(given, 0.09), record).n == len(given.id)

    for on in ("elsewhere", "validation", ""):
        record, given, _ = made("z", Attack("noise", "uniform-noise", (0.1,)), on=on)
        found = record.examples()
        wrong = int((found["prediction"] != found["label"]).sum())
        assert submission.check(given, record).broken == wrong


@pytest.mark.parametrize("profile", PROFILES)
def test_all_attacks_of_a_network_share_their_levels(profile):
    # The worst case is taken at the levels that most attacks share.
    for config, _ in suites.plan("twelve-leads", profile):
        if config.label.endswith(("/faithful", "/corrected")):
            shared = set.intersection(*(set(attack.eps) for attack in config.attacks))
            assert shared == set(config.attacks[-1].eps)


def test_eps_is_told_in_the_attacks_own_unit(tmp_path, monkeypatch):
    import recorded

    volts = [replace(attack, unit="uV") for attack in recorded.ATTACKS]
    for label, attacks in (("microvolts", volts), ("faithful", recorded.ATTACKS)):
        recorded.install("twelve-leads", monkeypatch.setattr, attacks=tuple(attacks))
        config = recorded.planned("twelve-leads", "compact", f"folds/resnet/ce/{label}")
        recorded.write_record(tmp_path, config)
        (result,) = recorded.load([Store(tmp_path)], "twelve-leads", "compact").all
        assert result.unit == ("uV" if label == "microvolts" else "")
        monkeypatch.undo()
        for folder in tmp_path.iterdir():
            folder.rename(tmp_path.parent / f"{label}-{folder.name}")
