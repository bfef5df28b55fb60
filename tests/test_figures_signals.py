"""Signals as drawings."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ecgadv import attacks
from ecgadv.data.leads import twelve
from ecgadv.figures import paper, signals


def test_a_signal_stands_above_what_is_added_to_it():
    added = {"PGD": np.full(4, 10.0), "SAP": np.zeros(4)}
    fig, data = signals.attacked(np.arange(4.0), added, fs=2, limit=10)
    plt.close(fig)
    assert len(fig.axes) == 3
    attacked = fig.axes[0].lines[1].get_ydata()  # 10 µV above the signal, in millivolts
    assert attacked == pytest.approx(np.arange(4) + 0.01)
    assert data["time_s"] == [0, 0.5, 1, 1.5]
    assert data["PGD (µV)"] == [10] * 4


def test_sap_kernel_passes_the_frequencies_that_the_protocol_notes():
    """PROTOCOLS 2.5: amplitude gain of the mean kernel at 300 Hz sampling."""
    taps = attacks.sap_kernel().numpy()
    noted = {0: 1, 5: 0.96, 10: 0.85, 20: 0.55, 30: 0.33, 40: 0.22, 60: 0.07, 100: 0.004}
    gain = signals.response(taps, np.array(list(noted)) / 300)
    assert gain == pytest.approx(list(noted.values()), abs=0.006)


def test_twelve_leads_stand_on_square_paper_in_the_order_of_a_clinic():
    """25 mm/s and 10 mm/mV: 0.2 s is as long as 0.5 mV, and a row goes on in time."""
    eight = np.random.default_rng(0).normal(size=(8, 250))
    curves = {"before": twelve(eight), "after": twelve(eight + 0.1)}
    sheets = {"signal": curves, "added": {"added": curves["before"]}}
    fig, data = paper.printed(sheets, fs=100)
    fig.canvas.draw()
    plt.close(fig)
    for axis in fig.axes:
        box, (low, high) = axis.get_window_extent(), axis.get_ylim()
        assert box.width / 10 * 0.2 == pytest.approx(box.height / (high - low) * 0.5, rel=1e-6)
        heights = [line.get_ydata() for line in axis.lines[:12]]  # three rows of four
        assert heights[0].min() > heights[4].max() and heights[4].min() > heights[8].max()
    place = {lead: data["time_s"][data["lead"].index(lead)] for lead in ("I", "aVF", "V2", "V6")}
    assert place == {"I": 0, "aVF": 2.5, "V2": 5, "V6": 7.5}
    assert len(data["mV"]) == 3 * 12 * 250
