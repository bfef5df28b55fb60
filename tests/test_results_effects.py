"""What single oddities of the authors' code change, for the two protocol pages."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import recorded
import recorded_a
import stage
import yaml

from ecgadv import results
from ecgadv.evaluation.intervals import Interval
from ecgadv.experiments import suites
from ecgadv.experiments.store import Store
from ecgadv.figures import views
from ecgadv.results.effects import unbalance
from ecgadv.results.estimate import Estimate
from ecgadv.results.paired import apart

BOOK = Path(__file__).parents[1] / "book"
LISTED = BOOK / "oddities.yml"
ODDITIES = yaml.safe_load(LISTED.read_text())
CLAIMS = {claim["id"] for claim in yaml.safe_load((BOOK / "claims.yml").read_text())}


def measured(root, experiment="paper-a", profile="compact"):
    found = results.effects(LISTED, experiment, profile, [Store(root)])
    return found[found.value.notna()]


@pytest.mark.parametrize("page", ["a", "b"])
def test_each_oddity_of_a_protocol_page_is_listed_and_has_an_anchor(page):
    text = (BOOK / f"protocol-{page}.md").read_text()
    names = [f"odd-{page}{number}" for number in range(1, text.count("{#odd-") + 1)]
    assert re.findall(r"^\| \[(odd-\w+)\]\{#\1\} \|", text, re.MULTILINE) == names
    assert list(ODDITIES[f"paper-{page}"]["rows"]) == names
    assert CLAIMS.isdisjoint(names)
    name = f"effects-protocol-{page}"
    assert f"generated/{name}.md" in text
    assert name in stage.FRAGMENTS


@pytest.mark.parametrize("experiment", ODDITIES)
def test_whatever_is_compared_is_planned(experiment):
    configs = [c for pair in suites.known(experiment) for c, _ in suites.plan(*pair)]
    parts = zip(*(config.label.split("/") for config in configs), strict=True)
    have = dict(zip(("split", "network", "defense", "variant"), map(set, parts), strict=True))
    attacks = {"none": {0.0}, "auto-pgd": {0.1}}
    for attack in itertools.chain.from_iterable(config.attacks for config in configs):
        attacks.setdefault(attack.name, set()).update(attack.eps)
    for each in itertools.chain.from_iterable(ODDITIES[experiment]["rows"].values()):
        for name, values in [*each["of"].items(), *each["minus"].items()]:
            assert name not in have or set(np.atleast_1d(values)) <= have[name], each
        for attack, eps in each["under"].items():
            assert set(np.atleast_1d(eps)) <= attacks[attack], each
        assert each["minus"].get("attack", "none") in attacks


@pytest.mark.parametrize("profile", ["paper", "short", "compact"])
def test_forms_of_sap_differ_by_what_is_said_of_them(profile):
    """The words of odd-a9 and odd-a11 name every option that the two attacks do not share."""
    (config, *_), *_ = suites.plan("paper-a", profile)
    usual = {"keep": "best", "mask_inside": True}
    options = {a.name: usual | a.options for a in config.attacks if a.method == "sap"}
    for oddity in ("odd-a9", "odd-a11"):
        for each in ODDITIES["paper-a"]["rows"][oddity]:
            a, b = options[next(iter(each["under"]))], options[each["minus"]["attack"]]
            said = " minus ".join(
                "SAP with " + ", ".join(f"`{k}` {one[k]}" for k in sorted(a) if a[k] != b[k])
                for one in (a, b)
            )
            assert each["words"] == said


def test_switches_are_paired(tmp_path):
    for seed in range(2):
        recorded_a.write(tmp_path, "adt-1/faithful", seed=seed, share=0.5)
        recorded_a.write(tmp_path, "adt-1/eval-labels", seed=seed, share=1)
        recorded_a.write(tmp_path, "adt-5/ours", seed=seed, share=0)
    recorded_a.write(tmp_path, "adt-1/eval-attack", seed=7)  # no seed in common
    found = measured(tmp_path).set_index(["oddity", "attack"])
    assert found.value["odd-a4", "none"] == 0
    row = found.loc[("odd-a4", "pgd")]
    assert row.value == pytest.approx(0.5)
    assert (row.n, row.seeds, row.weighting) == (len(recorded_a.LABELS), "0 1", "natural")
    assert row.compared == "ADT, T = 1, labels in eval mode minus ADT, T = 1"
    assert len(row["keys"].split()) == 4
    assert found.value["odd-a5", "pgd"] == pytest.approx(-0.5)
    assert {"odd-a3", "odd-a15"}.isdisjoint(oddity for oddity, _ in found.index)


def test_two_attacks_of_one_network_are_paired_level_by_level(tmp_path):
    moved = {"held__transfer-pgd__25": recorded_a.held(0)}
    recorded_a.write(tmp_path, "at-10/faithful", share=0.5, **moved)
    found = measured(tmp_path)
    assert found.oddity.tolist() == ["odd-a8"] * 3
    assert dict(zip(found.eps, found.value, strict=True)) == pytest.approx({10: 0, 15: 0, 25: -0.5})
    assert set(found.reference) == {"attack transfer-sap, eps 10"}
    text = views.changes(found)
    assert "| SAP adversarial training, eps 10 µV, 25 µV | -50.0 [" in text


def test_f1_over_all_classes_minus_hans(tmp_path):
    """Noise, the last class, is read as N throughout: its F1 is 0, and that of N falls."""
    y = recorded_a.LABELS
    recorded_a.write(tmp_path, "ce/faithful", prediction=np.where(y == 3, 0, y))
    found = measured(tmp_path)
    row = found[(found.oddity == "odd-a19") & (found.attack == "none")].iloc[0]
    scores = [2 * 20 / (24 + 20), 1, 1, 0]
    assert row.value == pytest.approx(np.mean(scores) - np.mean(scores[:3]))
    assert row.low == row.high == pytest.approx(row.value)
    assert row.metric == "macro_f1"


@pytest.mark.usefixtures("few_attacks")
def test_natural_minus_class_balanced_accuracy(tmp_path):
    recorded.write(tmp_path, "beatwise/mlp/ce/faithful", shares=(1, 0.5, 0))
    (result,) = recorded.results(tmp_path).all
    found = unbalance(result, result.held("pgd-100", 0.05))
    natural, balanced = (result.accuracy("pgd-100", 0.05, balanced=b).value for b in (False, True))
    assert natural != pytest.approx(balanced)
    assert found.value == pytest.approx(natural - balanced)
    calm = unbalance(result, result.held("none", 0))
    assert calm.value == pytest.approx(0)


def test_independent_estimates_add_the_squares_of_their_ends():
    def estimate(value, half):
        ends = Interval(value, value - half, value + half, 0.95, 3, 10)
        return Estimate(ends, ends)

    found = apart(estimate(0.9, 0.03), estimate(0.5, 0.04))
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.35, 0.45))


@pytest.mark.usefixtures("few_attacks")
def test_other_beats_and_other_protocols_are_compared(tmp_path):
    lost = {"held/pgd-100/0.1": recorded.held(1 / 3)}
    recorded.write(tmp_path, "beatwise/mlp/ce/faithful", flags=lost)
    recorded.write(tmp_path, "beatwise/mlp/ce/corrected")
    other = {"id": np.arange(100, 100 + len(recorded.LABELS))}
    recorded.write(tmp_path, "interpatient/mlp/ce/faithful", clean=0, flags=other)
    found = measured(tmp_path, "paper-b", "paper")
    assert set(found.oddity) == {f"odd-b{n}" for n in (2, 3, 4, 17, 20)}
    values = found.set_index(["oddity", "attack"]).value
    assert values["odd-b17", "none"] == pytest.approx(1)
    assert values["odd-b4", "pgd-100"] == pytest.approx(2 / 3)
    assert values["odd-b2", "pgd-100"] == pytest.approx(-2 / 3)
    assert set(found.weighting[found.oddity == "odd-b3"]) == {"natural"}


def test_the_page_has_the_table_and_what_nothing_measures(tmp_path):
    recorded_a.write(tmp_path, "ce/faithful", share=0.5)
    found = results.effects(LISTED, "paper-a", "compact", [Store(tmp_path)])
    text = views.changes(found)
    assert text.startswith("Profile `compact`.\n\n| oddity | what is compared |")
    assert "| [odd-a11](#odd-a11) | SAP with `mask_inside` False minus" in text
    assert "| undefended, 10 µV | +0.0 [+0.0,\u00a0+0.0] |" in text
    assert "**Not measured:** odd-a1, odd-a2, odd-a3, odd-a4" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert all(len(row) <= 8 for row in rows)
    heads = [tuple(row[:2]) for row in rows if row[1]]
    assert len(heads) == len(set(heads)), "an oddity is named twice"
    nothing = results.effects(LISTED, "paper-a", "short", [Store(tmp_path)])
    assert views.changes(nothing).startswith("**Not measured:** odd-a1,")
    assert views.changes(nothing).count("odd-a") == len(ODDITIES["paper-a"]["rows"])
