"""The facts of book/recordings.yml, computed again from the recordings."""

from pathlib import Path

import voltage as maker
import yaml

from ecgadv.data import voltage

STORED = Path(__file__).parents[2] / "book" / "recordings.yml"


def test_the_stored_facts_are_those_of_the_recordings(mitdb):
    again = [voltage.facts(mitdb, split) for split in maker.SPLITS]
    assert yaml.safe_load(STORED.read_text()) == again
