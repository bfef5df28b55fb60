"""What a page opens with is counted when the book is built."""

import json

import pytest
from answers import AnswerError, check_answers, problems


def test_an_answer_within_the_limits_has_no_problem():
    words = " ".join(["word"] * 25)
    bullet = f"* **{words}** 12.3 % [10.0, 14.0] {{ref}}`one role <of-a-label>`.\n"
    assert not list(problems(5 * bullet))
    assert not list(problems("* **Some:**\n" + 6 * f"  {bullet}"))
    assert not list(problems("*Not run.*"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (6 * "* one\n", "an answer of 6 bullets, 5 at the most"),
        ("* " + 31 * "word ", "31 words, 30 at the most, in 'word word"),
        ("* +1.0 [0.1, 2.0] and\n+3.0 [2.0, 4.0]", "2 intervals, 1 at the most, in '+1.0 [0.1"),
    ],
)
def test_what_is_too_long_is_told(text, said):
    (found,) = problems(text)
    assert found.startswith(said)


def test_every_executed_notebook_is_looked_at(tmp_path):
    def write(name, text, *, tags):
        output = {"output_type": "display_data", "data": {"text/markdown": [text]}}
        cell = {"cell_type": "code", "metadata": {"tags": tags}, "outputs": [output]}
        (tmp_path / name).write_text(json.dumps({"cells": [cell]}))

    write("a.ipynb", "* short", tags=["answer"])
    write("b.ipynb", 7 * "* long\n", tags=[])
    check_answers(tmp_path)
    write("c.ipynb", 7 * "* long\n", tags=["answer"])
    write("d.ipynb", 8 * "* long\n", tags=["answer"])
    with pytest.raises(AnswerError, match=r"^c.ipynb: .* 7 bullets.*; d.ipynb: .* 8 bullets"):
        check_answers(tmp_path)
