"""The verdicts on the claims about NSR regularization, on records written by hand."""

import pytest
from recorded import LEVELS, held, write

from ecgadv import claims
from ecgadv.experiments.store import Store

pytestmark = pytest.mark.usefixtures("few_attacks")


def claim(id, *, datasets=("mitdb",)):
    margin = {"B1": 0.1, "B2": 0.02}[id]
    return {"id": id, "text": "T.", "rule": {"margin": margin, "datasets": datasets, "text": "R."}}


def stores(root):
    return [Store(root), Store(root / "released")]


def pair(root, nsr, plain, *, clean=(1.0, 1.0), seeds=2):
    """Write NSR and undefended networks, MLP and CNN, and return their stores."""
    for seed in range(seeds):
        for network, beta in (("mlp", "0.4"), ("cnn", "0.3")):
            label = f"beatwise/{network}/nsr-{beta}/faithful"
            write(root, label, seed=seed, shares=(nsr,) * 3, clean=clean[0])
            label = f"beatwise/{network}/ce/faithful"
            write(root, label, seed=seed, shares=(plain,) * 3, clean=clean[1])
    return stores(root)


@pytest.mark.parametrize(
    ("nsr", "undefended", "verdict"),
    [(1, 0, "supported"), (1 / 3, 1 / 3, "not supported"), (0, 1, "not supported")],
)
def test_b1_follows_its_rule(tmp_path, nsr, undefended, verdict):
    found = claims.judge(claim("B1"), pair(tmp_path, nsr, undefended))
    assert found.verdict == found.on_data == verdict
    assert found.missing == ()
    assert len(found.findings) == 6  # three attacks on two networks


def test_b1_is_partly_supported_where_only_some_attacks_show_it(tmp_path):
    broken = {f"held/sap/{eps:g}": held(0) for eps in LEVELS}
    for seed in range(2):
        for network, beta in (("mlp", "0.4"), ("cnn", "0.3")):
            write(tmp_path, f"beatwise/{network}/nsr-{beta}/faithful", seed=seed, flags=broken)
            write(tmp_path, f"beatwise/{network}/ce/faithful", seed=seed, shares=(0, 0, 0))
    assert claims.judge(claim("B1"), stores(tmp_path)).verdict == "partly supported"


@pytest.mark.parametrize(
    ("sap", "others", "verdict"),
    [
        ((1, 0), (1, 1), "partly supported"),  # SAP does not decide, the others show it
        ((1, 0), (0, 0), "inconclusive"),  # nor do the others, which show the opposite
    ],
)
def test_b1_where_an_attack_does_not_decide(tmp_path, sap, others, verdict):
    for seed in range(2):
        flags = {f"held/sap/{eps:g}": held(sap[seed]) for eps in LEVELS}
        for network, beta in (("mlp", "0.4"), ("cnn", "0.3")):
            label = f"beatwise/{network}/nsr-{beta}/faithful"
            write(tmp_path, label, seed=seed, shares=(others[seed],) * 3, flags=flags)
            write(tmp_path, f"beatwise/{network}/ce/faithful", seed=seed, shares=(0, 0, 0))
    found = claims.judge(claim("B1"), stores(tmp_path))
    by_sap = [f for f in found.findings if "SAP" in f.measure]
    assert not any(f.above or f.below for f in by_sap)
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("clean", "verdict"),
    [((1, 1), "supported"), ((1, 2 / 3), "supported"), ((0, 1), "not supported")],
)
def test_b2_follows_its_rule(tmp_path, clean, verdict):
    found = claims.judge(claim("B2"), pair(tmp_path, 0, 0, clean=clean))
    assert found.verdict == verdict
    assert {f.threshold for f in found.findings} == {-0.02}


def test_what_was_not_run_caps_the_verdict_and_is_named(tmp_path):
    found = claims.judge(claim("B1", datasets=("mitdb", "cpsc2018")), pair(tmp_path, 1, 0))
    assert (found.verdict, found.on_data) == ("partly supported", "supported")
    assert found.missing == ("CPSC2018",)
    assert found.reason.endswith("; not run: CPSC2018.")
    table = found.table("network")
    assert table["measure"][2:4] == ["AUC(0.1) under SAP"] * 2
    assert table["network"][2:4] == ["MLP", "CNN"]
    assert (table["difference"][2], table["n; seeds"][2]) == ("+95.0", "12; 2")


def test_a_network_of_another_profile_decides_nothing(tmp_path):
    for defense in ("ce", "nsr-0.4"):
        write(tmp_path, f"beatwise/mlp/{defense}/faithful")
    for defense in ("ce", "nsr-0.3"):
        write(tmp_path, f"beatwise/cnn/{defense}/faithful", profile="compact")
    found = claims.judge(claim("B1"), stores(tmp_path))
    assert {f.subject for f in found.findings} == {"MLP"}
    assert found.missing == ("CNN",)


def test_one_seed_decides_nothing(tmp_path):
    assert claims.judge(claim("B1"), pair(tmp_path, 1, 0, seeds=1)).verdict == "inconclusive"


def test_a_network_with_one_seed_is_left_out_beside_one_with_two(tmp_path):
    pair(tmp_path, 1, 0, seeds=1)
    for defense, share in (("nsr-0.4", 1), ("ce", 0)):
        write(tmp_path, f"beatwise/mlp/{defense}/faithful", seed=1, shares=(share,) * 3)
    found = claims.judge(claim("B1"), stores(tmp_path))
    assert (found.on_data, found.verdict) == ("supported", "partly supported")
    assert {f.subject for f in found.findings} == {"MLP"}
    assert found.missing == ("CNN",)


def test_without_records_there_is_no_verdict(tmp_path):
    write(tmp_path, "beatwise/mlp/ce/faithful")
    assert claims.judge(claim("B1"), stores(tmp_path)) is None
