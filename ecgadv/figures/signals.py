"""Signals as drawings: beats under attack or over one another, and the kernel of SAP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.figures.style import COLORS, WIDTH, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 256  # frequencies of a response, from 0 to half the sampling rate


def attacked(
    signal: np.ndarray, perturbations: Mapping[str, np.ndarray], *, fs: float, limit: float
) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw a signal, and below it what each attack adds to it on a scale of its own.

    Args:
        signal: (L,) in millivolts.
        perturbations: label to (L,) in microvolts.
        fs: samples a second.
        limit: the budget in microvolts, drawn as two lines.
    """
    from matplotlib import pyplot as plt

    time = np.arange(len(signal)) / fs
    ratios = [1.7, *[1] * len(perturbations)]
    fig, axes = plt.subplots(
        len(ratios),
        1,
        figsize=(WIDTH, 1.35 * sum(ratios)),
        sharex=True,
        gridspec_kw={"height_ratios": ratios},
    )
    axes[0].plot(time, signal, color="#000000", lw=1.8, label="signal")
    for number, (label, added) in enumerate(perturbations.items()):
        style = {**look(number), "marker": None, "lw": 1.1}
        axes[0].plot(time, signal + added / 1000, **style)
        axes[number + 1].plot(time, added, **{**style, "linestyle": "-", "lw": 1.5})
        for edge in (-limit, limit):
            axes[number + 1].axhline(edge, color="#404040", lw=0.8, ls=":")
        axes[number + 1].set_ylim(-1.25 * limit, 1.25 * limit)
        axes[number + 1].set_ylabel("µV")
        axes[number + 1].set_title(label, fontsize=10, loc="left")
    axes[0].set_ylabel("mV")
    axes[0].set_title("the signal, and the attacked ones over it", fontsize=10, loc="left")
    axes[-1].set_xlabel("time (s)")
    data: dict[str, list[Any]] = {"time_s": time.tolist(), "signal_mV": signal.tolist()}
    data |= {f"{label} (µV)": added.tolist() for label, added in perturbations.items()}
    return fig, data


def kernel(taps: np.ndarray, *, fs: Sequence[float]) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw a smoothing kernel and what it leaves of each frequency.

    Args:
        taps: (K,), K odd.
        fs: sampling rates at which to show the response.
    """
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    fig, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8))
    offsets = np.arange(len(taps)) - len(taps) // 2
    left.bar(offsets, taps, color=COLORS[0], width=0.8)
    left.set_xlabel("sample")
    left.set_title("weight", fontsize=10, loc="left")
    data: dict[str, list[Any]] = {"curve": ["tap"] * len(taps), "x": offsets.tolist()}
    data["y"] = taps.tolist()
    for number, rate in enumerate(fs):
        frequency = np.linspace(0, rate / 2, POINTS)
        gain = response(taps, frequency / rate)
        style = {**look(number), "marker": None}
        right.plot(frequency, gain, label=f"{rate:g} Hz", **style)
        data["curve"] += [f"gain at {rate:g} Hz"] * POINTS
        data["x"] += frequency.tolist()
        data["y"] += gain.tolist()
    right.set_xlim(0, min(60, max(fs) / 2))
    right.set_ylim(0, 1.02)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_xlabel("frequency (Hz)")
    right.set_title("amplitude left, sampled at", fontsize=10, loc="left")
    right.legend()
    return fig, data


def response(taps: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Return the amplitude gain of a filter at frequencies in cycles a sample."""
    offsets = np.arange(len(taps))
    return np.abs(np.exp(-2j * np.pi * np.outer(cycles, offsets)) @ taps)


def overlaid(
    panels: Mapping[str, Mapping[str, Sequence[float]]], *, x: str, y: str
) -> tuple[Figure, dict[str, list[Any]]]:
    """Draw signals over one another, a panel for each group of them.

    Args:
        panels: title to {label: (L,) signal}, of any lengths; the first of a group is drawn as a
            broad pale line, on which equal signals can be seen to lie.
        x, y: labels of the axes.
    """
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(
        len(panels),
        figsize=(WIDTH, 0.9 + 1.6 * len(panels)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    broad = {"color": COLORS[5], "lw": 5, "alpha": 0.6}
    thin = [{"color": "#000000", "lw": 1.2}, {**look(1), "marker": None, "lw": 1.5}]
    data: dict[str, list[Any]] = {"panel": [], "signal": [], x: [], y: []}
    for axis, (title, signals) in zip(axes[:, 0], panels.items(), strict=True):
        for style, (label, values) in zip([broad, *thin], signals.items(), strict=True):
            axis.plot(values, label=label, **style)
            data["panel"] += [title] * len(values)
            data["signal"] += [label] * len(values)
            data[x] += list(range(len(values)))
            data[y] += list(values)
        axis.set_title(title, fontsize=10, loc="left")
    axes[-1, 0].set_xlabel(x)
    fig.supylabel(y, fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return fig, data
