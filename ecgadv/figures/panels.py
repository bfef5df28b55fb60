"""Results as drawings: accuracy against noise level, and estimates with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.figures.citable import Saved, save
from ecgadv.figures.style import WIDTH, log_across, look, rows_down

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEAR = 0.11  # of the axis of a small panel: the labels of nearer ticks would touch


@dataclass(frozen=True)
class Drawing:
    """A drawing with all that `save` needs but its id and title, which its notebook gives."""

    fig: Figure
    data: Mapping[str, Sequence[Any]]
    caption: str
    alt: str
    provenance: Mapping[str, Any]

    def save(self, id: str, *, title: str, out: str | Path) -> Saved:
        """Write the files of the figure under `out`/figures."""
        return save(
            self.fig,
            id,
            title=title,
            data=self.data,
            caption=self.caption,
            alt=self.alt,
            provenance=self.provenance,
            out=Path(out) / "figures",
        )


@dataclass(frozen=True)
class NotRun:
    """Stands where a drawing would, if no record has its numbers."""

    what: str

    def save(self, id: str, *, title: str, out: str | Path) -> NotRun:
        """Write only the mark by which the book knows that the figure is missing rightly."""
        folder = Path(out) / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{id}.not-run").write_text(f"{title}: not run\n", encoding="utf-8")
        return self

    def _repr_markdown_(self) -> str:
        return f"*{self.what}: not run.*"


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        x, y: the points.
        low, high: ends of their intervals, NaN or absent where there is none.
        look: number of its colour, dash and marker, the same in all figures.
    """

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    look: int = 0


def panels(
    parts: Mapping[str, Mapping[str, Line]],
    *,
    x: str,
    y: str,
    area_to: float | None = None,
    root: bool = False,
    log: bool = False,
) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw lines with bands, one panel for each part, with one legend for all.

    Args:
        parts: heading of a panel to its lines by label.
        x, y: labels of the axes, with units; y is a fraction, printed in percent.
        area_to: shade the horizontal axis from 0 to here.
        root: space the horizontal axis by the square root, for levels close to 0.
        log: space it by the logarithm, for counts.
    """
    from matplotlib import pyplot as plt

    columns = 1 if len(parts) == 1 else 2
    rows = -(-len(parts) // columns)
    labels = {label: line.look for lines in parts.values() for label, line in lines.items()}
    height = 3.3 if columns == 1 else max(2.1 * rows + 0.5, 2.9)
    height += 0.2 * -(-len(labels) // 2)
    fig, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, height), sharex=True, sharey=True, squeeze=False
    )
    data: dict[str, list[Any]] = {"panel": [], "series": [], x: [], y: [], "low": [], "high": []}
    for axis, (heading, lines) in zip(axes.flat, parts.items(), strict=False):
        for label, line in lines.items():
            _draw(axis, line)
            count = len(line.x)
            data["panel"] += [heading] * count
            data["series"] += [label] * count
            data[x] += list(line.x)
            data[y] += list(line.y)
            data["low"] += _column(line.low, count)
            data["high"] += _column(line.high, count)
        _dress(axis, heading if columns > 1 else "", data[x], area_to=area_to, root=root)
        if log:
            log_across(axis)
    for number in range(len(parts), rows * columns):
        axes.flat[number].set_visible(False)
        axes.flat[number - columns].tick_params(labelbottom=True)
    fig.supxlabel(x, fontsize=11)
    if rows == 1:  # in the middle of the figure it would reach into the legend
        axes[0, 0].set_ylabel(y, fontsize=11)
    else:
        fig.supylabel(y, fontsize=11)
    _legend(fig, {label: look(number) for label, number in labels.items()})
    return fig, data


def _draw(axis: Axes, line: Line) -> None:
    style = look(line.look)
    axis.plot(line.x, line.y, **style)
    if line.low is not None and line.high is not None:
        axis.fill_between(line.x, line.low, line.high, color=style["color"], alpha=0.18, lw=0)


def _dress(
    axis: Axes, heading: str, levels: Sequence[float], *, area_to: float | None, root: bool
) -> None:
    """Set scales, ticks and the shade."""
    from matplotlib.ticker import FixedLocator, PercentFormatter

    axis.set_title(heading, fontsize=10)
    axis.set_ylim(-0.02, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    if root:
        axis.set_xscale("function", functions=(_signed_root, _signed_square))
        ticks = sorted(set(levels))
        axis.xaxis.set_major_locator(FixedLocator(ticks))
        axis.set_xticks(ticks, _apart(ticks), fontsize=8)
        axis.set_xlim(-0.0008, 1.06 * max(ticks))
    if area_to is not None:
        axis.axvspan(0, area_to, color="#000000", alpha=0.05, lw=0)


def _apart(ticks: Sequence[float]) -> list[str]:
    """Return a label for each tick of a square-root axis, none where it would touch the last."""
    labels, last = [], -1.0
    for tick in ticks:
        place = np.sqrt(tick / max(ticks))
        near = place - last < NEAR
        labels.append("" if near else f"{tick:g}".replace("0.", "."))
        last = last if near else place
    return labels


def _signed_root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.square(values)


@dataclass(frozen=True)
class Dot:
    """One estimate with its interval, and perhaps a second one within; NaN ends where none is."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    inner_low: float = float("nan")
    inner_high: float = float("nan")


def dots(
    rows: Mapping[str, Mapping[str, Dot]],
    *,
    value: str,
    change: bool = False,
    limits: tuple[float, float] | None = None,
) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw estimates as dots with whiskers, one row a case, one colour a series.

    The inner interval is a thick whisker on the thin one of the outer.

    Args:
        rows: label of a row to {series: Dot}; a row may lack some series.
        value: label of the axis; values are fractions, printed in percent.
        change: the values are differences, in percentage points about a line at 0.
        limits: of the axis; what is drawn decides if None.

    Raises:
        EcgadvError: nothing to draw.
    """
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    series = list(dict.fromkeys(name for cells in rows.values() for name in cells))
    if not series:
        raise EcgadvError("dots of nothing: give at least one row with one series")
    styles = {name: {**look(n), "linestyle": "none"} for n, name in enumerate(series)}
    legend = len(series) > 1
    step = 0.8 / len(series)
    height = 0.8 + 0.2 * legend * -(-len(series) // 2) + len(rows) * (0.22 + 0.16 * len(series))
    fig, axis = plt.subplots(figsize=(WIDTH, height))
    ends = ("low", "high", "inner_low", "inner_high")
    data: dict[str, list[Any]] = {name: [] for name in ("row", "series", value, *ends)}
    for place, (label, cells) in enumerate(rows.items()):
        for name, dot in cells.items():
            where = place + step * (series.index(name) - (len(series) - 1) / 2)
            _draw_dot(axis, dot, where, styles[name])
            data["row"].append(label)
            data["series"].append(name)
            data[value].append(dot.value)
            for end in ends:
                data[end] += _column([getattr(dot, end)], 1)
    rows_down(axis, rows)
    for edge in range(1, len(rows)):
        axis.axhline(edge - 0.5, color="#E4E4E4", lw=0.6, zorder=0)
    if change:
        axis.axvline(0, color="#404040", lw=1, zorder=0)
    if limits is not None:
        axis.set_xlim(*limits)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="" if change else "%"))
    axis.set_xlabel(value)
    if legend:
        _legend(fig, styles)
    return fig, data


def _draw_dot(axis: Axes, dot: Dot, where: float, style: Mapping[str, Any]) -> None:
    whisker = {"color": style["color"], "solid_capstyle": "butt"}
    axis.plot([dot.low, dot.high], [where, where], lw=1.2, **whisker)
    axis.plot([dot.inner_low, dot.inner_high], [where, where], lw=4, alpha=0.5, **whisker)
    axis.plot([dot.value], [where], **style)


def _legend(fig: Figure, styles: Mapping[str, Mapping[str, Any]]) -> None:
    from matplotlib import pyplot as plt

    handles = [plt.Line2D([], [], label=label, **style) for label, style in styles.items()]
    shared = {"handles": handles, "loc": "outside upper center"}
    legend = fig.legend(**shared, ncols=2)
    if legend.get_window_extent(fig.canvas.get_renderer()).width > fig.bbox.width:
        legend.remove()
        fig.legend(**shared, ncols=1)
        fig.set_figheight(fig.get_figheight() + 0.2 * (len(styles) // 2))


def _column(values: Sequence[float] | None, count: int) -> list[float | None]:
    """Return the numbers, None where there is none."""
    if values is None:
        return [None] * count
    return [None if np.isnan(value) else float(value) for value in values]
