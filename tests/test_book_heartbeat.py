"""The rule of the heartbeat csv written out a second time, and the stored facts of its page."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from heartbeat_rule import CHANGES, DESCRIBED_FS, described, row

from ecgadv.data.mitbih import Record

STORED = Path(__file__).parents[1] / "book" / "heartbeat.yml"


def test_every_change_of_the_rule_is_stored_with_the_step_it_changes():
    found = yaml.safe_load(STORED.read_text(encoding="utf-8"))
    kept = {name: (c["step"], c["instead"]) for name, c in found["changes"].items()}
    assert kept == CHANGES
    assert {step for step, _ in CHANGES.values()} == set(range(1, 7))
    assert found["described"]["fs"] == DESCRIBED_FS
    assert all(example["genuine"] == example["values"] for example in found["examples"])


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
