"""One look for all figures: legible on a phone, in greyscale, and to the colour-blind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's colours without the yellow, which is too faint on white; told apart by dash and
# marker as well, so that a series survives greyscale print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 3)), "-")

# At 5.4 inches an 11 pt label is still 8 pt high on a phone 390 pixels wide.
WIDTH = 5.4
STYLE: dict[str, Any] = {
    "axes.edgecolor": "#404040",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.figsize": (WIDTH, 3.6),
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "grid.alpha": 0.6,
    "grid.color": "#D0D0D0",
    "grid.linewidth": 0.6,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "svg.fonttype": "path",
}


def style() -> None:
    """Draw everything that follows in the style of the book, whatever a matplotlibrc says."""
    import matplotlib

    matplotlib.rcdefaults()
    matplotlib.rcParams.update(STYLE)


def log_across(axis: Axes) -> None:
    """Space the horizontal axis by the logarithm, and label it by plain numbers that fit.

    Powers of ten within less than two decades would be one or two, or collide.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter("{x:,g}")


def rows_down(axis: Axes, labels: Iterable[str]) -> None:
    """Name the rows of an axis, the first on top, a label with commas over several lines."""
    labels = [label.replace(", ", ",\n") for label in labels]
    axis.set_yticks(range(len(labels)), labels, fontsize=10)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)


def look(index: int) -> dict[str, Any]:
    """Return colour, marker and dash of series number `index`, as keywords of `Axes.plot`.

    From the eighth on the colours come again with another marker and dash.
    """
    turned = index + index // len(COLORS)
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[turned % len(MARKERS)],
        "linestyle": DASHES[turned % len(DASHES)],
    }
