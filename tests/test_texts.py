"""Texts in code and notebooks that would read wrong on a page."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_difference_that_is_not_clear_reads_as_a_sentence(path):
    """The words of `results.told` may be "no clear difference", which nothing can compare on."""
    going_on = re.compile(r"told\([^{}]*\)\}\W*(?:than|, too)\b")
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not going_on.search("".join(cell["source"]))


def documented():
    """Yield each function and class of the package with its file's name and its docstring."""
    for path in sorted((ROOT / "ecgadv").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield f"{path.name}, {node.name}", node, ast.get_docstring(node) or ""


def test_a_sentence_before_a_colon_is_not_taken_for_a_type():
    """Napoleon does so in the first line of a property and of what is returned."""
    for where, node, text in documented():
        if any(ast.unparse(name).endswith("property") for name in node.decorator_list):
            assert ": " not in text.partition("\n")[0], where
        returned = re.search(r"^Returns:\n +(.*)", text, re.MULTILINE)
        assert not (returned and re.match(r"[A-Z]\w* [^:`]*:", returned[1])), where
