"""Seeds put together: worst cases, accuracies with intervals, differences."""

import json
from dataclasses import replace

import numpy as np
import pytest
import recorded
from recorded import ATTACKS, LABELS, LEVELS, held, planned, results, write, write_record

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.intervals import t_quantile
from ecgadv.experiments.config import Defense
from ecgadv.experiments.store import Record, Store
from ecgadv.figures import signs as shown
from ecgadv.results import rows
from ecgadv.results.names import plain
from ecgadv.results.paired import difference
from ecgadv.results.records import best, load
from ecgadv.results.result import IN_RANGE, WORST, Result
from ecgadv.results.runs import runs
from ecgadv.results.signs import AttackFailedError, refuse, signs
from ecgadv.results.todo import planned as planned_and_run

pytestmark = pytest.mark.usefixtures("few_attacks")

CE, NSR = "beatwise/mlp/ce/faithful", "beatwise/mlp/nsr-0.4/faithful"
PATIENTS = np.array(["100", "213", "232"] * 4)  # each has beats of every class


def test_labels_give_the_parts_of_a_config(tmp_path):
    write(tmp_path, "interpatient/mlp/at-0.1/faithful")
    (found,) = results(tmp_path).all
    assert (found.split, found.network, found.variant) == ("interpatient", "mlp", "faithful")
    assert found.name == "adversarial training, eps 0.1"
    assert plain("ce") == "undefended"


def test_a_strength_is_in_the_unit_of_the_signal_whatever_the_attacks_are_in(tmp_path):
    config = planned("twelve-leads", "compact", "folds/resnet/at-0.01/microvolts")
    volts = {f"held/apgd/{eps:g}": held(1) for eps in config.attacks[0].eps}
    folder = write_record(tmp_path, config, flags=volts)
    run = json.loads((folder / "run.json").read_text())
    run["data"]["unit"] = "lead maximum"
    (folder / "run.json").write_text(json.dumps(run))
    result = Result((Record(folder),))
    assert (result.unit, result.name) == ("uV", "adversarial training, eps 0.01")
    assert rows.of_network(result)["name"] == result.name


def test_accuracy_is_balanced_and_has_both_intervals(tmp_path):
    for seed, share in enumerate((1.0, 1 / 3)):
        write(tmp_path, CE, seed=seed, shares=(1, 1, share))
    (found,) = results(tmp_path).all
    estimate = found.accuracy("sap", 0.1)
    assert estimate.value == pytest.approx(2 / 3)
    half = t_quantile(0.975, 1) * np.std([1, 1 / 3], ddof=1) / np.sqrt(2)
    assert estimate.seeds.high - estimate.value == pytest.approx(half)
    assert estimate.low == estimate.seeds.low < estimate.both.low
    assert found.accuracy("sap", 0).value == 1


def test_natural_and_balanced_accuracy_differ_by_the_class_sizes(tmp_path):
    broken = np.where(LABELS == 0, 0, 1).astype(np.uint8)
    write(tmp_path, CE, flags={"held/sap/0.1": broken})
    (found,) = results(tmp_path).all
    assert found.accuracy("sap", 0.1).value == pytest.approx(2 / 3)
    assert found.accuracy("sap", 0.1, balanced=False).value == pytest.approx(1 / 2)


def test_auc_is_the_trapezoid_of_paper_b(tmp_path):
    write(tmp_path, CE, shares=(2 / 3, 1 / 3, 0))
    (found,) = results(tmp_path).all
    by_hand = ((1 + 2 / 3) * 0.01 + (2 / 3 + 1 / 3) * 0.04 + (1 / 3 + 0) * 0.05) / 2 / 0.1
    assert found.area("pgd-100").value == pytest.approx(by_hand)
    assert found.acc_robust("pgd-100").value == pytest.approx(by_hand**0.5)


def test_the_worst_case_is_over_attacks_and_smaller_levels_on_common_examples(tmp_path):
    sap = held(1)
    sap[[0, 6]] = 0, 255
    noise = held(1)
    noise[1] = 0
    every = {f"held/sap/{e:g}": np.where(sap == 255, 255, 1).astype(np.uint8) for e in LEVELS}
    write(tmp_path, CE, flags=every | {"held/sap/0.05": sap, "held/noise/0.1": noise})
    (found,) = results(tmp_path).all
    assert found.attacked("sap") == found.attacked(WORST) == len(LABELS) - 1
    assert found.held(WORST, 0.01)[0].tolist() == [1] * 6 + [255] + [1] * 5
    assert found.held(WORST, 0.05)[0].tolist() == [0, *[1] * 5, 255, *[1] * 5]
    assert found.held(WORST, 0.1)[0].tolist() == [0, 0, *[1] * 4, 255, *[1] * 5]


def test_the_worst_case_within_the_range_leaves_sap_out(tmp_path):
    write(tmp_path, CE, flags={"held/sap/0.1": held(0), "held/noise/0.1": held(2 / 3)})
    (found,) = results(tmp_path).all
    assert found.accuracy(WORST, 0.1).value == 0
    assert found.accuracy(IN_RANGE, 0.1).value == pytest.approx(2 / 3)


def test_clean_errors_are_lost_in_the_worst_case(tmp_path):
    write(tmp_path, CE, clean=1 / 3)
    (found,) = results(tmp_path).all
    assert found.accuracy(WORST, 0.01).value == pytest.approx(1 / 3)


def test_differences_pair_seeds_and_examples(tmp_path):
    for seed, (a, b) in enumerate([(1, 1 / 3), (2 / 3, 0)]):
        write(tmp_path, NSR, seed=seed, shares=(1, 1, a))
        write(tmp_path, CE, seed=seed, shares=(1, 1, b))
    found = results(tmp_path)
    nsr, undefended = found.one(defense="nsr-0.4"), found.one(defense="ce")
    gap = difference(nsr, undefended, "sap", eps=0.1)
    assert gap.value == pytest.approx(2 / 3)
    assert gap.seeds.low == pytest.approx(gap.seeds.high) == pytest.approx(2 / 3)
    assert difference(nsr, undefended, "sap").value == pytest.approx(2 / 3 * 0.05 / 2 / 0.1)


def test_differences_pair_the_seeds_that_both_have_wherever_they_stand(tmp_path):
    for seed, share in enumerate((0, 1, 2 / 3)):
        write(tmp_path, NSR, seed=seed, shares=(1, 1, share))
    for seed, share in {1: 2 / 3, 2: 1 / 3}.items():
        write(tmp_path, CE, seed=seed, shares=(1, 1, share))
    found = results(tmp_path)
    nsr, undefended = found.one(defense="nsr-0.4"), found.one(defense="ce")
    for a, b, wanted in ((nsr, undefended, 1 / 3), (undefended, nsr, -1 / 3)):
        gap = difference(a, b, "sap", eps=0.1).seeds
        assert (gap.n_seeds, gap.low, gap.high) == (2, pytest.approx(wanted), pytest.approx(wanted))


def test_other_examples_are_not_compared(tmp_path):
    write(tmp_path, NSR)
    write(tmp_path, CE, flags={"id": np.arange(len(LABELS)) + 1})
    found = results(tmp_path)
    with pytest.raises(EcgadvError, match="different test examples"):
        difference(*found.all, "sap")
    write(tmp_path / "seeds", CE)
    write(tmp_path / "seeds", CE, seed=1, flags={"id": np.arange(len(LABELS)) + 1})
    with pytest.raises(EcgadvError, match="different test examples"):
        results(tmp_path / "seeds")


def test_no_common_seed_is_told(tmp_path):
    write(tmp_path, NSR, seed=1)
    write(tmp_path, CE, seed=0)
    with pytest.raises(EcgadvError, match="share no seed"):
        difference(*results(tmp_path).all, "sap")


def test_between_patients_the_bootstrap_draws_patients(tmp_path):
    """Two of three patients hold all their beats: one may be drawn three times, or not at all."""
    fails = {"held/sap/0.1": (PATIENTS != "232").astype(np.uint8), "record": PATIENTS}
    write(tmp_path, "beatwise/mlp/ce/faithful", flags=fails)
    write(tmp_path, "interpatient/mlp/at-0.1/faithful", flags=fails)
    write(tmp_path, "interpatient/mlp/nsr-0.4/faithful")  # older: it does not say whose they are
    for seed, told in enumerate((fails, {"held/sap/0.1": fails["held/sap/0.1"]})):
        write(tmp_path, "interpatient/mlp/ce/faithful", seed=seed, flags=told)
    found = results(tmp_path)
    assert found.one(split="beatwise").patients is None
    between = {r.defense: r for r in found.pick(split="interpatient")}
    assert between["ce"].patients.tolist() == PATIENTS.tolist()  # as seed 0 says
    ends = between["ce"].accuracy("sap", 0.1).both
    assert (ends.low, ends.high) == (0, 1)
    for pair, expected in (
        (("ce", "at-0.1"), (0, 0)),  # the same patients are drawn for both
        (("ce", "nsr-0.4"), (-1, 0)),
        (("nsr-0.4", "ce"), (0, 1)),
    ):
        gap = difference(*(between[defense] for defense in pair), "sap", eps=0.1).both
        assert (gap.low, gap.high) == expected


def test_the_first_profile_with_the_network_is_taken(tmp_path):
    write(tmp_path, "beatwise/cnn/ce/faithful", profile="compact")
    write(tmp_path, CE)
    stores = [Store(tmp_path), Store(tmp_path / "released")]
    assert best(stores, "paper-b", "mlp").profile == "paper"
    assert best(stores, "paper-b", "cnn").profile == "compact"
    nothing = best([Store(tmp_path / "released")], "paper-b", "mlp")
    assert (nothing.profile, nothing.all) == ("paper", ())


OUTDATED = {
    "attacks": {"attacks": ATTACKS[:-1]},
    "training": {"defense": Defense("nsr", options={"beta": 0.5})},
    "label": {"label": "beatwise/mlp/nsr-7/faithful"},
}


@pytest.mark.parametrize("changes", OUTDATED.values(), ids=OUTDATED)
def test_a_record_of_an_older_plan_is_not_shown(tmp_path, changes):
    write(tmp_path, CE)
    write_record(tmp_path, replace(planned("paper-b", "paper", NSR), **changes))
    assert [result.label for result in results(tmp_path).all] == [CE]
    every = Store(tmp_path).records()
    assert len(every) == 2
    stores = [Store(tmp_path)]
    assert runs(stores).config.tolist() == [CE]
    plan = planned_and_run(stores).query("profile == 'paper'").set_index("config")
    assert (plan.run[CE], plan.run[NSR]) == (1, 0)

    now = write(tmp_path, NSR)
    (record,) = results(tmp_path).one(defense="nsr-0.4").records
    assert record.key == now.name


def test_a_record_of_a_suite_that_is_no_more_is_not_shown(tmp_path):
    config = replace(planned("paper-b", "paper", CE), experiment="paper-z")
    write_record(tmp_path, config)
    assert load([Store(tmp_path)], "paper-z", "paper").all == ()


def test_seeds_on_different_data_are_not_put_together(tmp_path):
    config = planned("paper-b", "paper", CE)
    for seed in range(2):
        write_record(tmp_path, config, seed=seed, fingerprint=f"f{seed}")
    with pytest.raises(EcgadvError, match="of different data: f0, f1; delete those of all but"):
        results(tmp_path)


def test_results_come_in_the_order_of_the_paper(tmp_path):
    for defense in ("at-0.2", "at-0.1", "jacobian-0.9", "nsr-0.4", "ce"):
        write(tmp_path, f"beatwise/mlp/{defense}/faithful")
    found = [result.defense for result in results(tmp_path).all]
    assert found == ["ce", "nsr-0.4", "jacobian-0.9", "at-0.1", "at-0.2"]


def test_an_undefended_network_that_withstands_stops_the_page(tmp_path):
    write(tmp_path, CE, shares=(1, 1, 1 / 3))
    with pytest.raises(
        AttackFailedError, match=r"worst case of all: eps 0\.1 holds.*0\.3333.*0\.05"
    ):
        refuse(results(tmp_path).all)


@pytest.mark.parametrize("withstands", [0, 1])
def test_one_seed_that_withstands_is_enough_to_stop_the_page(tmp_path, withstands):
    for seed in range(2):
        write(tmp_path, CE, seed=seed, shares=(1, 1, 1 / 3 if seed == withstands else 0))
    with pytest.raises(
        AttackFailedError, match=r"worst case of all: eps 0\.1 holds.*0\.3333.*0\.05"
    ):
        refuse(results(tmp_path).all)


def test_what_holds_under_wider_noise_stops_nothing(tmp_path, monkeypatch):
    """Noise seeks nothing, so a large budget of it need not break anything."""
    wider = (replace(ATTACKS[0], eps=(*LEVELS, 0.6)), *ATTACKS[1:])
    recorded.install("paper-b", monkeypatch.setattr, attacks=wider)
    write(tmp_path, NSR, shares=(1, 1, 0), flags={"held/noise/0.6": held(1)})
    refuse(results(tmp_path).all)
    told = {sign.indicator.name for sign in signs(results(tmp_path).all[0])}
    assert "worst case of all: eps 0.1 holds" in told


def test_noise_that_beats_the_strongest_attack_stops_the_page(tmp_path):
    write(tmp_path, NSR, shares=(1, 1, 1), flags={"held/noise/0.1": held(2 / 3)})
    with pytest.raises(AttackFailedError, match="beaten by white noise"):
        refuse(results(tmp_path).all)


def test_signs_that_inform_stop_nothing_and_are_bold(tmp_path):
    flags = {"held/pgd-100/0.05": held(0), "held/noise/0.1": held(1)}
    write(tmp_path, NSR, shares=(1, 1, 1), flags=flags)
    told = signs(results(tmp_path).all[0])
    refuse(results(tmp_path).all)
    failed = {sign.indicator.name for sign in told if sign.failed}
    assert "authors' PGD: not monotone in eps" in failed
    assert "**100.00**" in shown.table(told)._repr_markdown_()
    assert "not run" in shown.table([])._repr_markdown_()


def test_a_proved_beat_that_an_attack_broke_stops_the_page(tmp_path):
    """Also if SAP, which may leave the bounds, is the only attack that did not break it."""
    write(tmp_path, NSR, shares=(1, 1, 1 / 3), flags={"proved/0.1": held(2 / 3)})
    with pytest.raises(AttackFailedError, match=r"proved, yet broken.*0\.3333, allowed 0"):
        refuse(results(tmp_path).all)


def test_a_proved_beat_that_only_sap_broke_beyond_the_bounds_stops_nothing(tmp_path):
    flags = {"proved/0.1": held(2 / 3), "held/sap/0.1": held(1 / 3)}
    write(tmp_path, NSR, shares=(1, 1, 1), flags=flags)
    told = signs(results(tmp_path).all[0])
    assert not any(s.failed for s in told if s.indicator.name == "proved, yet broken")
