"""The strength that a rule takes, from scores written by hand."""

import pandas as pd
import pytest

from ecgadv import results
from ecgadv.errors import EcgadvError
from ecgadv.experiments import suites
from ecgadv.experiments.suites import twelve_leads

PLANNED = {"nsr": (1.0, 0.3, 3.0), "at": (0.01, 0.03)}


def rows(scores, attack="pgd-20", seeds="0"):
    """Two levels each, whose mean is the score."""
    return pd.DataFrame(
        {
            "defense": defense,
            "strength": strength,
            "name": f"{defense} {strength:g}",
            "keys": "k",
            "attack": attack,
            "seeds": seeds,
            "eps": eps,
            "value": score + change,
        }
        for (defense, strength), score in scores.items()
        for eps, change in ((0.0, 0.2), (0.01, -0.2))
    )


def test_the_largest_mean_is_chosen_and_of_equal_ones_the_smallest_strength():
    frame = rows({("nsr", 3.0): 0.5, ("nsr", 1.0): 0.5, ("nsr", 0.3): 0.25, ("at", 0.01): 0.75})
    found = results.chosen(frame, PLANNED).set_index("name")
    assert found.score.to_dict() == pytest.approx(
        {"nsr 3": 0.5, "nsr 1": 0.5, "nsr 0.3": 0.25, "at 0.01": 0.75}
    )
    assert found.chosen.to_dict() == {"nsr 3": False, "nsr 1": True, "nsr 0.3": False} | {
        "at 0.01": None  # 0.03 was not run
    }


def test_the_undefended_network_has_no_strength_and_nothing_run_gives_nothing():
    scores = {("nsr", 1.0): 0.5, ("ce", float("nan")): 0.9}
    assert list(results.chosen(rows(scores), PLANNED).name) == ["nsr 1"]
    assert results.chosen(rows(scores)[:0], PLANNED).empty


@pytest.mark.parametrize("odd", ["attack", "seeds", "level"])
def test_scores_that_cannot_be_compared_are_refused(odd):
    frame = rows({("nsr", 1.0): 0.5, ("nsr", 0.3): 0.5})
    if odd == "level":
        frame = frame[1:]
    else:
        frame.loc[0, odd] = "other"
    with pytest.raises(EcgadvError, match="same seeds and noise levels"):
        results.chosen(frame, PLANNED)


def test_what_is_compared_is_what_the_suite_puts_on_the_validation_part():
    labels = [config.label.split("/") for config, _ in suites.plan("twelve-leads", "compact")]
    planned = {defense for split, _, defense, _ in labels if split == "validation"} - {"ce"}
    compared = {f"{name}-{s:g}" for name, own in twelve_leads.strengths().items() for s in own}
    assert compared == planned
