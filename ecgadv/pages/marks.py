"""What drawings of results are made of: dots and lines with intervals, and where they come from."""

from collections.abc import Sequence

from ecgadv import figures
from ecgadv.figures.panels import Dot, Line
from ecgadv.results.estimate import Estimate
from ecgadv.results.result import Result


def dot(found: Estimate) -> Dot:
    """Return an estimate with the outer ends of its two intervals, and the bootstrap within."""
    return Dot(found.value, found.low, found.high, found.both.low, found.both.high)


def line(x: Sequence[float], values: Sequence[Estimate], look: int) -> Line:
    """Return estimates over x with the ends of the two-level bootstrap."""
    low, high = [v.both.low for v in values], [v.both.high for v in values]
    return Line(list(x), [v.value for v in values], low, high, look)


def provenance(results: Sequence[Result]) -> dict:
    """Return where a drawing comes from, each record once."""
    unique = {record.key: record for result in results for record in result.records}
    return figures.provenance_of(list(unique.values()))
