"""What runs will take: which records time it, and what is there already."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import recorded

from ecgadv.experiments import expected
from ecgadv.experiments.config import as_dict, training_key

PRINTS = {"mitdb": "data"}
CE = recorded.planned("paper-b", "paper", "beatwise/mlp/ce/faithful")
NSR, OTHER = (
    recorded.planned("paper-b", "paper", f"beatwise/mlp/nsr-{b}/faithful") for b in (0.4, 0.3)
)
CASCADE = recorded.planned("paper-b", "paper", "beatwise/mlp/ce/faithful-standard")
CNN = recorded.planned("paper-b", "paper", "beatwise/cnn/ce/faithful")


@pytest.fixture
def record(tmp_path):
    """Makes a record whose training took 100 s, and whose attacks so many if they are timed."""
    weights = tmp_path / "weights"
    weights.touch()

    def made(config, seed=0, *, attacks=10.0, untimed=False, bare=False):
        return SimpleNamespace(
            config=as_dict(config),
            weights=Path("gone") if bare else weights,
            attack_seconds=attacks,
            untimed=untimed,
            run={
                "training": {"seconds": 100.0, "key": training_key(config, seed, "data")},
                "data": {"fingerprint": "data"},
            },
        )

    return made


def took(records, *runs):
    return expected.seconds(runs, records, PRINTS)


def test_the_same_label_counts_first_then_the_same_network_and_loss(record):
    assert took([record(NSR)], (NSR, 1)) == [110]
    near = [record(NSR, attacks=30.0), record(OTHER, attacks=10.0)]
    assert took(near, (OTHER, 1)) == [110]
    # Of another strength the loss is the same, and the attacks are those of every network.
    assert took(near[:1], (OTHER, 0)) == [130]
    assert took([record(CE, attacks=20.0)], (NSR, 0)) == [None]  # nobody trained with that loss
    assert took([], (NSR, 0)) == [None]


def test_weights_that_are_there_or_shared_are_trained_once(record):
    done = [record(CE, 0), record(CASCADE, 0, attacks=50.0)]
    assert took(done, (CASCADE, 0)) == [50]
    assert took(done, (CASCADE, 1), (CE, 1), (CASCADE, 2)) == [150, 10, 150]
    assert took([record(CE, 0, bare=True)], (CE, 0)) == [110]  # its weights were left out


def test_attacks_that_were_not_timed_or_are_others_say_nothing(record):
    assert took([record(CE, untimed=True)], (CE, 1)) == [None]
    timed = record(CE, attacks=40.0)
    assert took([record(CE, untimed=True), timed], (CE, 1)) == [140]
    assert took([record(CE)], (CASCADE, 0)) == [None]
    assert took([record(CE)], (CNN, 0)) == [None]  # another network
    older = replace(CE, profile="compact")
    assert took([record(older)], (CE, 0)) == [None]


def test_the_fingerprint_of_most_records_stands_for_data_that_are_not_here(record):
    records = [record(CE), record(NSR), record(OTHER)]
    records[0].run["data"]["fingerprint"] = "old"
    assert expected.fingerprint("mitdb", records) == "data"
    assert expected.fingerprint("ptb-xl", records) == ""
