"""How tables are put together, and how their cells and the sentences write numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecgadv.claims import NOT_RUN
from ecgadv.evaluation.intervals import Interval
from ecgadv.figures import Table


def signed_bounds(interval: Interval) -> str:
    """Return the ends of the interval of a difference, in percentage points with signs."""
    if np.isnan(interval.low):
        return "one seed"
    return span(points(interval.low), points(interval.high))


def span(low: str, high: str) -> str:
    """Return "low to high", which no table breaks into lines."""
    return f"{low}\u00a0to\u00a0{high}"


def points(value: float) -> str:
    """Return a difference in percentage points, with its sign."""
    return f"{100 * value:+.1f}"


def of_rows(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Return a table from rows; one row says "not run" where there is none."""
    rows = rows or [[NOT_RUN, *[""] * (len(head) - 1)]]
    columns = zip(*rows, strict=True)
    return Table(dict(zip(head, map(list, columns), strict=True)))
