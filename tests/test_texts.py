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


def test_a_property_says_no_type_before_a_colon():
    """Napoleon takes what stands before a colon in a property's first line for its type."""
    for path in sorted((ROOT / "ecgadv").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            decorators = map(ast.unparse, getattr(node, "decorator_list", []))
            if any(name.endswith("property") for name in decorators):
                line = (ast.get_docstring(node) or "").partition("\n")[0]
                assert ": " not in line, f"{path.name}, {node.name}: {line}"
