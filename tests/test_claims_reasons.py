"""Why a verdict follows, in words: every way that a sentence can go."""

import pytest

from ecgadv.claims import finding, reasons, rules
from ecgadv.claims.finding import Finding
from ecgadv.evaluation.intervals import Interval
from ecgadv.results.estimate import Estimate

VALUES = {"+": 0.5, "-": -0.5, "?": 0.0}  # above, below and around a threshold of 0.1
A1 = (reasons.SAP, reasons.SAP_40, reasons.TRANSFERRED, reasons.DIRECT)
A3 = (reasons.SAP, reasons.SAP_40, reasons.TRANSFERRED)
MORE, LESS = "+50.0\u00a0points [+40.0,\u00a0+60.0]", "-50.0\u00a0points [-60.0,\u00a0-40.0]"
OPEN = "+0.0\u00a0points [-20.0,\u00a0+20.0]"


def cell(measure, subject, sign):
    """A finding that lies above, below or around its threshold, or None where it was not run."""
    if sign == " ":
        return None
    value, half = VALUES[sign], 0.2 if sign == "?" else 0.1
    ends = Interval(value, value - half, value + half, 0.95, 2, 12)
    return Finding(measure, subject, "mitdb", Estimate(ends, ends), 0.1)


def grid(measures, **rows):
    """Rows of signs, one a measure, by subject."""
    return {
        (what, subject): cell(what, subject, sign)
        for place, what in enumerate(measures)
        for subject, signs in rows.items()
        for sign in signs[place]
    }


def said(reason, weigh, found):
    return reason(found, weigh(found))


@pytest.mark.parametrize(
    ("signs", "sentence"),
    [
        ("++", f"ADT improves on it in overall accuracy and the class mean: {MORE}"),
        ("--", f"ADT does not improve on it in overall accuracy or the class mean: {LESS}"),
        ("??", f"Whether ADT improves on it in overall accuracy or the class mean is open: {OPEN}"),
        ("+-", f"ADT improves on it in overall accuracy, but not in the class mean: {LESS}"),
        ("+?", f"ADT improves on it in overall accuracy; open in the class mean: {OPEN}"),
        ("?-", f"ADT does not improve on it in the class mean: {LESS}; open in overall accuracy"),
    ],
)
def test_each_number_is_a_part_of_the_claim(signs, sentence):
    each = reasons.Each("ADT improves on it", "ADT does not improve on it", "in")
    found = grid((reasons.NATURAL, reasons.BALANCED), rival=signs)
    assert said(each, rules.weigh_each, found) == sentence


def test_networks_are_named_where_they_disagree():
    found = grid((reasons.AREA_SAP, reasons.AREA_ALL), MLP="+-", CNN="++")
    assert said(reasons.GAINS, rules.weigh_each, found) == (
        "NSR gains substantially under SAP and all attacks together (CNN), "
        f"but not under all attacks together (MLP): {LESS}"
    )


@pytest.mark.parametrize(
    ("rivals", "sentence"),
    [
        ("++", f"ADT beats all 2 rivals at low noise; nearest is a: {MORE}"),
        ("+-", f"ADT beats 1 of 2 rivals at low noise, but not b: {LESS}"),
        ("+?", f"ADT beats 1 of 2 rivals at low noise, but not clearly b: {OPEN}"),
        ("--", f"ADT beats none of 2 rivals at low noise (not a: {LESS})"),
        ("??", f"ADT beats none of 2 rivals at low noise (not clearly a: {OPEN})"),
    ],
)
def test_rivals_by_one_measure(rivals, sentence):
    found = grid((reasons.LOW_PGD,), **dict(zip("ab", rivals, strict=True)))
    assert said(reasons.beating, rules.weigh_grid, found) == sentence


@pytest.mark.parametrize(
    ("a", "b", "verdict", "sentence"),
    [
        (
            *("++++", "++++", "supported"),
            f"ADT beats all 2 rivals by all four measures; nearest is a under SAP: {MORE}",
        ),
        (
            *("++++", "+-++", "partly supported"),
            f"ADT beats 1 of 2 rivals by all four measures, but not b under longer SAP: {LESS}",
        ),
        (
            *("+-+-", "++-?", "partly supported"),
            "ADT beats 2 of 2 rivals under SAP, none by the boundary attack's distance (not a: "
            f"{LESS.replace('points', '%')}), and none by all four measures",
        ),
        (
            *("----", "++?-", "not supported"),
            f"ADT beats 1 of 2 rivals under SAP (not a: {LESS}), none on transferred boundary "
            "examples, and none by all four measures",
        ),
        (
            *("????", "????", "inconclusive"),
            f"ADT beats none of 2 rivals by any of four measures (not clearly a under SAP: {OPEN})",
        ),
    ],
)
def test_rivals_by_four_measures(a, b, verdict, sentence):
    found = grid(A1, a=a, b=b)
    assert rules.weigh_grid(found) == verdict
    assert said(reasons.beating, rules.weigh_grid, found) == sentence


@pytest.mark.parametrize(
    ("a", "b", "verdict", "sentence"),
    [
        (
            *("+++", "---", "supported"),
            f"A does well under SAP and on transferred boundary examples: {MORE} above what counts "
            "as well",
        ),
        (
            *("++-", "---", "partly supported"),
            "1 of 2 defenses does well under SAP; no defense does well on transferred boundary "
            f"examples: the best, a, lies {LESS} from what counts as well",
        ),
        (
            *("++-", "--+", "partly supported"),
            "1 of 2 defenses does well under SAP; 1 of 2 defenses does well on transferred "
            "boundary examples, but none does both",
        ),
        (
            *("+--", "---", "not supported"),
            f"No defense does well under SAP: the best, a, lies {LESS} from what counts as well; "
            "no defense does well on transferred boundary examples",
        ),
        (
            *("??-", "---", "inconclusive"),
            f"No defense clearly does well under SAP: the best, a, lies {OPEN} from what counts as "
            "well; no defense does well on transferred boundary examples",
        ),
        (
            *("-- ", "-- ", "inconclusive"),
            f"No defense does well under SAP: the best, a, lies {LESS} from what counts as well",
        ),
    ],
)
def test_defenses_that_are_judged(a, b, verdict, sentence):
    found = grid(A3, a=a, b=b)
    assert rules.weigh_defenses(found) == verdict
    assert said(reasons.well, rules.weigh_defenses, found) == sentence


def test_one_training_and_gaps_and_a_narrow_network_are_told():
    found = grid((reasons.AREA_SAP,), MLP="+")
    assert reasons.one_seed(list(found.values())) == (
        f"One training of each network decides nothing: AUC(0.1) under SAP, {MORE}"
    )
    assert reasons.limits((), narrow=False) == "."
    assert reasons.limits(("CNN", "CPSC2018"), narrow=True) == (
        "; not run: CNN and CPSC2018; a network narrower than the paper's cannot settle it."
    )


def judgement(signs, *, missing=(), best="supported", worst="not supported"):
    found = tuple(grid((reasons.NATURAL, reasons.BALANCED), MLP=signs).values())
    kept = finding.Judgement("B2", best, best, "", found, missing, "paper", best, worst)
    return kept.outlook


def test_the_outlook_says_what_would_change_the_verdict():
    assert judgement("++") == "Only other attacks, networks or data can change it."
    assert judgement("+?") == (
        "If all that is open or was not run spoke for it: **supported**; if all spoke against it: "
        "**not supported**. 1 of 2 numbers are open."
    )
    assert judgement("+-", missing=("CNN",), worst="supported") == (
        "Whatever is open or was not run, it stays **supported**."
    )
