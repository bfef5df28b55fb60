"""The facts of book/recordings.yml, computed again from the recordings."""

from pathlib import Path

import yaml

from ecgadv.pages import units

STORED = Path(__file__).parents[2] / "book" / "recordings.yml"


def test_the_stored_facts_are_those_of_the_recordings(mitdb):
    again = [units.facts(mitdb, split) for split in units.SPLITS]
    assert yaml.safe_load(STORED.read_text()) == again
