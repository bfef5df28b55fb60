"""The chapter on paper A: what is there, what was not run, and how sure it is."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from recorded_a import LABELS, PLAN, held, read, results, some_networks, write

from ecgadv import figures
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import scores
from ecgadv.evaluation.intervals import seeds_and_examples_interval
from ecgadv.experiments.store import Store
from ecgadv.figures.panels import NotRun
from ecgadv.figures.signals import added_to_recording
from ecgadv.figures.strips import strips
from ecgadv.pages import waveforms
from ecgadv.results import estimates, walks
from ecgadv.results.names import look_of, plain
from ecgadv.results.result import WORST
from ecgadv.results.signs import AttackFailedError, refuse, signs

REPORTED = Path(__file__).parents[1] / "book/reported.yml"


OF_THE_PAPER = ("faithful", "retuned", "rescaled")


@pytest.fixture
def some(tmp_path):
    return some_networks(tmp_path)


def test_every_planned_network_has_a_name_and_a_look_of_its_own(tmp_path):
    for name in PLAN:
        write(tmp_path, name)
    found = results(tmp_path)
    names = [r.name for r in found.all]
    assert len(set(names)) == len(names) == len(PLAN)
    for part in ("SAP adversarial training, eps 10 µV", "ADT, T = 20", "Jacobian, lambda 44"):
        assert part in names
    shown = [r for r in found.all if r.variant in OF_THE_PAPER]
    looks = [json.dumps(figures.look(look_of(r.defense, "paper-a", r.variant))) for r in shown]
    assert len(set(looks)) == len(looks)


def test_names_of_what_changes():
    assert plain("adt-1", "paper-a", variant="eval-labels") == "ADT, T = 1, labels in eval mode"
    assert plain("nsr-1", "paper-a", variant="rescaled") == "NSR, beta 1, per millivolt"
    assert plain("jacobian-1e+06", "paper-a", variant="retuned") == "Jacobian, lambda 1,000,000"
    assert plain("at-0.1", "paper-a", unit="normalised") == "SAP adversarial training, eps 0.1"
    with pytest.raises(EcgadvError, match="no defense 'trades' in paper-a"):
        plain("trades-1", "paper-a")


def test_results_come_in_the_order_of_the_paper(some):
    assert list(some)[:3] == [("ce", "faithful"), ("at-10", "faithful"), ("adt-1", "faithful")]


def test_the_worst_case_counts_transferred_examples_at_the_shared_level(tmp_path):
    lost = held(1)
    lost[3] = 0
    moved = {"held__transfer-sap__10": lost}
    write(tmp_path, "ce/faithful", share=1, **moved)
    (found,) = results(tmp_path).all
    assert found.attacks[WORST] == [10.0]
    assert found.held(WORST, 10.0)[0].tolist() == lost.tolist()


def test_f1_of_a_part_counts_classes_as_often_as_they_occur(some):
    ce = some["ce", "faithful"]
    assert ce.f1(WORST, 0).value == 1
    assert ce.f1("sap", 10).value == 0
    half = some["at-10", "faithful"]
    k, y, seen = 4, LABELS.astype(int), read(held(0.5)).astype(int)
    by_hand = [
        2 * ((seen == c) & (y == c)).sum() / ((seen == c).sum() + (y == c).sum()) for c in range(k)
    ]
    assert half.f1("sap", 10).value == pytest.approx(np.mean(by_hand))
    assert half.f1("sap", 10, han=True).value == pytest.approx(np.mean(by_hand[:3]))


def test_f1_of_two_classes_has_the_interval_of_its_accuracy():
    """With classes of equal size and symmetric errors macro-F1 is close to the accuracy."""
    y = np.repeat([0, 1], 200)
    right = np.tile(np.arange(200) < 150, 2)
    predicted = np.where(right, y, 1 - y).astype(np.uint8)
    found = scores.f1_interval(predicted[None], y, 2, (0, 1))
    accuracy = seeds_and_examples_interval(right[None].astype(np.uint8), y, 2)
    assert found.estimate == pytest.approx(0.75)
    assert found.low == pytest.approx(accuracy.low, abs=0.01)
    assert found.high == pytest.approx(accuracy.high, abs=0.01)
    assert found.n_examples == 400


def test_f1_leaves_out_what_was_not_attacked():
    y = np.array([0] * 8 + [1] * 4)
    predicted = np.array([0, 0, 1, 1] + [255] * 4 + [1] * 4, np.uint8)
    # Four of the eight N speak for all: 4 of them read right, 4 read as the other class.
    expected = np.mean([2 * 4 / (4 + 8), 2 * 4 / (8 + 4)])
    assert scores.macro_f1(predicted[None], y, 2, (0, 1)) == pytest.approx(expected)


def test_a_few_records_that_all_hold_prove_little():
    """Wilson's interval of 31 of 31: from n / (n + z^2) to 1."""
    found = scores.share(np.ones((2, 31), np.uint8))
    assert (found.value, found.high, found.n) == (1, 1, 31)
    assert found.low == pytest.approx(31 / (31 + 1.959964**2), abs=1e-6)
    assert np.isnan(scores.share(np.full((1, 3), 255, np.uint8)).value)


def test_shares_span_the_seeds():
    flags = np.array([[1] * 10, [0] * 10], np.uint8)
    found = scores.share(flags)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0, 1))


def test_medians_leave_skipped_pairs_out():
    values = np.array([[1.0, 2, 3, np.nan], [1, 2, 3, np.nan]])
    found = scores.median_interval(values)
    assert (found.estimate, found.n_examples, found.n_seeds) == (2, 3, 2)
    assert 1 <= found.low <= 2 <= found.high <= 3
    with pytest.raises(EcgadvError, match="no values"):
        scores.median_interval(np.full((1, 2), np.nan))


def test_walks_of_the_boundary_attack(some):
    adt = some["adt-1", "faithful"]
    assert walks.median_distance(adt).estimate == 30  # of 10, 20, ... 50
    assert walks.queries(adt) == 3
    assert walks.transferred(adt).value == 1
    assert walks.transferred(adt).n == 5
    assert walks.transferred(some["at-10", "faithful"]).value == pytest.approx(3 / 5)


def test_strips_need_positive_values():
    fig, data = strips({"a": np.array([1.0, 2.0])}, value="x")
    plt.close(fig)
    assert data == {"row": ["a", "a"], "x": [1.0, 2.0]}
    for rows_ in ({}, {"a": np.array([0.0])}, {"a": np.array([])}):
        with pytest.raises(EcgadvError, match="above 0"):
            strips(rows_, value="x")


def waveform(folder):
    found = {
        "record": "A00001",
        "class": "N",
        "read_as": {"PGD": "O", "SAP": "AF"},
        "samples": [100, 104],
        "fs": 300.0,
        "eps": 10.0,
        "decimate": 6,
        "fingerprint": "f0",
        "dataset": "challenge-2017",
        "example": 0,
        "profile": "compact",
        "provenance": dict.fromkeys(figures.PROVENANCE, "x") | {"seeds": [0]},
        "microvolts": {"PGD": [10, -10, 10, 10], "SAP": [1, 2, 3, 2]},
    }
    path = folder / "waveforms.yml"
    path.write_text("# A comment.\n" + json.dumps(found))
    return path


def test_waveforms_hold_no_recording(tmp_path):
    drawing = waveforms.drawing(waveform(tmp_path), tmp_path)
    plt.close(drawing.fig)
    assert list(drawing.data) == ["record", "sample", "PGD (µV)", "SAP (µV)"]
    assert drawing.data["sample"] == [100, 101, 102, 103]
    assert "only where the recordings are at hand" in drawing.caption
    assert "plateaus of PGD are 6 samples (20 ms) wide" in drawing.caption
    assert "by at most 20.0 under PGD and 1.0 under SAP" in drawing.alt
    assert isinstance(waveforms.drawing(tmp_path / "none.yml", tmp_path), NotRun)


def test_a_recording_stands_above_its_perturbations():
    added = {"PGD": np.ones(4), "SAP": np.zeros(4)}
    fig = added_to_recording(added, fs=300, start=0, limit=10, recording=np.arange(4.0))
    assert len(fig.axes) == 3
    assert fig.axes[0].lines[0].get_ydata().max() == pytest.approx(0.003)
    plt.close(fig)


@pytest.mark.parametrize(("share", "falls"), [(0, True), (0.5, False)])
def test_the_undefended_network_must_fall_at_the_largest_level(tmp_path, share, falls):
    write(tmp_path, "ce/faithful", share=share)
    (found,) = results(tmp_path).all
    told = signs(found)
    (must,) = (sign for sign in told if sign.must_hold)
    assert must.indicator.name == "PGD: 25 µV holds"
    if falls:
        refuse([found])
    else:
        with pytest.raises(AttackFailedError, match="25 µV holds"):
            refuse([found])


def test_signs_of_failed_attacks(tmp_path):
    write(tmp_path, "at-10/faithful", share=1, **{"held__transfer-sap__10": held(0.5)})
    (found,) = results(tmp_path).all
    told = signs(found)
    refuse([found])
    failed = {sign.indicator.name for sign in told if sign.failed}
    assert failed == {"PGD: 25 µV holds", "SAP 20 + 20: beaten by SAP 20 + 20, transferred"}


def test_tables_have_classes_scores_and_walks(some):
    adt = [Store(record.path.parent) for record in some["adt-1", "faithful"].records][:1]
    where = {"profile": "compact", "defense": "adt", "variant": "faithful"}
    found = estimates(adt, experiment="paper-a", **where)
    classes = found[(found.metric == "sensitivity") & (found.attack == "none")]
    assert classes["class"].tolist() == ["N", "AF", "O", "~"]
    assert classes.n.tolist() == [20, 6, 10, 4]
    near, stood = (found[found.attack == a].iloc[0] for a in ("boundary", "transfer-boundary"))
    assert (near.metric, near.value, near.unit) == ("median_distance", 30, "uV")
    assert (stood.value, stood.n) == (1, 5)
    f1 = found[(found.metric == "han_f1") & (found.attack == "none")]
    assert f1.value.item() == some["adt-1", "faithful"].f1("none", 0, han=True).value
