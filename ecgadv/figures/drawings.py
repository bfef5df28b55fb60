"""The drawings that several notebooks share; each returns the figure and the columns it plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.figures.style import COLORS, WIDTH, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple["Figure", dict[str, list[Any]]]


def traces(
    signals: Mapping[str, np.ndarray],
    *,
    fs: float,
    unit: str,
    compare: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """Draw signals one below the other on a common scale.

    Args:
        signals: label to (L,) array, of any lengths.
        fs: samples a second.
        unit: of the signals, such as "mV".
        compare: under the same labels, signals to lay over them as dashed lines.
    """
    from matplotlib import pyplot as plt

    compare = compare or {}
    height = 0.55 + 1.05 * len(signals)
    fig, axes = plt.subplots(
        len(signals), figsize=(WIDTH, height), sharex=True, sharey=True, squeeze=False
    )
    data: dict[str, list[Any]] = {"signal": [], "time_s": [], f"value_{unit}": []}
    for axis, (label, signal) in zip(axes[:, 0], signals.items(), strict=True):
        drawn = {label: signal}
        if label in compare:
            drawn[f"{label}, attacked"] = compare[label]
        for number, (name, values) in enumerate(drawn.items()):
            time = np.arange(len(values)) / fs
            axis.plot(time, values, **{**look(number), "marker": None})
            data["signal"] += [name] * len(values)
            data["time_s"] += time.tolist()
            data[f"value_{unit}"] += np.asarray(values).tolist()
        axis.text(0.99, 0.85, label, transform=axis.transAxes, ha="right", va="top")
    axes[-1, 0].set_xlabel("time (s)")
    fig.supylabel(unit, fontsize=11)
    return fig, data


def bars(groups: Mapping[str, Mapping[str, float]], *, value: str, log: bool = False) -> Drawn:
    """Draw horizontal bars in groups, each with its number.

    Args:
        groups: label of a group to {label of a bar: its length}; every group has the same bars.
        value: what the length is, the label of the axis.
        log: a logarithmic axis, for counts of very different size.
    """
    from matplotlib import pyplot as plt

    names = list(next(iter(groups.values())))
    height = 1.1 + 0.26 * len(groups) * (len(names) + 0.6)
    fig, axis = plt.subplots(figsize=(WIDTH, height))
    data: dict[str, list[Any]] = {"group": [], "bar": [], value: []}
    for number, name in enumerate(names):
        place = np.arange(len(groups)) * (len(names) + 0.6) + number
        lengths = [group[name] for group in groups.values()]
        drawn = axis.barh(
            place, lengths, height=0.9, color=COLORS[number % len(COLORS)], label=name
        )
        axis.bar_label(drawn, fmt="{:,.6g}", padding=3, fontsize=9)
        data["group"] += list(groups)
        data["bar"] += [name] * len(groups)
        data[value] += lengths
    middle = np.arange(len(groups)) * (len(names) + 0.6) + (len(names) - 1) / 2
    axis.set_yticks(middle, list(groups))
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(value)
    if log:
        axis.set_xscale("log")
    axis.margins(x=0.16)
    fig.legend(loc="outside upper center", ncols=len(names))
    return fig, data


def curves(
    series: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x: str,
    y: str,
    percent: bool = True,
) -> Drawn:
    """Draw lines with bands, such as accuracy against noise level with 95 % intervals.

    Args:
        series: label to columns "x" and "y", and "low" and "high" where there is an interval.
        x: label of the horizontal axis, with the unit.
        y: label of the vertical axis.
        percent: y is a fraction, printed in percent on an axis from 0 to 1.
    """
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    rows = -(-len(series) // 2)
    fig, axis = plt.subplots(figsize=(WIDTH, 3.4 + 0.22 * rows))
    data: dict[str, list[Any]] = {"series": [], x: [], y: [], "low": [], "high": []}
    for number, (label, columns) in enumerate(series.items()):
        style = look(number)
        axis.plot(columns["x"], columns["y"], label=label, **style)
        low, high = columns.get("low"), columns.get("high")
        if low is not None and high is not None:
            axis.fill_between(columns["x"], low, high, color=style["color"], alpha=0.18, lw=0)
        count = len(columns["x"])
        data["series"] += [label] * count
        data[x] += list(columns["x"])
        data[y] += list(columns["y"])
        data["low"] += list(low) if low is not None else [None] * count
        data["high"] += list(high) if high is not None else [None] * count
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    if percent:
        axis.set_ylim(-0.02, 1.02)
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    fig.legend(loc="outside upper center", ncols=2)
    return fig, data
