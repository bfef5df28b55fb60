"""Recordings of twelve leads as a clinic prints them: three rows of four leads on ECG paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.figures.style import COLORS, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
ASPECT = 0.4  # 25 mm/s beside 10 mm/mV: one millivolt is as long as 0.4 s
MARGIN = 0.75  # inches of a sheet for what stands around its paper
LEAST = 0.5  # millivolts about 0 that a row has at least
ROOM = 0.3  # millivolts between rows
LOOKS = ({"color": "#000000", "lw": 1.6}, {"color": COLORS[1], "lw": 0.7})


def printed(
    sheets: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], *, fs: float
) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw sheets of ECG paper, one below the other; a row goes on in time from lead to lead.

    Args:
        sheets: title to {label of a curve: {lead: (T,) in millivolts}}, all of one length; the
            first curve of a sheet is black, a second one drawn over it.
        fs: samples a second.
    """
    from matplotlib import pyplot as plt

    every = [leads for curves in sheets.values() for leads in curves.values()]
    bases, bottom = _bases(every)
    seconds = len(ROWS[0]) * len(every[0]["I"]) / fs
    height = (MARGIN + ASPECT * -bottom / seconds * WIDTH) * len(sheets)
    fig, axes = plt.subplots(len(sheets), figsize=(WIDTH, height), squeeze=False)
    data: dict[str, list[Any]] = {"sheet": [], "curve": [], "lead": [], "time_s": [], "mV": []}
    for axis, (title, curves) in zip(axes[:, 0], sheets.items(), strict=True):
        for number, (label, leads) in enumerate(curves.items()):
            for base, names in zip(bases, ROWS, strict=True):
                for column, lead in enumerate(names):
                    values = np.asarray(leads[lead])
                    time = (column * len(values) + np.arange(len(values))) / fs
                    axis.plot(
                        time, base + values, **LOOKS[number], label=label if lead == "I" else None
                    )
                    if number == 0:
                        axis.annotate(lead, (time[0] + 0.06, base + 0.5), fontsize=9)
                    data["sheet"] += [title] * len(values)
                    data["curve"] += [label] * len(values)
                    data["lead"] += [lead] * len(values)
                    data["time_s"] += time.tolist()
                    data["mV"] += values.tolist()
        _paper(axis, seconds, bottom)
        axis.set_title(title, fontsize=10, loc="left")
        if len(curves) > 1:
            axis.legend(loc="upper right", bbox_to_anchor=(1, 1.16), ncols=len(curves))
    axes[-1, 0].set_xlabel("time (s); a large square is 0.2 s by 0.5 mV")
    return fig, data


def _bases(curves: Sequence[Mapping[str, np.ndarray]]) -> tuple[list[float], float]:
    """Return where 0 mV of each row lies, so that rows do not touch, and where the paper ends."""
    bases, floor = [], 0.0
    for names in ROWS:
        values = np.concatenate([curve[lead] for curve in curves for lead in names])
        bases.append(floor - max(float(values.max()), LEAST))
        floor = bases[-1] + min(float(values.min()), -LEAST) - ROOM
    return bases, floor


def _paper(axis: Axes, seconds: float, bottom: float) -> None:
    """Rule an axis as ECG paper."""
    from matplotlib.ticker import MultipleLocator

    axis.set_aspect(ASPECT)
    axis.set_xlim(0, seconds)
    axis.set_ylim(bottom, ROOM)
    axis.xaxis.set_major_locator(MultipleLocator(1))
    axis.xaxis.set_minor_locator(MultipleLocator(0.2))
    axis.yaxis.set_minor_locator(MultipleLocator(0.5))
    axis.grid(which="both", color="#F3C9C9", lw=0.5)
    axis.set_yticks([])
    axis.tick_params(which="minor", length=0)
