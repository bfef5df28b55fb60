"""The facts of book/heartbeat.yml, counted again on the recordings and on genuine rows."""

from pathlib import Path

import heartbeat
import pytest
import yaml
from heartbeat_rule import CHANGES

STORED = Path(__file__).parents[2] / "book" / "heartbeat.yml"


@pytest.fixture(scope="module")
def again(mitdb, records, genuine):
    return heartbeat.summary(mitdb, records, genuine)


def test_the_stored_facts_are_those_of_the_recordings(mitdb, again):
    stored = yaml.safe_load(STORED.read_text())
    provenance = stored.pop("provenance")
    assert provenance["data"] == f"mitdb {mitdb.fingerprint}"
    assert stored == again


def test_every_single_change_of_the_rule_loses_genuine_rows(again):
    n = again["genuine"]["rows"]
    assert again["rule"] == {"equal": n, "near": n}
    for change in CHANGES:
        # Scaling after the cut touches the few rows that are longer than 187 alone.
        most = n * (1 if change == "scale after the cut" else 0.97)
        assert again["changes"][change]["equal"] < most, change


def test_the_described_rows_are_far_from_the_genuine_ones(again):
    assert again["described"]["near"] == 0
    assert again["described"]["rms"][0] > 0.05
    assert all(example["genuine"] == example["values"] for example in again["examples"])
