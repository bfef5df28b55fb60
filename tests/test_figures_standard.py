"""Tables of the standard cascade: what each row is called, and what was not run."""

from ecgadv.evaluation.intervals import Interval
from ecgadv.figures import standard
from ecgadv.results.estimate import Estimate
from ecgadv.results.standard import Drop, Gap


def estimate(value, low, high, seeds=2):
    interval = Interval(value, low, high, 0.95, seeds, 100)
    return Estimate(interval, interval)


MORE, OPEN = estimate(0.2, 0.1, 0.3, seeds=3), estimate(-0.1, -0.2, 0.05)


def test_a_gap_that_is_clear_is_told_and_what_was_not_run_says_so():
    gaps = [Gap("NSR", "undefended", MORE, OPEN), Gap("Jacobian", "undefended", OPEN, None)]
    assert standard.gaps(gaps).columns == {
        "defense": ["NSR", "Jacobian"],
        "authors' PGD": ["+20.0 [+10.0,\u00a0+30.0]", "-10.0 [-20.0,\u00a0+5.0]"],
        "authors' PGD: holds": ["more", "no clear difference"],
        "standard": ["-10.0 [-20.0,\u00a0+5.0]", "not run"],
        "standard: holds": ["no clear difference", ""],
        "seeds": ["3 and 2", "2"],
    }


def test_rows_are_named_after_the_side_that_changes():
    found = standard.gaps([Gap("ADT", name, MORE, MORE) for name in ("none", "NSR")], paper="SAP")
    assert found.columns["defense"] == ["none", "NSR"]
    assert list(found.columns)[1:3] == ["SAP", "SAP: holds"]
    assert standard.gaps([Gap("NSR", "none", MORE, None)]).columns["defense"] == ["NSR"]
    assert "not run" in standard.gaps([])._repr_markdown_()


def test_a_drop_says_who_broke_what_and_which_checks_failed():
    kinds = {"found": {"fmn": 3, "apgd-ce": 1}, "seeds": (0, 2), "failures": ("unseen", "noise")}
    quiet = {"found": {"fmn": 0}, "seeds": (0,), "failures": ()}
    rows = [Drop(name, MORE, MORE, OPEN, **about) for name, about in (("a", kinds), ("b", quiet))]
    columns = standard.drops(rows).columns
    assert columns["broken first by"] == ["fmn 75\u00a0%, apgd-ce 25\u00a0%", "none broke any"]
    assert columns["checks that failed"] == ["unseen, noise", "none"]
    assert columns["seeds"] == [2, 1]
    assert columns["drop, points"][0] == "-10.0 [-20.0,\u00a0+5.0]"
