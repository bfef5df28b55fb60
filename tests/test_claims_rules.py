"""The verdicts on claims A1 to A4 and what they are measured by, on records written by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import recorded
from recorded import LABELS, held, write_record

from ecgadv import claims
from ecgadv.claims import measures, reasons, rules
from ecgadv.errors import EcgadvError
from ecgadv.experiments import suites
from ecgadv.experiments.config import Attack
from ecgadv.experiments.store import Store
from ecgadv.results.records import load

BOOK = Path(__file__).resolve().parents[1] / "book"
CLAIMS = {claim["id"]: claim for claim in claims.load_claims(BOOK / "claims.yml")}
SWEEP = (1.0, 2.0, 5.0, 10.0, 25.0)
ATTACKS = (
    Attack("sap", "sap", (10.0,)),
    Attack("sap-40", "sap", (10.0,)),
    Attack("pgd", "pgd", SWEEP),
)
ORIGINALS = np.array([0, 1, 6, 7, 9, 10])  # two of each class
STARTS = np.array([6, 9, 0, 9, 0, 6])
OF_PAPER_A = ("A1", "A2", "A3", "A4")
OTHERS = ("at-10", "distillation-1", "jacobian-44", "nsr-1")


@pytest.fixture(autouse=True)
def planned(monkeypatch):
    """Paper A's networks are planned with the attacks above and the boundary attack."""
    changes = {"attacks": ATTACKS, "boundary": {"pairs": 1}}
    recorded.install("paper-a", monkeypatch.setattr, **changes)


def plan_without_pairs(monkeypatch, *defenses):
    """Let these networks of the short profile be planned without the boundary attack."""
    plan = [
        (replace(config, boundary={}) if config.label.split("/")[2] in defenses else config, seeds)
        for config, seeds in suites.plan("paper-a", "short")
    ]
    monkeypatch.setitem(suites.SUITES, ("paper-a", "short"), lambda: plan)


def network(root, defense, strength=0.0, variant="faithful", *, seeds=2, profile="short", **given):
    """Write a planned network of which a share `strength` withstands everything.

    `given` replaces the share under single attacks (sap, sap40, pgd), the `clean` one, `right`
    (transferred examples read right), `distance`, or single `arrays`.
    """
    plan = suites.plan("paper-a", profile)
    config = next(c for c, _ in plan if c.label.endswith(f"/{defense}/{variant}"))
    sap, sap40, pgd = (given.pop(name, strength) for name in ("sap", "sap40", "pgd"))
    flags = {"held/sap/10": held(sap), "held/sap-40/10": held(sap40)}
    flags |= {f"held/pgd/{eps:g}": held(pgd if eps <= 10 else 0) for eps in SWEEP}
    right = np.arange(len(ORIGINALS)) < round(given.pop("right", strength) * len(ORIGINALS))
    walks = {
        "original": ORIGINALS,
        "start": STARTS,
        "transfer": np.where(right, LABELS[ORIGINALS], LABELS[STARTS]).astype(np.uint8),
        "distance": np.full(len(ORIGINALS), given.pop("distance", 10 + 10 * strength), np.float32),
        "queries": np.ones(len(ORIGINALS), np.int32),
        "transfer-distance": np.ones(len(ORIGINALS), np.float32),
    }
    if config.boundary:
        flags |= {f"boundary/{name}": values for name, values in walks.items()}
    flags |= given.pop("arrays", {})
    for seed in seeds if isinstance(seeds, tuple) else range(seeds):
        write_record(root, config, seed=seed, flags=flags, **given)


def field(root, strength=0.0, *, but=(), **given):
    """Write the undefended network and the four defenses, all of the same strength."""
    for defense in ("ce", *OTHERS):
        if defense not in but:
            network(root, defense, strength, **given)


def results(root, profile="short"):
    return load(stores(root), "paper-a", profile)


def stores(root):
    return [Store(root), Store(root / "released")]


def judged(root, claim):
    return claims.judge(CLAIMS[claim], stores(root))


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_has_a_rule(claim):
    rule = CLAIMS[claim]["rule"]
    assert claim in rules.RULES
    assert 0 < rule["margin"] < 1
    assert "{margin}" in rule["text"]
    for verdict in claims.VERDICTS:
        assert f"**{verdict.capitalize()}**" in rule["text"]


@pytest.mark.parametrize(
    ("adt", "others", "verdict"),
    [(1, 0, "supported"), (1, 1, "not supported"), (0, 1, "not supported")],
)
@pytest.mark.parametrize("claim", ["A1", "A2"])
def test_adt_is_better_or_not(tmp_path, claim, adt, others, verdict):
    field(tmp_path, others)
    network(tmp_path, "adt-1", adt)
    found = judged(tmp_path, claim)
    assert found.verdict == found.on_data == verdict
    assert found.missing == ()
    assert len(found.findings) == {"A1": 4 * 4, "A2": 5}[claim]


def test_a1_is_partly_supported_by_a_row_or_a_column(tmp_path):
    for name, given in {"row": {}, "column": {"sap": 0}}.items():
        root = tmp_path / name
        field(root, 1 if name == "column" else 0, but=("at-10",), **given)
        network(root, "at-10", 1, **given)
        network(root, "adt-1", 1)
        assert judged(root, "A1").verdict == "partly supported"


def test_a1_is_open_where_an_attack_does_not_decide(tmp_path):
    # Attacked itself, half of ADT's pairs end nearer than any defense's, and half farther off.
    field(tmp_path, 1)
    mixed = {"boundary/distance": np.array([1, 1, 1, 90, 90, 90], np.float32)}
    network(tmp_path, "adt-1", 1, arrays=mixed)
    found = judged(tmp_path, "A1")
    direct = [f for f in found.findings if f.measure == reasons.DIRECT]
    assert not any(f.above or f.below for f in direct)
    assert found.verdict == "inconclusive"


def test_the_margin_itself_is_neither_better_nor_not(tmp_path):
    field(tmp_path, 0)
    network(tmp_path, "adt-1", 1)
    claim = CLAIMS["A2"] | {"rule": {"margin": 1.0, "datasets": ["challenge-2017"], "text": ""}}
    found = claims.judge(claim, stores(tmp_path))
    assert [f.estimate.value for f in found.findings] == [1.0] * 5
    assert found.verdict == "inconclusive"


def test_natural_accuracy_and_its_numbers(tmp_path):
    field(tmp_path, 0, sap=1 / 3)
    network(tmp_path, "adt-1", sap=2 / 3)
    cells = {(f.measure, f.subject): f for f in judged(tmp_path, "A1").findings}
    found = cells["SAP 20 + 20", "adversarial training"].estimate
    assert found.value == pytest.approx(8 / 12 - 4 / 12)
    assert (found.both.n_examples, found.seeds.n_seeds) == (12, 2)
    assert found.low < found.value < found.high


def test_a2_is_the_mean_over_the_low_levels(tmp_path):
    field(tmp_path, 0)
    weak = {f"held/pgd/{eps:g}": held(0) for eps in (5.0, 10.0)}
    network(tmp_path, "adt-1", 1, arrays=weak)
    assert {f.estimate.value for f in judged(tmp_path, "A2").findings} == {0.5}  # 25 uV is left out


def test_distances_are_compared_by_their_medians(tmp_path):
    field(tmp_path, distance=8)
    network(tmp_path, "adt-1", distance=10)
    result = results(tmp_path)
    adt, other = (result.one(defense=d) for d in ("adt-1", "at-10"))
    assert measures.distance_gain(adt, other).value == pytest.approx(0.25)
    assert measures.distance_gain(adt, other).both.n_examples == len(ORIGINALS)


def test_skipped_pairs_are_left_out(tmp_path):
    skipped = np.array([True, False, False, False, False, False])
    read = np.where(skipped, 255, LABELS[ORIGINALS]).astype(np.uint8)
    walks = np.where(skipped, np.nan, 5).astype(np.float32)
    network(tmp_path, "adt-1", arrays={"boundary/transfer": read, "boundary/distance": walks})
    network(tmp_path, "ce", right=2 / 6, distance=1)
    adt, plain = (results(tmp_path).one(defense=d) for d in ("adt-1", "ce"))
    moved, walked = measures.transfer_gain(adt, plain), measures.distance_gain(adt, plain)
    assert (moved.value, moved.both.n_examples) == (pytest.approx(1 - 1 / 5), 5)
    assert (walked.value, walked.both.n_examples) == (4, 5)


def test_skipped_pairs_do_not_raise_or_lower_the_bar(tmp_path):
    """Of six originals two are of each class; without class N the bar rests on a half."""
    read = np.where(LABELS[ORIGINALS] == 0, 255, LABELS[ORIGINALS]).astype(np.uint8)
    for defense in ("ce", "at-10"):
        network(tmp_path, defense, arrays={"boundary/transfer": read})
    hardened, plain = (results(tmp_path).one(defense=d) for d in ("at-10", "ce"))
    found = measures.transfer_kept(0.5)(hardened, plain)
    assert (found.value, found.both.n_examples) == (pytest.approx(1 - (0.5 + 0.5 * 0.5)), 4)


def test_distances_vary_with_the_seeds_where_pairs_agree(tmp_path):
    """Two seeds, twice and four times as far: one resample in four holds one of them alone."""
    for seed, distance in enumerate((2, 4)):
        network(tmp_path, "adt-1", seeds=(seed,), distance=distance)
        network(tmp_path, "ce", seeds=(seed,), distance=1)
    adt, plain = (results(tmp_path).one(defense=d) for d in ("adt-1", "ce"))
    found = measures.distance_gain(adt, plain)
    assert (found.value, found.both.low, found.both.high) == (2, 1, 3)


MEASURES = {
    "under an attack": measures.accuracy_gain("sap", (10.0,)),
    "clean": measures.clean_change(balanced=False),
    "transferred": measures.transfer_gain,
    "distance": measures.distance_gain,
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_measures_pair_the_seeds_that_both_have_wherever_they_stand(tmp_path, measure):
    """On every seed but the first, which only one network has, both are the same."""
    for seed, strength in enumerate((0, 1 / 3, 1)):
        given = {"clean": strength, "right": strength, "distance": 1 + seed}
        for defense in ("adt-1", "at-10")[: 2 if seed else 1]:
            network(tmp_path, defense, strength, seeds=(seed,), **given)
    adt, hardened = (results(tmp_path).one(defense=d) for d in ("adt-1", "at-10"))
    for a, b in ((adt, hardened), (hardened, adt)):
        found = measure(a, b).seeds
        assert (found.n_seeds, found.low, found.high) == (2, 0, 0)


def test_other_pairs_or_examples_are_not_compared(tmp_path):
    field(tmp_path)
    network(tmp_path, "adt-1", arrays={"boundary/original": ORIGINALS[::-1]})
    with pytest.raises(EcgadvError, match="different pairs of records"):
        judged(tmp_path, "A1")
    field(tmp_path / "b", arrays={"id": np.arange(12) + 5}, seeds=1)
    network(tmp_path / "b", "adt-1", seeds=1)
    with pytest.raises(EcgadvError, match="different test examples"):
        judged(tmp_path / "b", "A4")


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"strength": 1}, "supported"),
        ({"strength": 0}, "not supported"),
        ({"strength": 0, "right": 1}, "partly supported"),  # black box alone
        ({"strength": 1, "right": 0}, "partly supported"),  # white box alone
        ({"strength": 0, "sap": 1}, "not supported"),  # both SAPs must be withstood
        ({"strength": 0, "sap": 1, "sap40": 0, "right": 0.5}, "inconclusive"),
    ],
)
def test_a3_follows_its_rule(tmp_path, given, verdict):
    field(tmp_path, 0, but=("at-10",))
    network(tmp_path, "adt-1", 1)  # ADT is not judged here
    network(tmp_path, "at-10", **given)
    assert judged(tmp_path, "A3").verdict == verdict


def test_a3_asks_for_half_of_what_is_above_the_most_frequent_class(tmp_path):
    field(tmp_path, 1, clean=1)
    network(tmp_path, "adt-1")
    cells = {f.measure: f.estimate.value for f in judged(tmp_path, "A3").findings}
    # Half of all records are N, so 3/4 is the bar; a third of the originals is, so 2/3 is.
    assert cells["SAP 20 + 20"] == pytest.approx(1 - 3 / 4)
    assert cells["boundary, transferred"] == pytest.approx(1 - 2 / 3)


def test_a3_shows_the_bar_itself(tmp_path):
    field(tmp_path, 1, clean=1)
    network(tmp_path, "adt-1")
    found = judged(tmp_path, "A3")
    table = found.table("defense")
    assert len(table) == 8
    assert set(table["reached, %"]) == {"100.0"}
    assert dict(zip(table["measure"], table["bar, %"], strict=True)) == {
        reasons.SAP: "75.0",
        reasons.SAP_40: "75.0",
        reasons.TRANSFERRED: "66.7",
    }


def test_a3_needs_all_defenses_only_to_be_refuted(tmp_path):
    for root in (tmp_path, tmp_path / "b"):
        network(root, "adt-1")
    field(tmp_path, 0, but=("nsr-1",))
    found = judged(tmp_path, "A3")
    assert (found.verdict, found.missing) == ("inconclusive", ("NSR regularization",))
    field(tmp_path / "b", 1, but=("nsr-1",))  # one defense that does well is enough
    assert judged(tmp_path / "b", "A3").verdict == "supported"


@pytest.mark.parametrize(
    ("adt", "hardened", "gains", "verdict"),
    [
        ([0, 1, 2], [], [1, 1], "supported"),
        ([0, 1, 2], [0, 1, 2], [0, 0], "not supported"),
        ([0], [1, 2], [0, -1 / 3], "not supported"),
        ([0], [1], [3 / 12, 0], "partly supported"),
    ],
)
def test_a4_follows_its_rule(tmp_path, adt, hardened, gains, verdict):
    network(tmp_path, "ce")
    for defense, classes_read_right in (("adt-1", adt), ("at-10", hardened)):
        right = np.isin(LABELS, classes_read_right)
        read = np.where(right, LABELS, (LABELS + 1) % 3).astype(np.uint8)
        network(tmp_path, defense, arrays={"prediction": read})
    found = judged(tmp_path, "A4")
    assert [f.estimate.value for f in found.findings] == pytest.approx(gains)  # natural, balanced
    assert found.verdict == verdict


def test_what_was_not_run_caps_the_verdict_and_is_named(tmp_path):
    field(tmp_path, 0, but=("nsr-1",))
    network(tmp_path, "adt-1", 1)
    found = judged(tmp_path, "A1")
    assert (found.verdict, found.on_data) == ("partly supported", "supported")
    assert found.missing == ("NSR regularization",)
    assert found.reason.endswith("; not run: NSR regularization.")


def test_a_boundary_attack_that_was_not_run_is_named(tmp_path, monkeypatch):
    plan_without_pairs(monkeypatch, "at-10")
    field(tmp_path, 0)
    network(tmp_path, "adt-1", 1)
    single = "boundary, transferred for adversarial training"
    assert single in judged(tmp_path, "A1").missing
    plan_without_pairs(monkeypatch, "ce", *OTHERS)
    field(tmp_path / "all", 0)
    network(tmp_path / "all", "adt-1", 1)
    missing = judged(tmp_path / "all", "A1").missing
    assert missing == (reasons.TRANSFERRED, reasons.DIRECT)


def test_without_records_there_is_no_verdict(tmp_path):
    network(tmp_path, "adt-1", 1)
    assert [judged(tmp_path, claim) for claim in OF_PAPER_A] == [None] * 4
    network(tmp_path, "ce")
    network(tmp_path, "at-10", 1, seeds=(7,))  # no seed in common
    assert judged(tmp_path, "A4") is None
    assert "**Not run.**" in claims.statement(CLAIMS["A4"], None)


def test_one_seed_is_enough_for_the_full_network_alone(tmp_path):
    for profile, verdict in (("short", "supported"), ("compact", "inconclusive")):
        root = tmp_path / profile
        field(root, 0, seeds=1, profile=profile)
        network(root, "adt-1", 1, seeds=1, profile=profile)
        found = judged(root, "A1")
        assert found.verdict == found.on_data == verdict
        assert found.reason.startswith("One training") == (profile == "compact")


@pytest.mark.parametrize(
    ("others", "on_data", "verdict"),
    [(0, "supported", "partly supported"), (1, "not supported", "inconclusive")],
)
def test_the_narrow_network_settles_nothing(tmp_path, others, on_data, verdict):
    field(tmp_path, others, profile="compact")
    network(tmp_path, "adt-1", 1, profile="compact")
    found = judged(tmp_path, "A1")
    assert (found.on_data, found.verdict) == (on_data, verdict)
    assert found.reason.endswith("; a network narrower than the paper's cannot settle it.")
    assert "only the full one can support the claim or refute it" in found.outlook


def test_our_settings_are_shown_and_do_not_count(tmp_path):
    field(tmp_path, 0)
    network(tmp_path, "adt-1", 1)
    network(tmp_path, "nsr-1", 1, "rescaled")
    found = judged(tmp_path, "A1")
    beside = [f for f in found.findings if not f.counts]
    assert len(beside) == 4
    assert not any(f.above for f in beside)
    assert (found.verdict, found.missing) == ("supported", ())
    text = claims.statement(CLAIMS["A1"], found)
    assert "**Supported.** ADT beats all 4 rivals by all four measures" in text
    assert "lies above 2 percentage points" in text
    told = [name for name in found.table("ADT minus")["ADT minus"] if "does not count" in name]
    assert told == ["NSR, beta 1, per millivolt (does not count)"] * 4


def test_one_seed_of_our_settings_does_not_open_the_verdict(tmp_path):
    field(tmp_path, 0, profile="compact")
    network(tmp_path, "adt-1", 1, profile="compact")
    network(tmp_path, "nsr-1", 0, "rescaled", seeds=1, profile="compact")
    found = judged(tmp_path, "A1")
    assert {f.estimate.seeds.n_seeds for f in found.findings if not f.counts} == {1}
    assert (found.on_data, found.verdict) == ("supported", "partly supported")


def test_the_first_profile_with_adt_and_undefended_is_judged(tmp_path):
    network(tmp_path, "adt-1", profile="paper")
    for profile in ("compact", "short"):
        field(tmp_path, profile=profile)
        network(tmp_path, "adt-1", profile=profile)
    assert claims.evidence(CLAIMS["A1"], stores(tmp_path)).profile == "short"
    assert claims.evidence(CLAIMS["A1"], [Store(tmp_path / "none")]).profile == "paper"
