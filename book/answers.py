"""The answer that a page opens with is short: few bullets, few words, one interval a bullet."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ecgadv.errors import EcgadvError

ANSWER = "answer"  # the tag of the cell that gives it
MOST = {"bullets": 5, "words": 30, "intervals": 1}
_ROLE = re.compile(r"\{\w+\}`([^`<]*)[^`]*`")
_BRACKET = re.compile(r"\[[^\[\]]*,[^\[\]]*\]")


class AnswerError(EcgadvError):
    """A page's answer is too long."""


def check_answers(executed: Path) -> None:
    """Raise AnswerError, which lists all, if an executed notebook's answer is too long."""
    found = [
        f"{path.name}: {problem}"
        for path in sorted(executed.glob("*.ipynb"))
        for text in _answers(path)
        for problem in problems(text)
    ]
    if found:
        raise AnswerError("; ".join(found))


def problems(text: str) -> Iterator[str]:
    """Yield what is too much in an answer (MyST markdown); an interval's ends are no words.

    A list within a bullet is one bullet, and each of its items has words of its own.
    """
    bullets = len(re.findall(r"^\* ", text, re.MULTILINE))
    if bullets > MOST["bullets"]:
        yield f"an answer of {bullets} bullets, {MOST['bullets']} at the most"
    for bullet in re.split(r"^ *\* ", text, flags=re.MULTILINE)[1:]:
        said = _ROLE.sub(r"\1", bullet)
        counts = {
            "words": len(_BRACKET.sub("", said).split()),
            "intervals": len(_BRACKET.findall(said)),
        }
        for kind, count in counts.items():
            if count > MOST[kind]:
                yield f"{count} {kind}, {MOST[kind]} at the most, in {' '.join(said.split())!r}"


def _answers(path: Path) -> Iterator[str]:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if ANSWER in cell["metadata"].get("tags", []):
            for output in cell["outputs"]:
                yield "".join(output.get("data", {}).get("text/markdown", ""))
