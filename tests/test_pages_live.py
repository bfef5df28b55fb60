"""What pages say of voltage, and what they compute before the reader's eyes on demo networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from recorded import results

from ecgadv import attacks
from ecgadv.errors import EcgadvError
from ecgadv.figures import signals
from ecgadv.models import build
from ecgadv.pages import live, units

BOOK = Path(__file__).parents[1] / "book"
FACTS = {"unit_microvolts": {"low": 1000.0, "median": 2000.0, "high": 4000.0}}


def rows(table):
    return list(zip(*table.columns.values(), strict=True))


def test_sap_kernel_passes_the_frequencies_that_the_protocol_notes():
    """PROTOCOLS 2.5: amplitude gain of the mean kernel at 300 Hz sampling."""
    taps = attacks.sap_kernel().numpy()
    noted = {0: 1, 5: 0.96, 10: 0.85, 20: 0.55, 30: 0.33, 40: 0.22, 60: 0.07, 100: 0.004}
    gain = signals.response(taps, np.array(list(noted)) / 300)
    assert gain == pytest.approx(list(noted.values()), abs=0.006)


def test_units_in_microvolts(synthetic):
    found = units.facts(synthetic, "beatwise")
    assert found["test_beats"] == 1200
    spread = found["unit_microvolts"]
    assert 0 < spread["low"] < spread["median"] < spread["high"]
    text = units.in_words(FACTS, 0.05)
    assert "100 µV in the median test beat (50 to 200 µV" in text
    assert "not known" in units.in_words(None, 0.05)


def test_stored_facts_are_found_by_fingerprint(synthetic):
    run = {"data": {"name": "synthetic", "fingerprint": synthetic.fingerprint}}
    assert units.stored(BOOK / "recordings.yml", run, "beatwise")["dataset"] == "synthetic"
    run = {"data": {"name": "mitdb", "fingerprint": "another"}}
    assert units.stored(BOOK / "recordings.yml", run, "beatwise") is None
    real = rows(units.table(BOOK / "recordings.yml", levels=(0.1,)))
    assert [row[1] for row in real if row[0].startswith("mitdb")] == ["21,892", "49,690"]
    assert any("200 µV (104 to 393), 2.0 mm" in row[-1] for row in real)  # 10 mm a millivolt
    text = units.plain_to_see(BOOK / "recordings.yml", levels=(0.01, 0.05, 0.1))
    assert "mitdb: eps 0.05 (1.0 mm), eps 0.1 (2.0 mm)" in text


@pytest.fixture(scope="module")
def subject(synthetic):
    torch.manual_seed(0)
    model = build("beat-mlp", length=synthetic.x.shape[-1], classes=5)
    index = np.concatenate([np.flatnonzero(synthetic.y == c)[:4] for c in range(5)])
    x, y = torch.from_numpy(synthetic.x[index]), torch.from_numpy(synthetic.y[index])
    mask = torch.from_numpy(synthetic.mask(index))
    return live.Subject("untrained", model, x, y, mask, index, synthetic)


def test_shown_perturbations_keep_to_the_budget_in_microvolts(subject):
    signal, unit = live.in_millivolts(subject, 3)
    added, read_as = live.perturbations(subject, 3, eps=0.05, steps=12)
    assert len(signal) == subject.dataset.length[subject.index[3]]
    for name, change in added.items():
        assert change.shape == signal.shape
        assert np.abs(change).max() <= 50 * unit * (1 + 1e-4)
        assert read_as[name] in subject.dataset.classes
    steps = np.abs(np.diff(added["PGD"])).max()
    assert np.abs(np.diff(added["SAP"])).max() < steps  # smooth beside square


def test_live_accuracy_falls_with_eps(subject):
    for line in live.against_eps(subject, (0.01, 0.3), steps=5).values():
        assert line.y[0] >= line.y[1] - 1e-9 and line.y[1] >= 0
        assert list(line.x) == [0, 0.01, 0.3]


def test_a_missing_demo_network_is_told_with_its_command(tmp_path):
    with pytest.raises(EcgadvError, match="ecgadv run paper-b --profile demo"):
        live.demo(results(tmp_path), "at-0.1")
