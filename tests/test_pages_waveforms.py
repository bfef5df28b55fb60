"""The waveforms of perturbations, which hold no recording."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ecgadv import figures
from ecgadv.figures.panels import NotRun
from ecgadv.figures.signals import added_to_recording
from ecgadv.pages import waveforms


def waveform(folder):
    found = {
        "record": "A00001",
        "class": "N",
        "read_as": {"PGD": "O", "SAP": "AF"},
        "samples": [100, 104],
        "fs": 300.0,
        "eps": 10.0,
        "decimate": 6,
        "fingerprint": "f0",
        "dataset": "challenge-2017",
        "example": 0,
        "profile": "compact",
        "provenance": dict.fromkeys(figures.PROVENANCE, "x") | {"seeds": [0]},
        "microvolts": {"PGD": [10, -10, 10, 10], "SAP": [1, 2, 3, 2]},
    }
    path = folder / "waveforms.yml"
    path.write_text("# A comment.\n" + json.dumps(found))
    return path


def test_waveforms_hold_no_recording(tmp_path):
    drawing = waveforms.drawing(waveform(tmp_path), tmp_path)
    plt.close(drawing.fig)
    assert list(drawing.data) == ["record", "sample", "PGD (µV)", "SAP (µV)"]
    assert drawing.data["sample"] == [100, 101, 102, 103]
    assert "only where the recordings are at hand" in drawing.caption
    assert "plateaus of PGD are 6 samples (20 ms) wide" in drawing.caption
    assert "by at most 20.0 under PGD and 1.0 under SAP" in drawing.alt
    assert isinstance(waveforms.drawing(tmp_path / "none.yml", tmp_path), NotRun)


def test_a_recording_stands_above_its_perturbations():
    added = {"PGD": np.ones(4), "SAP": np.zeros(4)}
    fig = added_to_recording(added, fs=300, start=0, limit=10, recording=np.arange(4.0))
    assert len(fig.axes) == 3
    assert fig.axes[0].lines[0].get_ydata().max() == pytest.approx(0.003)
    plt.close(fig)
