"""Sentences of the chapter on paper B: they say what the flags say, and no more."""

from dataclasses import replace
from pathlib import Path

import pytest
from recorded import ATTACKS, LEVELS, held, results, write, write_record

from ecgadv.experiments import suites
from ecgadv.experiments.config import Attack
from ecgadv.figures import Table
from ecgadv.pages import (
    chosen_b,
    conclusions_b,
    drawings_b,
    failures,
    live,
    padding_b,
    sentences_b,
    todo,
)

pytestmark = pytest.mark.usefixtures("few_attacks")

REPORTED = Path(__file__).parents[1] / "book/reported.yml"


@pytest.fixture
def mlp(tmp_path):
    """Undefended and NSR networks with two seeds; the other defenses were not run."""
    for seed in range(2):
        write(tmp_path, "beatwise/mlp/ce/faithful", seed=seed, shares=(2 / 3, 0, 0))
        write(tmp_path, "beatwise/mlp/nsr-0.4/faithful", seed=seed, shares=(1, 1, 1 / 3))
    return results(tmp_path)


def test_ranking_says_whether_the_worst_case_changes_it(mlp, tmp_path):
    shown = chosen_b.chosen(mlp, "mlp")
    assert "leaves the order as it is" in sentences_b.order(shown)
    other = tmp_path / "other"
    weak = {f"held/sap/{eps:g}": held(0) for eps in (0.01, 0.05, 0.1)}
    write(other, "beatwise/mlp/ce/faithful", shares=(1, 1, 1 / 3))
    write(other, "beatwise/mlp/nsr-0.4/faithful", flags=weak)
    text = sentences_b.order(chosen_b.chosen(results(other), "mlp"))
    assert "undefended from 2 to 1" in text
    assert "NSR, beta 0.4 from 1 to 2" in text


def test_sentences_carry_the_numbers_of_the_records(mlp):
    assert "* a difference" in sentences_b.shown(mlp, "mlp")
    assert "not run" in sentences_b.shown(mlp, "cnn")
    assert "4 made here" in sentences_b.shown(mlp, "mlp")


def test_the_log_of_the_authors_stands_beside_ours(mlp):
    text = sentences_b.beside_log(None, mlp.one(defense="nsr-0.4"), REPORTED)
    assert "91.8 % are right" in text  # 0.9185, PROTOCOLS part 1
    assert "SPSA left 52.0 %" in text
    assert "between 33.3 and 33.3 % over seeds" in text
    assert "neither confirms nor refutes" in text


def test_the_front_page_says_what_stands_out_or_that_it_was_not_run(mlp, tmp_path):
    text = conclusions_b.stands_out(chosen_b.chosen(mlp, "mlp"), {}, None, REPORTED)
    heads = [line.split("**")[1] for line in text.splitlines()]
    assert heads == [
        "Under stronger attacks.",
        "The authors' log, repeated:",
        "Beside the other defenses:",
        "The recording alone, trained by the authors' protocol",
        "The recording alone, trained as corrected",
    ]
    nothing = chosen_b.chosen(results(tmp_path / "none"), "mlp")
    assert "not run" in conclusions_b.stands_out(nothing, {}, None, REPORTED)


def test_the_network_of_the_log_stands_beside_it_once_it_was_run(tmp_path, monkeypatch):
    attacks = (Attack("spsa", "spsa", (0.1,), {"steps": 7, "samples": 5}), ATTACKS[-1])
    config = replace(
        suites.paper_b.log_network(), attacks=(attacks[0], replace(attacks[1], eps=(0.1,)))
    )
    plans = {**suites.SUITES, ("paper-b", "paper"): lambda: [(config, 1)]}
    monkeypatch.setattr(suites, "SUITES", plans)
    write_record(tmp_path, config, shares=(1, 1, 0), flags={"held/spsa/0.1": held(2 / 3)})
    log = chosen_b.of_log(results(tmp_path))
    text = sentences_b.beside_log(log, None, REPORTED)
    assert "SPSA left 52.0 %" in text
    assert "on 12 beats, has 100.0 % [100.0, 100.0] clean, and SPSA leaves 66.7 % [" in text
    assert "Under Auto-PGD with either loss, which sees gradients, 0.0 % [" in text
    short = conclusions_b.repeated(log, REPORTED)
    assert "The log's SPSA left 52.0 % at eps 0.1, ours leaves 66.7 % [" in short
    assert "with NSR, beta 0.5 (one seed). Under Auto-PGD with either loss 0.0 % [" in short
    assert conclusions_b.repeated(None, REPORTED).endswith("not run.")
    drawn = drawings_b.by_class(log, REPORTED)
    assert "5 directions" in drawn.caption
    names = {sign.indicator.name: sign for sign in failures.signs(log)}
    (missed,) = (
        sign
        for name, sign in names.items()
        if name.startswith("Auto-PGD with either loss: beaten by SPSA")
    )
    assert "SPSA" in missed.indicator.name and not missed.must_hold and not missed.failed


def in_short(found, *, between=None, cnn=None):
    shown = chosen_b.chosen(found, "mlp")
    others = {"between": between or {}, "cnn": cnn or {}, "log": chosen_b.of_log(found)}
    return conclusions_b.in_short(shown, [], **others, reported_path=REPORTED)


def test_conclusions_follow_from_paired_differences(mlp, tmp_path):
    text = in_short(mlp)
    assert "**Against no defense: NSR holds more.**" in text
    assert "NSR's gain goes from +33.3 [" in text
    assert "the stronger attacks take 0.0 % of it" in text
    assert "**Beside the other defenses:** not run." in text
    assert "**Between patients:** not run." in text
    assert "**The CNN:** not run." in text
    nothing = chosen_b.chosen(results(tmp_path / "none"), "mlp")
    assert "not run" in conclusions_b.in_short(
        nothing, [], between={}, cnn={}, log=None, reported_path=REPORTED
    )


def test_an_interval_with_zero_in_it_is_no_clear_difference(mlp, tmp_path):
    for seed, share in enumerate((0, 1)):  # once all and once none: no telling
        write(tmp_path, "beatwise/mlp/jacobian-0.9/faithful", seed=seed, shares=(share,) * 3)
        write(tmp_path, "interpatient/mlp/ce/faithful", seed=seed, shares=(share,) * 3)
        write(tmp_path, "interpatient/mlp/nsr-0.4/faithful", seed=seed)
    found = results(tmp_path)
    text = in_short(found, between=chosen_b.chosen(found, "mlp", split="interpatient"))
    assert "], no clear difference. Without SAP" in text
    assert "**Between patients: no clear difference.**" in text


def test_what_holds_only_without_sap_is_said(mlp, tmp_path):
    broken = {f"held/sap/{eps:g}": held(0) for eps in LEVELS}
    for seed in range(2):
        write(tmp_path, "beatwise/mlp/at-0.1/faithful", seed=seed, flags=broken)
    (line,) = [line for line in in_short(results(tmp_path)).splitlines() if "Beside" in line]
    worst, within = line.split("Without SAP")
    assert "NSR holds more" in worst
    assert "NSR holds less" in within


def test_the_weakest_defense_of_the_cnn_is_named_with_its_seeds(mlp, tmp_path):
    for defense, share in (("ce", 0), ("nsr-0.3", 1 / 3), ("jacobian-0.7", 1)):
        label = f"beatwise/cnn/{defense}/faithful"
        write(tmp_path, label, shares=(share,) * 3, profile="compact")
    text = in_short(mlp, cnn=chosen_b.chosen(results(tmp_path, "compact"), "cnn"))
    assert "**The CNN, profile `compact`: NSR is the weakest of its defenses.**" in text
    assert "one seed, so" in text


def test_a_defense_below_no_defense_is_named(mlp, tmp_path):
    shown = chosen_b.chosen(mlp, "mlp")
    assert "No defense lies clearly below it" in sentences_b.below_undefended(shown)
    for seed in range(2):
        label = "beatwise/mlp/at-0.1/faithful"
        write(tmp_path, label, seed=seed, flags={"held/sap/0.01": held(0)})
    shown = chosen_b.chosen(results(tmp_path), "mlp")
    text = sentences_b.below_undefended(shown)
    assert "undefended network holds 66.7 %" in text
    assert "adversarial training, eps 0.1 0.0 % (-66.7 [" in text
    assert "not run" in sentences_b.below_undefended(dict.fromkeys(shown))


def test_the_padding_is_attacked_and_left_alone_side_by_side(mlp, tmp_path):
    nothing = padding_b.pairs(mlp)
    assert padding_b.table(nothing).columns["protocol"] == ["not run"]
    assert padding_b.order(nothing).count("not run") == 2
    write(tmp_path, "beatwise/mlp/ce/faithful-masked", shares=(1, 0, 0))
    write(tmp_path, "beatwise/mlp/at-0.1/faithful", shares=(1 / 3, 0, 0))
    write(tmp_path, "beatwise/mlp/at-0.1/faithful-masked", shares=(1, 1, 2 / 3))
    found = padding_b.pairs(results(tmp_path))
    columns = padding_b.table(found).columns
    assert columns["defense"] == ["undefended", "adversarial training, eps 0.1"]
    assert columns["eps 0.1, all attacked, %"] == ["0.0", "0.0"]
    assert columns["eps 0.1, padding left alone, %"] == ["0.0", "66.7"]
    assert columns["seeds"] == ["2 and 1", "1 and 1"]
    told = padding_b.order(found)
    # Trapezoids over eps 0, 0.01, 0.05, 0.1: 1, 1, 1, 2/3 and 1, 1, 0, 0.
    assert "is adversarial training, eps 0.1 91.7 % [" in told
    assert told.index("eps 0.1 91.7") < told.index("undefended 30.0 % [")
    assert "(n = 12, 1 seed)" in told and "as corrected**: not run" in told


def test_what_is_missing_comes_with_its_command_and_cost(mlp):
    text = todo.to_do(mlp, "paper-b", "The sweep", "beatwise/mlp/nsr-*/faithful")
    assert "The sweep: 25 runs missing; about 0.1 hours" in text  # of 27, like runs took 12 s
    assert "`ecgadv run paper-b --profile paper --only 'beatwise/mlp/nsr-*/faithful'`" in text
    unknown = todo.to_do(mlp, "paper-b", "It", "beatwise/cnn/ce/faithful")
    assert "3 runs missing; their cost was not measured" in unknown
    assert todo.to_do(mlp, "paper-b", "It", "none") == ""


def test_the_cost_of_what_is_missing_counts_what_was_taken_over(mlp):
    missing = "beatwise/mlp/nsr-*/faithful"
    for record in mlp.one(defense="nsr-0.4").records:
        record.run["taken_over"] = {"record": "abc", "attacks": ["sap"], "seconds": 3588.0}
    assert "; about 25.0 hours" in todo.to_do(mlp, "paper-b", "The sweep", missing)
    for record in mlp.one(defense="nsr-0.4").records:
        del record.run["taken_over"]["seconds"]
    assert "their cost was not measured" in todo.to_do(mlp, "paper-b", "The sweep", missing)


def test_it_is_said_whether_nsr_has_the_lowest_ratio():
    def told(nsr):
        ratios = [4.0, nsr, 2.0]
        names = ["undefended", "NSR, beta 0.4", "Jacobian, beta 0.9"]
        return live.lowest_ratio(Table({"network": names, live.RATIO: ratios}))

    assert "NSR, beta 0.4 has the lowest" in told(1.0)
    assert "does not have the lowest one here:** its median is 3.00, that of Jac" in told(3.0)


def test_checks_that_only_inform_are_counted_by_network(tmp_path):
    flags = {"held/pgd-100/0.05": held(0), "held/noise/0.1": held(1)}
    write(tmp_path, "beatwise/mlp/nsr-0.4/faithful", flags=flags)
    text = sentences_b.missed(failures.signs(results(tmp_path).all[0]))
    assert "Checks that only inform and that failed, by network: NSR, beta 0.4 (" in text
