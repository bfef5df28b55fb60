"""Tidy tables of results, from records whose flags are written by hand."""

import numpy as np
import pytest
import recorded
from recorded import LABELS, held, write

from ecgadv import results
from ecgadv.errors import EcgadvError
from ecgadv.experiments.store import Store
from ecgadv.results.tables import IDENTITY

pytestmark = pytest.mark.usefixtures("few_attacks")
NSR, CE = "beatwise/mlp/nsr-0.4/faithful", "beatwise/mlp/ce/faithful"


@pytest.fixture
def stores(tmp_path):
    """NSR with two seeds, of which one holds more, and the undefended network with three."""
    for seed in range(3):
        write(tmp_path, CE, seed=seed, shares=(1, 1 / 3, 0))
    for seed, flags in ((0, {}), (1, {"held/sap/0.1": held(2 / 3)})):
        proved = {"proved/0.01": held(1 / 3)}
        write(tmp_path, NSR, seed=seed, shares=(1, 2 / 3, 1 / 3), flags=proved | flags)
    return [Store(tmp_path)]


def one(frame, **where):
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_one_row_for_each_identity(stores):
    found = results.estimates(stores)
    assert len(found) > 100
    assert not found.duplicated(list(IDENTITY)).any()
    assert set(found.defense) == {"ce", "nsr"}
    assert found.strength[found.defense == "ce"].isna().all()
    assert set(found.attack) >= {"none", "pgd-100", "sap", "worst-case", "auto-pgd", "proved"}


def test_values_are_means_over_seeds_of_the_flags(stores):
    found = results.estimates(stores, defense="nsr", weighting="class-balanced")
    sap = one(found, attack="sap", eps=0.1)
    assert sap.value == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert (sap.n, sap.seeds, sap.strength) == (len(LABELS), "0 1", 0.4)
    assert len(sap["keys"].split()) == 2
    assert one(found, attack="proved", eps=0.01).value == pytest.approx(1 / 3)
    assert one(found, attack="none", metric="accuracy").value == 1
    assert one(found, attack="sap", eps=0.0).value == 1
    # Trapezoids over 0, .01, .05 and .1 of 1, 1, 2/3 and 1/3.
    area = (0.01 * 2 + 0.04 * (5 / 3) + 0.05 * 1) / 2 / 0.1
    assert one(found, attack="pgd-100", metric="auc").value == pytest.approx(area)
    natural = results.estimates(
        stores, attack="sap", eps=0.1, weighting="natural", metric="accuracy"
    )
    natural = natural[natural.defense == "nsr"]
    assert natural.value.item() == pytest.approx((4 + 8) / 2 / 12)


def test_filters_take_single_values_and_lists_and_know_their_columns(stores):
    found = results.estimates(stores, attack=["sap", "noise"], eps=0.05, metric="accuracy")
    assert set(found.attack) == {"sap", "noise"} and set(found.eps) == {0.05}
    assert results.estimates(stores, experiment="paper-a").empty
    with pytest.raises(EcgadvError, match="no column 'atack'; choose among experiment"):
        results.estimates(stores, atack="sap")


def test_differences_are_paired_by_seed_on_the_same_examples(stores):
    found = results.differences(stores, weighting="class-balanced")
    assert set(found.defense) == {"nsr"} and set(found.reference) == {"ce"}
    gap = one(found, attack="sap", eps=0.1)
    assert gap.value == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert (gap.seeds, gap.n) == ("0 1", len(LABELS))
    assert len(gap["keys"].split()) == 4
    turned = results.differences(stores, reference="nsr-0.4", attack="sap", eps=0.1)
    assert set(turned.defense) == {"ce"}
    assert turned[turned.weighting == "class-balanced"].value.item() == pytest.approx(-gap.value)


def test_pairs_of_ones_own_are_compared_like_differences(stores):
    nets = {r.defense: r for r in results.load(stores, "paper-b", "paper").all}
    pairs = {"what NSR adds": (nets["nsr-0.4"], nets["ce"])}
    found = results.compared(pairs, {"sap": 0.1, "none": 0.0})
    wanted = results.differences(stores, weighting="class-balanced", metric="accuracy")
    for attack, eps in (("sap", 0.1), ("none", 0.0)):
        gap, same = (one(frame, attack=attack, eps=eps) for frame in (found, wanted))
        assert gap["name"] == "what NSR adds"
        assert gap.drop("name").dropna().to_dict() == {
            k: v for k, v in same.drop("name").dropna().to_dict().items() if k != "masked"
        }


def test_examples_hold_what_a_record_holds(tmp_path):
    flags = held(1 / 3)
    flags[-1] = 255
    folder = write(tmp_path, CE, flags={"held/sap/0.1": flags})
    found = results.examples(folder)
    sap = found[(found.attack == "sap") & (found.eps == 0.1)]
    assert sap.id.tolist() == list(range(len(LABELS)))
    assert sap.label.tolist() == list(np.array(["N", "S", "V"])[LABELS])
    assert sap.held.isna().tolist() == [False] * 11 + [True]
    assert sap.held.sum() == held(1 / 3)[:-1].sum()
    assert set(found[found.attack == "proved"].eps) == set(recorded.LEVELS)
    assert len(results.examples(str(folder))) == len(found)


def test_what_is_certified_stands_in_both_tables(tmp_path):
    radius = np.where(held(2 / 3), 0.02, 0.0).astype(np.float32)
    radius[0], radius[-1] = 0.2, np.nan  # a beat of N beyond every level, one of V not looked at
    certified = dict.fromkeys(("certified/rms", "certified/rms-uv"), radius)
    folder = write(tmp_path, "beatwise/mlp/gaussian-0.25/ours", flags=certified)
    found = results.estimates([Store(tmp_path)], attack="certified")
    # Of N 4 of 6 have a radius, of S 2 of 3, of V 2 of the 2 looked at.
    expected = {0.0: (2 / 3 + 2 / 3 + 1) / 3, 0.01: (2 / 3 + 2 / 3 + 1) / 3, 0.05: 1 / 18}
    for eps, value in expected.items():
        row = one(found, eps=eps)
        assert row.value == pytest.approx(value)
        assert (row.n, row.weighting, row.metric) == (11, "class-balanced", "accuracy")
        assert not row.masked
    rows = results.examples(folder, attack="certified")
    assert set(rows.eps) == set(found.eps)
    for eps in set(rows.eps):
        beyond = np.where(np.isnan(radius), np.nan, radius > np.float32(eps))
        np.testing.assert_array_equal(rows[rows.eps == eps].held, beyond)


def test_examples_have_the_worst_case_and_what_is_asked_for(tmp_path):
    noise = np.array([0, *held(1)[1:]], np.uint8)
    flags = {"held/sap/0.05": held(2 / 3), "held/noise/0.1": noise}
    folder = write(tmp_path, CE, shares=(1, 1, 1), clean=1, flags=flags)
    found = results.examples(folder, eps=[0.0, 0.1], attack=["none", "sap", "worst-case"])
    by_attack = {name: rows.held.tolist() for name, rows in found.groupby("attack")}
    assert by_attack["none"] == by_attack["sap"] == [1] * len(LABELS)
    assert by_attack["worst-case"] == (held(2 / 3) & noise).tolist()
    assert set(found.eps[found.attack == "none"]) == {0.0}
    with pytest.raises(EcgadvError, match="no column 'seed'; choose among attack, eps"):
        results.examples(folder, seed=0)
    nothing = results.examples(folder, eps=7.0)
    assert nothing.empty and list(nothing.columns) == list(found.columns)


def test_without_records_the_tables_are_empty_and_have_their_columns(tmp_path):
    found = results.estimates([Store(tmp_path)])
    assert found.empty and set(IDENTITY) <= set(found.columns)
    assert results.differences([Store(tmp_path)]).empty
