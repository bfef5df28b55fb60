"""Results of networks of recordings: names, scores, walks, signs and tables."""

import json

import numpy as np
import pytest
from recorded_a import LABELS, PLAN, held, read, results, some_networks, write

from ecgadv import figures
from ecgadv.errors import EcgadvError
from ecgadv.experiments.store import Store
from ecgadv.results import estimates, walks
from ecgadv.results.names import look_of, plain
from ecgadv.results.result import WORST
from ecgadv.results.signs import AttackFailedError, refuse, signs

OF_THE_PAPER = ("faithful", "retuned", "rescaled")


@pytest.fixture
def some(tmp_path):
    return some_networks(tmp_path)


def test_every_planned_network_has_a_name_and_a_look_of_its_own(tmp_path):
    under_papers_attacks = [name for name in PLAN if not name.endswith("-standard")]
    for name in under_papers_attacks:
        write(tmp_path, name)
    found = results(tmp_path)
    names = [r.name for r in found.all]
    assert len(set(names)) == len(names) == len(under_papers_attacks)
    for part in ("SAP adversarial training, eps 10 µV", "ADT, T = 20", "Jacobian, lambda 44"):
        assert part in names
    shown = [r for r in found.all if r.variant in OF_THE_PAPER]
    looks = [json.dumps(figures.look(look_of(r.defense, "paper-a", r.variant))) for r in shown]
    assert len(set(looks)) == len(looks)


def test_names_of_what_changes():
    assert plain("adt-1", "paper-a", variant="eval-labels") == "ADT, T = 1, labels in eval mode"
    assert plain("nsr-1", "paper-a", variant="rescaled") == "NSR, beta 1, per millivolt"
    assert plain("nsr-1", "paper-a", variant="rescaled-standard") == "NSR, beta 1, per millivolt"
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


def test_walks_of_the_boundary_attack(some):
    adt = some["adt-1", "faithful"]
    assert walks.median_distance(adt).estimate == 30  # of 10, 20, ... 50
    assert walks.queries(adt) == 3
    assert walks.transferred(adt).value == 1
    assert walks.transferred(adt).n == 5
    assert walks.transferred(some["at-10", "faithful"]).value == pytest.approx(3 / 5)


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
