"""Notebooks find the repository's files from whatever folder they are run in."""

import json
import re
from pathlib import Path

import pytest

import ecgadv
from ecgadv.errors import EcgadvError
from ecgadv.repository import place, root

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("folder", [".", "notebooks", "tests/real"])
def test_a_path_of_the_repository_is_relative_to_the_working_directory(monkeypatch, folder):
    monkeypatch.chdir(root() / folder)
    found = place("book/claims.yml")
    assert found.is_file() and not found.is_absolute()
    assert found.resolve() == root() / "book/claims.yml"


def test_a_path_from_elsewhere_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place(tmp_path / "out") == tmp_path / "out"
    assert place("~/out") == tmp_path / "out"


def test_an_installed_package_has_no_repository(monkeypatch, tmp_path):
    monkeypatch.setattr(ecgadv, "__file__", str(tmp_path / "ecgadv/__init__.py"))
    with pytest.raises(EcgadvError, match=r"^runs is a path of the repository, but .* --editable"):
        place("runs")
    assert place(tmp_path) == tmp_path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_finds_its_files_from_anywhere(path, monkeypatch, tmp_path):
    """Its parameters cell and what its next cell makes of the paths in it, run elsewhere."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    parameters, setup, *rest = ("".join(cell["source"]) for cell in cells)
    used = set(re.findall(r"\w+", "\n".join([setup, *rest])))
    monkeypatch.chdir(tmp_path)
    values, given = {"place": place}, {}
    exec(parameters, given)
    exec(parameters, values)
    exec(
        "\n".join(x for x in setup.splitlines() if "place" in x or x.startswith("paths =")), values
    )
    for name, text in given.items():
        if (
            isinstance(text, str)
            and name in used
            and (name in ("out", "runs", "local") or "/" in text)
        ):
            assert values[name].resolve() == (root() / text).resolve(), name
            assert not text.startswith("book/") or values[name].exists(), name
