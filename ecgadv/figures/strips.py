"""All single values of several cases, one strip each, with their median."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.figures.style import WIDTH, log_across, look, rows_down

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strips(rows: Mapping[str, np.ndarray], *, value: str) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw every value as a small mark, and the median of each row as a line.

    Args:
        rows: label to values (n,) above 0, drawn on a logarithmic axis.
        value: label of the axis, with the unit.

    Raises:
        EcgadvError: nothing to draw, or a value that a logarithm cannot take.
    """
    from matplotlib import pyplot as plt

    values = [np.asarray(found, dtype=float) for found in rows.values()]
    if not values or any(not len(found) or not (found > 0).all() for found in values):
        raise EcgadvError("strips need a row, and in each row values above 0: leave others out")
    fig, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.42 * len(rows)))
    style = look(0)
    data: dict[str, list[Any]] = {"row": [], value: []}
    for place, (label, found) in enumerate(zip(rows, values, strict=True)):
        # A fixed spread across the strip, in the order of the values, keeps equal ones apart.
        across = place + 0.28 * np.sin(2.4 * np.arange(len(found)))
        axis.plot(found, across, style["marker"], color=style["color"], ms=5, alpha=0.6, mew=0)
        axis.plot([np.median(found)] * 2, [place - 0.38, place + 0.38], color="#000000", lw=2)
        data["row"] += [label] * len(found)
        data[value] += found.tolist()
    log_across(axis)
    rows_down(axis, rows)
    axis.set_xlabel(value)
    return fig, data
