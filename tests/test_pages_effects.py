"""The measured effects of the oddities of the authors' code, on the two protocol pages."""

import re
from pathlib import Path

import numpy as np
import pytest
import recorded
import recorded_a
import stage

from ecgadv.evaluation.intervals import Interval
from ecgadv.pages import effects, effects_a, effects_b
from ecgadv.results.estimate import Estimate
from ecgadv.results.result import WORST

pytestmark = pytest.mark.usefixtures("few_attacks")

BOOK = Path(__file__).parents[1] / "book"


def of_paper_a(root):
    return effects_a.effects(effects_a.chosen(recorded_a.results(root)))


@pytest.mark.parametrize(("page", "rows"), [("a", effects_a.ROWS), ("b", effects_b.ROWS)])
def test_each_row_of_a_protocol_page_is_measured_or_said_not_to_be(page, rows):
    text = (BOOK / f"protocol-{page}.md").read_text()
    assert tuple(re.findall(rf"^\| ({page.upper()}\d+) \|", text, re.MULTILINE)) == rows
    name = f"effects-protocol-{page}"
    assert f"generated/{name}.md" in text
    assert name in stage.FRAGMENTS


def test_switches_of_paper_a_are_paired(tmp_path):
    for seed in range(2):
        recorded_a.write(tmp_path, "adt-1/faithful", seed=seed, share=0.5)
        recorded_a.write(tmp_path, "adt-1/eval-labels", seed=seed, share=1)
        recorded_a.write(tmp_path, "adt-5/ours", seed=seed, share=0)
    found = {(e.row, e.measure): e.change for e in of_paper_a(tmp_path)}
    assert found["A4", "without an attack"].value == 0
    assert found["A4", "PGD, 10 µV"].value == pytest.approx(0.5)
    assert found["A5", "PGD, 10 µV"].value == pytest.approx(-0.5)
    assert found["A4", "PGD, 10 µV"].both.n_examples == len(recorded_a.LABELS)
    assert found["A4", "PGD, 10 µV"].seeds.n_seeds == 2
    assert {"A3", "A15"}.isdisjoint(row for row, _ in found)


def test_attacks_of_paper_a_are_told_by_what_sets_them_apart(tmp_path):
    moved = {"held__transfer-sap__10": recorded_a.held(1)}
    recorded_a.write(tmp_path, "ce/faithful", share=0.5, **moved)
    found = {e.row: e for e in of_paper_a(tmp_path) if e.row in ("A9", "A11")}
    assert found["A11"].change.value == pytest.approx(-0.5)
    assert found["A11"].compared == "SAP with `mask_inside` False minus SAP with `mask_inside` True"
    assert found["A9"].change.value == pytest.approx(0.5)
    assert "`smooth_steps` 20 minus" in found["A9"].compared.replace("`keep` last, ", "")


def test_f1_over_all_classes_minus_hans(tmp_path):
    """Noise, the last class, is read as N throughout: its F1 is 0, and that of N falls."""
    y = recorded_a.LABELS
    read = np.where(y == 3, 0, y)
    recorded_a.write(tmp_path, "ce/faithful", prediction=read)
    (found, _) = (e for e in of_paper_a(tmp_path) if e.row == "A19")
    scores = [2 * 20 / (24 + 20), 1, 1, 0]
    assert found.change.value == pytest.approx(np.mean(scores) - np.mean(scores[:3]))
    assert found.change.both.low == found.change.both.high == pytest.approx(found.change.value)


def test_natural_minus_class_balanced_accuracy(tmp_path):
    recorded.write(tmp_path, "beatwise/mlp/ce/faithful", shares=(1, 0.5, 0))
    (result,) = recorded.results(tmp_path).all
    found = effects_b.balance(result, result.held("pgd-100", 0.1))
    natural, balanced = (result.accuracy("pgd-100", 0.1, balanced=b).value for b in (False, True))
    assert found.value == pytest.approx(natural - balanced)
    calm = effects_b.balance(result, result.held(WORST, 0))
    assert calm.value == pytest.approx(0)


def test_independent_estimates_add_the_squares_of_their_ends():
    def estimate(value, half):
        ends = Interval(value, value - half, value + half, 0.95, 3, 10)
        return Estimate(ends, ends)

    found = effects_b.apart(estimate(0.9, 0.03), estimate(0.5, 0.04))
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.35, 0.45))


def test_effects_of_paper_b(tmp_path):
    recorded.write(tmp_path, "beatwise/mlp/ce/faithful")
    recorded.write(tmp_path, "interpatient/mlp/ce/faithful", clean=0)
    found = effects_b.effects(recorded.results(tmp_path))
    assert {e.row for e in found} == {"B2", "B3", "B17", "B20"}
    people = next(e for e in found if e.row == "B17")
    assert people.change.value == pytest.approx(1)


def test_the_table_is_saved_for_the_protocol_page(tmp_path):
    recorded_a.write(tmp_path, "ce/faithful", share=0.5)
    found = of_paper_a(tmp_path)
    kept = {"profile": "compact", "page": "protocol-a", "out": tmp_path}
    assert "{doc}`/protocol-a`" in effects.publish(found, effects_a.ROWS, **kept)
    text = (tmp_path / "fragments/effects-protocol-a.md").read_text()
    assert "Profile `compact`" in text
    assert "**Not measured:** A1, A2, A3, A4" in text
    synthetic = effects.fragment(found, effects_a.ROWS, "demo")
    assert synthetic.count("A") == len(effects_a.ROWS)
