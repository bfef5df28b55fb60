"""Frames of results as figures and tables: what they draw, and what their words say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.intervals import seed_interval
from ecgadv.experiments import suites
from ecgadv.figures import views
from ecgadv.figures.panels import NotRun
from ecgadv.results import names

ONE = {
    "experiment": "paper-b",
    "profile": "paper",
    "dataset": "mitdb",
    "split": "beatwise",
    "network": "mlp",
    "defense": "nsr",
    "strength": 0.4,
    "variant": "faithful",
    "attack": "pgd-100",
    "eps": 0.1,
    "unit": "normalised",
    "masked": False,
    "metric": "accuracy",
    "weighting": "class-balanced",
    "class": "all",
    "name": "NSR, beta 0.4",
    "value": 0.5,
    "t_low": 0.2,
    "t_high": 0.8,
    "low": 0.4,
    "high": 0.6,
    "n": 1762,
    "seeds": "0 1 2",
    "keys": "a b c",
}


@pytest.fixture(autouse=True)
def closed():
    """Leave no drawing open."""
    yield
    plt.close("all")


@pytest.fixture
def frame(monkeypatch):
    """Two defenses under two attacks at three levels."""
    monkeypatch.setattr(views, "provenance", lambda frame: {})
    rows = []
    for name, defense, strength in (("undefended", "ce", np.nan), ("NSR, beta 0.4", "nsr", 0.4)):
        own = {"name": name, "defense": defense, "strength": strength}
        for attack, n in (("pgd-100", 21892), ("worst-case", 1762)):
            for eps in (0.0, 0.05, 0.1):
                value = 0.9 - 8 * eps if defense == "ce" else 0.9 - 4 * eps
                rows.append({**ONE, **own, "attack": attack, "eps": eps, "value": value, "n": n})
    return pd.DataFrame(rows)


def test_lines_are_the_rows_of_the_frame(frame):
    drawing = views.lines(frame, what="Accuracy")
    data = pd.DataFrame(drawing.data)
    nsr = data[(data.series == "NSR, beta 0.4") & (data.panel == "worst case of all")]
    assert nsr["class-balanced accuracy"].tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert len(data) == len(frame)
    assert drawing.caption == (
        "Accuracy. MIT-BIH, beatwise split, n = 1,762 to 21,892 test beats, 3 seeds, profile "
        "`paper`. Bands: 95 % bootstrap over seeds and beats."
    )
    assert "NSR, beta 0.4, authors' PGD: 50.0" in drawing.alt and "undefended" in drawing.alt


def test_lines_run_along_the_strength_too(frame):
    some = frame[frame.eps == 0.1].assign(defense="nsr", name="NSR, beta 0.4")
    several = pd.concat([some.assign(strength=s, value=s) for s in (0.4, 0.2)])
    data = pd.DataFrame(
        views.lines(several, x="strength", series="attack", panel="defense", what="Sweep").data
    )
    own = data[data.series == "authors' PGD"]
    assert own["beta of NSR"].tolist() == [0.2, 0.2, 0.4, 0.4]
    assert isinstance(views.lines(some, x="strength", what="One strength"), NotRun)


def test_dots_have_the_bootstrap_within_and_students_interval_from_three_seeds_on(frame):
    for seeds, low in (("0 1 2", 0.2), ("0 1", 0.4)):
        drawing = views.whiskers(frame[frame.eps == 0.1].assign(seeds=seeds), what="At eps 0.1")
        data = pd.DataFrame(drawing.data)
        assert len(data) == 4 and set(data.low) == {low} and set(data.inner_low) == {0.4}
        assert ("Student's t" in drawing.caption) == (low == 0.2)


def test_a_table_has_a_row_a_defense_and_says_what_was_not_run(frame):
    at = frame[(frame.eps == 0.1) & ~((frame.defense == "ce") & (frame.attack == "pgd-100"))]
    table = views.grid(at).columns
    assert table["defense"] == ["undefended", "NSR, beta 0.4"]
    assert table["worst case of all"] == ["10.0", "50.0"]
    assert table["authors' PGD"] == ["not run", "50.0"]
    empty = views.grid(at[at.eps > 1])
    assert empty.columns == {"defense": ["not run"]}
    assert isinstance(views.whiskers(at[at.eps > 1], what="None"), NotRun)


def test_a_cell_has_the_outer_ends_and_two_seeds_stand_for_themselves():
    assert views.interval(ONE) == "50.0 [20.0,\u00a080.0]"
    assert views.interval({**ONE, "n": 13}) == "too few"
    values = np.array([0.25, 0.35])
    t = seed_interval(values)
    two = {**ONE, "value": 0.3, "t_low": t.low, "t_high": t.high, "seeds": "0 1"}
    assert views.by_seed(two) == pytest.approx((0.25, 0.35))
    assert views.interval(two) == "25.0 and 35.0"
    one = {**ONE, "t_low": np.nan, "t_high": np.nan, "seeds": "0"}
    assert views.interval(one) == "50.0 [40.0,\u00a060.0]"
    gap = {**ONE, "value": -0.05, "low": -0.1, "high": 0.01, "t_low": -0.2, "t_high": 0.1}
    assert views.interval({**gap, "reference": "ce"}) == "-5.0 [-20.0,\u00a0+10.0]"
    wide = {**ONE, "t_low": -0.4, "t_high": 1.4}
    assert views.interval(wide) == "50.0 [0.0,\u00a0100.0]"
    small = {**gap, "value": -1e-9, "t_high": 2e-4}  # what rounds to nothing has no minus
    assert views.interval({**small, "reference": "ce"}) == "+0.0 [-20.0,\u00a0+1.0]"
    assert views.percent(-1e-17) == "0.0"


def test_patients_are_drawn_between_patients():
    between = pd.DataFrame([{**ONE, "split": "interpatient"}])
    assert views.bootstrap(between) == "95 % bootstrap over seeds and patients"
    assert "split between patients" in views.sample(between)


@pytest.mark.parametrize(("experiment", "profile"), suites.known())
def test_everything_that_is_planned_has_words_and_a_look(experiment, profile):
    for config, _ in suites.plan(experiment, profile):
        split, network, defense, variant = config.label.split("/")
        for kind, key in (("splits", split), ("networks", network), ("datasets", config.dataset)):
            assert names.known(kind, key)
        assert names.plain(defense, experiment, variant=variant)
        assert names.look_of(defense, experiment, variant) >= 0
        assert all(names.attack_name(attack.name, experiment) for attack in config.attacks)


def test_what_has_no_words_is_told():
    with pytest.raises(EcgadvError, match="no 'other' among the splits of words"):
        names.known("splits", "other")
