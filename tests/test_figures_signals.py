"""Signals as drawings."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ecgadv import attacks
from ecgadv.figures import signals


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
