"""The page on the heartbeat csv, from its stored facts."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from heartbeat_rule import CHANGES, described, row
from matplotlib import pyplot as plt

from ecgadv.data.mitbih import Record
from ecgadv.errors import EcgadvError
from ecgadv.pages import heartbeat

STORED = Path(__file__).parents[1] / "book" / "heartbeat.yml"


@pytest.fixture(scope="module")
def found():
    return heartbeat.load(STORED)


def test_the_answers_are_short_and_have_their_numbers(found):
    text = heartbeat.in_short(found)
    bullets = text.splitlines()
    assert len(bullets) == 5
    assert max(len(bullet.split()) for bullet in bullets) <= 31  # the star among them
    # 125 / 120 - 1 = 0.0417; 4,517 of 109,446 rows; 21,044 of 21,892 beats.
    assert re.findall(r"[\d.]+(?= [%H])", text) == ["100", "120", "4", "4.1", "96"]


def test_numbers_change_with_the_facts(found):
    other = copy.deepcopy(found)
    other["rule"]["equal"] -= 5
    assert "Ours equal 99 %" in heartbeat.in_short(other)
    assert heartbeat.evidence(other).columns["of 500 rows equal, %"][0] == "99.0"


def test_every_change_of_the_rule_is_shown_with_the_step_it_changes(found):
    assert set(heartbeat.CHANGES) == set(CHANGES) == set(found["changes"])
    assert {step for step, _ in heartbeat.CHANGES.values()} == set(range(1, 7))
    table = heartbeat.evidence(found)
    shares = dict(zip(table.columns["instead"], table.columns["of 500 rows equal, %"], strict=True))
    assert (
        shares["counting annotations of beats alone"]
        == f"{found['changes']['beats alone']['equal'] / 5:.1f}"
    )


def test_the_drawing_has_both_forms_of_each_example(found):
    drawn = heartbeat.drawing(found)
    plt.close(drawn.fig)
    columns = {name: np.array(values) for name, values in drawn.data.items()}
    for title, example in zip(dict.fromkeys(columns["panel"]), found["examples"], strict=True):
        assert f"record {example['record']}, class {example['class']}" in title
        for label, key in (
            ("csv", "values"),
            ("ours", "values"),
            ("described, 125 Hz", "described"),
        ):
            here = (columns["panel"] == title) & (columns["signal"] == label)
            assert columns["value"][here].tolist() == example[key]
            assert columns["position in the row"][here].tolist() == list(range(len(example[key])))


def test_rows_that_are_not_equal_are_not_drawn_as_equal(found):
    other = copy.deepcopy(found)
    other["examples"][1]["equal"] = False
    with pytest.raises(EcgadvError, match=f"record {other['examples'][1]['record']}, annotation"):
        heartbeat.drawing(other)


def test_missing_facts_are_told_in_one_line(tmp_path):
    with pytest.raises(EcgadvError, match=r"python book/heartbeat\.py RECORDINGS CSV"):
        heartbeat.load(tmp_path / "heartbeat.yml")


def test_the_described_form_of_a_steady_rhythm():
    """A cosine with a peak each second: 150 samples at 125 Hz from a peak on."""
    time = np.arange(360 * 40)
    signal = np.rint(1000 * np.cos(2 * np.pi * time / 360)).astype(int)
    samples = np.arange(0, len(time), 360)
    record = Record("a", signal, 200.0, samples, np.full(len(samples), "N"))
    values, length = described(record)(12)
    assert length == 150  # 1.2 intervals of 125 samples
    expected = (1 + np.cos(2 * np.pi * np.arange(150) / 125)) / 2
    np.testing.assert_allclose(values[:150], expected, atol=2e-3)
    assert not values[150:].any()


def test_a_row_from_the_peak_starts_at_the_highest_of_seven_samples():
    signal = np.zeros(1000, int)
    signal[[98, 104]] = 50, 90  # the second is four samples from the annotation
    made = row(signal, [100, 400, 700], [True] * 3, 0, "from the peak")
    assert np.flatnonzero(made).tolist() == [0, 2]
    assert made[[0, 2]] == pytest.approx([50 / 90, 1])
