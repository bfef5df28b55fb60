"""The facts of book/recordings.yml, computed again from the recordings."""

from pathlib import Path

import voltage
import yaml

STORED = Path(__file__).parents[2] / "book" / "recordings.yml"


def test_the_stored_facts_are_those_of_the_recordings(mitdb):
    stored = yaml.safe_load(STORED.read_text())
    assert [fact for fact in stored if fact["dataset"] == "mitdb"] == voltage.facts(mitdb)
