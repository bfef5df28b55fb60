"""Tables, figures and sentences of the results: what is there, what was not run, in which unit."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from recorded import results, write

from ecgadv import figures
from ecgadv.errors import EcgadvError
from ecgadv.figures import panels
from ecgadv.pages import live
from ecgadv.results.paired import difference

pytestmark = pytest.mark.usefixtures("few_attacks")

BOOK = Path(__file__).parents[1] / "book"
REPORTED = BOOK / "reported.yml"
PATIENTS = np.array(["100", "213", "232"] * 4)  # each has beats of every class
FACTS = {"unit_microvolts": {"low": 1000.0, "median": 2000.0, "high": 4000.0}}


@pytest.fixture
def mlp(tmp_path):
    """Undefended and NSR networks with two seeds; the other defenses were not run."""
    for seed in range(2):
        write(tmp_path, "beatwise/mlp/ce/faithful", seed=seed, shares=(2 / 3, 0, 0))
        write(tmp_path, "beatwise/mlp/nsr-0.4/faithful", seed=seed, shares=(1, 1, 1 / 3))
        write(tmp_path, "beatwise/mlp/nsr-0.5/faithful", seed=seed, shares=(1, 1, 2 / 3))
    return results(tmp_path)


def test_between_patients_the_bootstrap_draws_patients(tmp_path):
    """Two of three patients hold all their beats: one may be drawn three times, or not at all."""
    fails = {"held/sap/0.1": (PATIENTS != "232").astype(np.uint8), "record": PATIENTS}
    write(tmp_path, "beatwise/mlp/ce/faithful", flags=fails)
    write(tmp_path, "interpatient/mlp/at-0.1/faithful", flags=fails)
    write(tmp_path, "interpatient/mlp/nsr-0.4/faithful")  # older: it does not say whose they are
    for seed, told in enumerate((fails, {"held/sap/0.1": fails["held/sap/0.1"]})):
        write(tmp_path, "interpatient/mlp/ce/faithful", seed=seed, flags=told)
    found = results(tmp_path)
    assert found.one(split="beatwise").patients is None
    between = {r.defense: r for r in found.pick(split="interpatient")}
    assert between["ce"].patients.tolist() == PATIENTS.tolist()  # as seed 0 says
    ends = between["ce"].accuracy("sap", 0.1).both
    assert (ends.low, ends.high) == (0, 1)
    for pair, expected in (
        (("ce", "at-0.1"), (0, 0)),  # the same patients are drawn for both
        (("ce", "nsr-0.4"), (-1, 0)),
        (("nsr-0.4", "ce"), (0, 1)),
    ):
        gap = difference(*(between[defense] for defense in pair), "sap", eps=0.1).both
        assert (gap.low, gap.high) == expected


def test_dots_of_nothing_are_refused():
    with pytest.raises(EcgadvError, match="dots of nothing"):
        panels.dots({"a": {}}, value="x")


def test_dots_keep_missing_ends_out_of_the_csv():
    fig, data = panels.dots(
        {"a": {"s": panels.Dot(0.5)}, "b": {"t": panels.Dot(0.1, 0, 1, 0.05, 0.3)}}, value="x"
    )
    plt.close(fig)
    assert data["low"] == [None, 0]
    assert data["inner_high"] == [None, 0.3]
    assert data["x"] == [0.5, 0.1]


def test_learning_curves_start_at_one(mlp):
    lines = live.learning_curves(mlp.all[:1])
    assert lines["undefended"].y == [1.0, 0.5]


def test_it_is_said_whether_nsr_has_the_lowest_ratio():
    def told(nsr):
        ratios = [4.0, nsr, 2.0]
        names = ["undefended", "NSR, beta 0.4", "Jacobian, beta 0.9"]
        return live.lowest_ratio(figures.Table({"network": names, live.RATIO: ratios}))

    assert "NSR, beta 0.4 has the lowest" in told(1.0)
    assert "does not have the lowest one here:** its median is 3.00, that of Jac" in told(3.0)
