"""The drawings that several notebooks share; each returns the figure and the columns it plots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.figures.style import COLORS, WIDTH, log_across, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple["Figure", dict[str, list[Any]]]


def traces(signals: Mapping[str, np.ndarray], *, fs: float, unit: str) -> Drawn:
    """Draw signals one below the other on a common scale.

    Args:
        signals: label to (L,) array, of any lengths.
        fs: samples a second.
        unit: of the signals, such as "mV".
    """
    from matplotlib import pyplot as plt

    height = 0.55 + 1.05 * len(signals)
    fig, axes = plt.subplots(
        len(signals), figsize=(WIDTH, height), sharex=True, sharey=True, squeeze=False
    )
    data: dict[str, list[Any]] = {"signal": [], "time_s": [], f"value_{unit}": []}
    for axis, (label, signal) in zip(axes[:, 0], signals.items(), strict=True):
        time = np.arange(len(signal)) / fs
        axis.plot(time, signal, **{**look(0), "marker": None})
        data["signal"] += [label] * len(signal)
        data["time_s"] += time.tolist()
        data[f"value_{unit}"] += np.asarray(signal).tolist()
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
    axis.set_axisbelow(True)
    axis.set_xlabel(value)
    if log:
        log_across(axis)
    axis.margins(x=0.16)
    fig.legend(loc="outside upper center", ncols=len(names))
    return fig, data
