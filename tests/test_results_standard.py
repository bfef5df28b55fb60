"""What the standard cascade leaves of what a paper's attack leaves, from flags that are known."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import recorded

from ecgadv.evaluation.indicators import Indicator
from ecgadv.experiments.config import Attack
from ecgadv.experiments.store import Record
from ecgadv.results import standard
from ecgadv.results.result import Result

LABEL = "beatwise/mlp/ce/faithful"
CASCADE = ["apgd-ce", "fmn", "square"]


def under_standard(root, *, seed, held, by, value=0.0):
    """A record under the cascade at 0.1, alone, with an indicator of that value."""
    config = recorded.planned("paper-b", "paper", f"{LABEL}-standard")
    config = replace(config, attacks=(Attack("standard", "standard", (0.1,)),))
    flags = {
        "held/standard/0.1": np.array(held, np.uint8),
        "by/standard/0.1": np.array(by, np.uint8),
    }
    folder = recorded.write_record(root, config, seed=seed, flags=flags)
    numbers = json.loads((folder / "metrics.json").read_text())
    indicator = asdict(Indicator("gains from more steps", value, 0.01, 12))
    numbers["attacks"]["standard"] |= {"cascade": CASCADE, "indicators": [indicator]}
    (folder / "metrics.json").write_text(json.dumps(numbers))
    return Record(folder)


@pytest.fixture
def pair(tmp_path):
    """Labels are 6 N, 3 S, 3 V; seed 0 and 2 have both records."""
    config = replace(recorded.planned("paper-b", "paper", LABEL), attacks=recorded.ATTACKS)
    own = [recorded.write_record(tmp_path, config, seed=s, shares=(1, 1, 2 / 3)) for s in (0, 1, 2)]
    nobody, unseen = 255, 255
    first = {
        "held": [1, 0, 0, 0, 0, unseen, 1, 0, 0, 0, 0, 0],
        "by": [nobody, 0, 0, 1, 1, nobody, nobody, 0, 0, 2, 0, 0],
    }
    second = {"held": [0] * 5 + [unseen] + [0] * 6, "by": [0] * 5 + [nobody] + [0] * 6}
    under = [
        under_standard(tmp_path, seed=0, **first, value=0.02),
        under_standard(tmp_path, seed=2, **second),
    ]
    return Result(tuple(map(Record, own))), Result(tuple(under))


def test_both_accuracies_are_of_what_both_met_and_differ_by_the_drop(pair):
    found = standard.drop(*pair, "pgd-100", eps=0.1)
    # The paper's attack left 4 N, 2 S and 2 V; of N the cascade met the first five alone.
    assert found.paper.value == pytest.approx((4 / 5 + 2 / 3 + 2 / 3) / 3)
    assert found.standard.value == pytest.approx((1 / 5 + 1 / 3 + 0) / 3 / 2)
    assert found.drop.value == pytest.approx(found.paper.value - found.standard.value)
    assert found.drop.low <= found.drop.value <= found.drop.high
    assert found.paper.both.n_examples == found.standard.both.n_examples == 11
    assert (found.seeds, found.name) == ((0, 2), "undefended")


def test_who_found_what_is_counted_over_the_seeds(pair):
    found = standard.drop(*pair, "pgd-100", eps=0.1)
    assert found.found == {"apgd-ce": 6 + 11, "fmn": 2, "square": 1}
    assert found.found_by == "apgd-ce 85\u00a0%, fmn 10\u00a0%, square 5\u00a0%"
    assert found.failures == ("gains from more steps",)


def test_networks_without_a_record_under_the_cascade_are_left_out(pair, monkeypatch):
    own, under = pair
    nets = {"faithful": {"ce": own, "nsr-0.4": own}, "faithful-standard": {"ce": under}}
    monkeypatch.setattr(standard, "networks", lambda *a, variant, **k: nets[variant])
    (found,) = standard.drops("paper-b", "paper", "pgd-100", eps=0.1, variant="faithful")
    assert found.standard.value == standard.drop(own, under, "pgd-100", eps=0.1).standard.value


def test_gaps_stand_under_both_attacks_and_none_where_the_cascade_was_not_run(pair, monkeypatch):
    own, under = pair
    nets = {"faithful": {"ce": own, "nsr-0.4": own, "at-0.1": own}}
    nets["faithful-standard"] = {"ce": under, "nsr-0.4": under}
    monkeypatch.setattr(standard, "networks", lambda *a, variant, **k: nets[variant])
    pairs = [("nsr-0.4", "ce"), ("at-0.1", "ce"), ("jacobian-0.9", "ce")]
    both, half = standard.gaps(
        "paper-b", "paper", "pgd-100", pairs=pairs, eps=0.1, variant="faithful"
    )
    # A network minus itself, on each seed and each bootstrap draw.
    assert (both.paper.value, both.standard.low, both.standard.high) == (0, 0, 0)
    assert half.standard is None and half.paper.value == 0


def test_a_gap_is_the_first_minus_the_second_on_the_seeds_of_both(pair, tmp_path, monkeypatch):
    own, under = pair
    other = under_standard(tmp_path / "b", seed=2, held=[1] * 5 + [255] + [0] * 6, by=[255] * 12)
    nets = {"faithful": {"ce": own, "nsr-0.4": own}}
    nets["faithful-standard"] = {"ce": under, "nsr-0.4": Result((other,))}
    monkeypatch.setattr(standard, "networks", lambda *a, variant, **k: nets[variant])
    options = {"pairs": [("nsr-0.4", "ce")], "eps": 0.1, "variant": "faithful"}
    (gap,) = standard.gaps("paper-b", "paper", "pgd-100", **options)
    assert gap.standard.value == pytest.approx(1 / 3)  # all five of N, nothing of S and V
    (gap,) = standard.gaps("paper-b", "paper", "pgd-100", balanced=False, **options)
    assert gap.standard.value == pytest.approx(6 / 12)  # of every class as many as there are
