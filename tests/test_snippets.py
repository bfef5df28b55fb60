"""What README, CONTRIBUTING and the pages show runs, be it code or a command."""

import argparse
import functools
import json
import re
import shlex
from pathlib import Path

import pytest

from ecgadv import cli, data
from ecgadv.errors import EcgadvError
from ecgadv.experiments import evaluate, run, suites

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
    *sorted((ROOT / "book").rglob("*.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
# Where `= ...` stands for what only the reader has, the imports are all that can run.
SKETCH = re.compile(r"= \.\.\.")
EXTEND = ROOT / "book/extend.md"


def fences(page, *languages):
    """The fenced blocks of a page or of a notebook's text."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n".join("".join(cell["source"]) + "\n" for cell in cells)
    return [code for language, code in FENCE.findall(text) if language in languages]


@functools.cache
def ran(page):
    """Run a page's snippets one after another; return the names that they leave.

    The tables that they add rows to, which other tests read, are copies.
    """
    names = {"__name__": "snippets"}
    with pytest.MonkeyPatch.context() as patch:
        for module, table in (
            (data, "LOADERS"),
            (evaluate, "ATTACKS"),
            (run, "LOSSES"),
            (suites, "SUITES"),
        ):
            patch.setattr(module, table, dict(getattr(module, table)))
        for number, code in enumerate(fences(page, "python"), start=1):
            if SKETCH.search(code):
                code = "\n".join(re.findall(r"^(?:from|import) .*", code, re.M))
            exec(compile(code, f"{page.name}, snippet {number}", "exec"), names)
    return names


@pytest.mark.parametrize(
    "page", [page for page in PAGES if fences(page, "python")], ids=lambda page: page.name
)
def test_the_snippets_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran(page)


def test_what_extend_adds_is_trained_attacked_and_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ran(EXTEND)
    undefended, stable = names["records"]
    assert stable.config["defense"]["name"] == "stability"
    assert stable.run["training"]["key"] != undefended.run["training"]["key"]
    for record in names["records"]:
        numbers = record.metrics
        assert numbers["clean"]["accuracy"] > 0.9
        assert set(numbers["attacks"]) == {"pgd", "wander"}
        found = numbers["attacks"]["wander"]["accuracy"]
        assert numbers["clean"]["accuracy"] >= found[0] >= found[1]
    assert (names["mine"] != evaluate.NOT_ATTACKED).all()


def commands():
    lines = [
        line
        for page in PAGES
        for code in fences(page, "", "console", "bash")
        for line in code.splitlines()
    ]
    parts = [
        shlex.split(line.removeprefix("$ "), comments=True)
        for line in lines
        if line.startswith(("$ ", "make ", ".venv/bin/ecgadv ", "ecgadv "))
    ]
    return sorted({tuple(part) for part in parts})


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_of_a_page_is_one(command, monkeypatch):
    """Its target or its options are known; it is not carried out."""
    program, *words = command
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words if "=" not in word} <= set(targets)
        return
    parse, parsed = argparse.ArgumentParser.parse_args, []

    def only_parse(self, args=None):
        parsed.append(parse(self, args))
        raise EcgadvError("parsed")

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    with pytest.raises(EcgadvError, match="parsed"):
        cli.main(words)
    assert parsed
