"""What `make faults` counts as which outcome, and the table that it prints and writes."""

from types import SimpleNamespace

import pytest
import yaml
from faults import __main__ as faults
from faults.outcomes import LEFT, OTHER, REFUSED, SAME, TRACEBACK, Case, judged

from ecgadv.errors import EcgadvError


def fails(error):
    def act():
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (lambda: 1, SAME),
        (lambda: 2, OTHER),
        (fails(EcgadvError("x is 1: give 2")), REFUSED),
        (fails(FileNotFoundError(2, "No such file", "a.npz")), REFUSED),
        (fails(OSError("read error")), TRACEBACK),  # no file is named
        (fails(KeyError("x")), TRACEBACK),
    ],
)
def test_outcomes(act, outcome):
    assert judged("a byte", act, 1)[:2] == ("a byte", outcome)


def part(*cases):
    return SimpleNamespace(total=lambda: len(cases), cases=lambda folder, seed: iter(cases))


def test_faults_are_counted_and_those_that_must_not_be_are_shown(capsys):
    found = faults.campaign(
        {
            "a": part(Case("byte", SAME), Case("byte", SAME)),
            "b": part(Case("kill", LEFT, "x.part")),
        },
        seed=0,
    )
    assert found == {("byte", SAME): 2, ("kill", LEFT): 1}
    assert capsys.readouterr().out == "SOMETHING LEFT BEHIND  kill: x.part\n"
    lines = [line.split() for line in faults.table(found)]
    assert lines[0] == ["(1)", "(2)", "(3)", "(4)", "(5)", "(6)"]
    assert lines[1:4] == [
        ["byte", "0", "0", "2", "0", "0", "0"],
        ["kill", "0", "0", "0", "0", "0", "1"],
        ["all", "0", "0", "2", "0", "0", "1"],
    ]


@pytest.mark.parametrize(("outcome", "status"), [(REFUSED, 0), (OTHER, 1)])
def test_a_campaign_fails_where_something_gets_through(outcome, status, monkeypatch, tmp_path):
    only = part(Case("byte", outcome))
    monkeypatch.setattr(faults, "PARTS", {"flips": only, "kills": part()})
    monkeypatch.setattr(faults, "TABLE", tmp_path / "faults.yml")
    assert faults.main([]) == status
    assert not faults.TABLE.exists()
    assert faults.main(["--write", "--seed", "3"]) == status
    told = yaml.safe_load(faults.TABLE.read_text())
    assert told["seed"] == 3 and told["counts"]["byte"][outcome] == 1
    with pytest.raises(SystemExit):
        faults.main(["--write", "--only", "flips"])


def test_the_campaign_is_as_large_as_it_says():
    sizes = {name: module.total() for name, module in faults.PARTS.items()}
    assert sizes["flips"] == 1200 and sizes["kills"] == 100
    assert sizes["servers"] >= 12 and len(faults.strangers.KINDS) >= 40
