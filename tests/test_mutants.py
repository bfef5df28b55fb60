"""The changes that `make mutants` makes, on a package of a few lines."""

import ast
from pathlib import Path

import mutants
import pytest

SOURCE = """
def f(x: "int | None" = 3, flag=True):
    if min(x) <= 2 and not flag:
        raise ValueError(f"{x + 1}" + "7")
    return g(x[0, 1], -x, key=x * 2)
"""
KINDS = {
    ("constant", "3", "4"),
    ("constant", "True", "False"),
    ("constant", "2", "3"),
    ("constant", "0", "1"),
    ("constant", "1", "2"),
    ("name", "min", "max"),
    ("comparison", "min(x) <= 2", "min(x) < 2"),
    ("operator", "min(x) <= 2 and (not flag)", "min(x) <= 2 or not flag"),
    ("operator", "x * 2", "x / 2"),
    ("negation", "min(x) <= 2 and (not flag)", "not (min(x) <= 2 and (not flag))"),
    ("negation", "not flag", "flag"),
    ("negation", "-x", "x"),
    ("index", "x[0, 1]", "x[1, 0]"),
    ("argument", "g(x[0, 1], -x, key=x * 2)", "g(x[0, 1], -x)"),
    ("argument", "g(x[0, 1], -x, key=x * 2)", "g(x[0, 1], key=x * 2)"),
}


def test_every_kind_of_change_and_no_other():
    found = mutants.changes(SOURCE)
    assert {(change.kind, change.old, change.new) for change in found} == KINDS
    assert len(found) == len(KINDS) + 1  # there are two 2's
    for change in found:
        ast.parse(change.apply(SOURCE))


@pytest.mark.parametrize(
    ("source", "old", "wanted"),
    [
        ("5 - -(1 + 2)", "-(1 + 2)", 5 - (1 + 2)),
        ("False and not (1 or 2)", "not (1 or 2)", False),
        ("(7 -\n 2) * 3", "7 - 2", (7 + 2) * 3),
        ("len('µµ') * (2 + 3)", "2 + 3", 2 * (2 - 3)),  # columns count bytes
    ],
)
def test_a_change_binds_as_what_it_replaces(source, old, wanted):
    (change,) = (change for change in mutants.changes(source) if change.old == old)
    assert eval(change.apply(source)) == wanted


def test_a_sample_takes_turns_and_follows_its_seed():
    found = [(Path("f.py"), change) for change in mutants.changes(SOURCE)]
    kinds = {kind for kind, _, _ in KINDS}
    first, again, other = (mutants.sample(found, len(kinds), seed) for seed in (0, 0, 1))
    assert first == again != other
    assert {change.kind for _, change in first} == {change.kind for _, change in other} == kinds
    whole = mutants.sample(found, 100, 0)
    assert whole[: len(kinds)] == first
    assert sorted(map(str, whole)) == sorted(map(str, found))


TOY = {
    "ecgadv/__init__.py": "",
    "ecgadv/sums/__init__.py": "from ecgadv.sums.deep import largest\n",
    "ecgadv/sums/deep.py": (
        "def largest(x):\n    return max(x)\n\n\ndef some(x):\n    return any(x)\n"
    ),
    "ecgadv/inner.py": "",
    "ecgadv/outer.py": "import ecgadv.inner\n",
    "ecgadv/alone.py": "",
    "tests/toy.py": "from ecgadv import outer\n",
    "tests/test_deep.py": "from ecgadv.sums.deep import some\n\n\ndef test_nothing(): pass\n",
    "tests/test_outer.py": "import toy\n\nfrom ecgadv import outer\n",
    "tests/test_largest.py": (
        "from ecgadv import sums\n\n\ndef test_two():\n    assert sums.largest([1, 2]) == 2\n"
    ),
}


@pytest.fixture
def toy(tmp_path):
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_nearest_tests_import_the_module_or_its_package(toy):
    found = mutants.nearest_tests(toy)
    assert found["ecgadv.sums.deep"] == ["tests/test_deep.py", "tests/test_largest.py"]
    assert found["ecgadv.sums"] == ["tests/test_largest.py"]
    assert found["ecgadv.outer"] == found["ecgadv.inner"] == ["tests/test_outer.py"]
    assert found["ecgadv.alone"] == []


def test_a_change_is_killed_or_survives(toy, capsys):
    before = {path: path.read_text() for path in toy.rglob("*.py")}
    assert mutants.main([], toy) == 0
    first, *rows, last = capsys.readouterr().out.splitlines()
    assert first == "2 of 2 changes; first 2 test files unchanged"
    assert sorted(rows) == [
        "SURVIVED  ecgadv/sums/deep.py:6  any -> all  in  return any(x)",
        "killed    ecgadv/sums/deep.py:2  max -> min  in  return max(x)",
    ]
    assert last == "1 of 2 killed (50%)"
    assert {path: path.read_text() for path in toy.rglob("*.py")} == before


def test_tests_that_take_too_long_are_stopped(toy):
    assert mutants.outcome(toy, ["tests/test_largest.py"], limit=0.01) == mutants.TIMED_OUT
    assert mutants.outcome(toy, [], limit=0.01) == mutants.UNTESTED


def test_each_end_is_one_line(toy, capsys, monkeypatch):
    ends = iter([mutants.SURVIVED, mutants.TIMED_OUT, KeyboardInterrupt, mutants.KILLED])

    def outcome(*arguments):
        end = next(ends)
        if end is KeyboardInterrupt:
            raise end
        return end

    monkeypatch.setattr(mutants, "outcome", outcome)
    assert mutants.main([], toy) == 130
    assert capsys.readouterr().out.splitlines()[2:] == ["stopped: 0 of 0 killed, 1 ran out of time"]
    assert mutants.main([], toy) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "tests fail without a change: run `make test` and mend that first"
    ]
    for arguments, message in (
        (["--module", "nowhere"], "no path has 'nowhere' in it; give --module such as ecgadv/"),
        (["--count", "0"], "give a --count of at least 1 and a --limit above 0"),
    ):
        with pytest.raises(SystemExit, match="2"):
            mutants.main(arguments, toy)
        assert message in capsys.readouterr().err.splitlines()[-1]
