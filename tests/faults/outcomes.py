"""What can become of a fault, and which of it must never happen."""

from collections.abc import Callable
from typing import NamedTuple

from ecgadv.errors import TOLD, one_line

REFUSED = "refused in one line"
UNCHECKED = "read, and said to be unchecked"
SAME = "same result"
OTHER = "another result without a word"
TRACEBACK = "traceback"
LEFT = "something left behind"
OUTCOMES = (REFUSED, UNCHECKED, SAME, OTHER, TRACEBACK, LEFT)
NEVER = (OTHER, TRACEBACK, LEFT)


class Case(NamedTuple):
    """One fault: what it was done to, what became of it, and the words for whoever mends it."""

    what: str
    outcome: str
    detail: str = ""


def judged(what: str, act: Callable[[], object], wanted: object) -> Case:
    """Return what becomes of an action that gives `wanted` where nothing is wrong."""
    try:
        found = act()
    except TOLD as error:
        # An errno without a file's name tells nobody what to mend.
        told = not isinstance(error, OSError) or bool(error.filename)
        return Case(what, REFUSED if told else TRACEBACK, one_line(error))
    except Exception as error:  # whatever else it is, a user would see its traceback
        return Case(what, TRACEBACK, repr(error))
    return Case(what, SAME if found == wanted else OTHER)
