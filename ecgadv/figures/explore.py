"""Accuracy against the noise level as a plot in which a reader chooses attacks and defenses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgadv.figures.embedded import WIDGET, Embedded
from ecgadv.figures.style import look
from ecgadv.figures.views import look_of, said, seeds_of
from ecgadv.results import names
from ecgadv.results.rows import ALL, BALANCED, CLEAN, NATURAL

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure
    from pandas import DataFrame

WEIGHTINGS = {BALANCED: "mean of the classes", NATURAL: "plain: every example the same"}
HEIGHT = 370  # pixels, without a legend
OTHER = "other settings"  # a variant that the name of its defense tells
# Colours and marks tell defenses apart, as in all figures; dashes what else differs.
MARKERS = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "inverted_triangle"}
MARKERS |= {"P": "plus", "X": "x"}
DASHES = ((), (8, 4), (2, 3), (8, 3, 2, 3), (14, 4), (4, 6))
CHOSEN = ("defense", "attack", "protocol", "weighting")
NUMBERS = ("x", "y", "low", "high")
TOLD = ("level", "interval", "n", "seeds", "keys", "profile")
LOOKS = ("color", "marker")
TOOLTIP = [
    ("defense", "@defense"),
    ("attack", "@attack"),
    ("protocol", "@protocol (@profile)"),
    ("value", "@y{0.0} %, @weighting"),
    ("95 % interval", "@interval"),
    ("at", "@level"),
    ("examples, seeds", "@n, @seeds"),
    ("records", "@keys"),
]

LAYOUT = """<div class="explore-controls">
<fieldset><legend>Defenses</legend>{defense}</fieldset>
<fieldset><legend>Attacks</legend>{attack}</fieldset>
<fieldset><legend>Protocols</legend>{protocol}</fieldset>
<fieldset><legend>Average</legend>{weighting}</fieldset>
</div>
<div class="explore-plot" role="img" aria-label="Accuracy against the noise level; the same
numbers stand in the table below">{plot}</div>
<p role="status" class="explore-said"></p>
<div class="explore-table" role="region" aria-label="What the plot shows" tabindex="0"></div>"""

# What is on decides which points are drawn, which curves join them, and what the table says.
CHOOSE = """
const boxes = {defense, attack, protocol, weighting};
const on = ({active, labels}) => new Set([active].flat().map((i) => labels[i]));
const wanted = Object.entries(boxes).map(([column, box]) => [column, on(box)]);
const pick = ({data}) => {
  const rows = [...data.defense.keys()].filter((i) =>
    wanted.every(([column, chosen]) => chosen.has(data[column][i])));
  const part = (values) => rows.map((i) => values[i]);
  return Object.fromEntries(Object.entries(data).map(([key, values]) => [key, part(values)]));
};
const found = pick(joined);
const parts = wanted.filter(([column, chosen]) =>
  column == "defense" || (chosen.size > 1 && column != "weighting"));
found.label = found.defense.map((_, i) => parts.map(([column]) => found[column][i]).join("; "));
const others = found.attack.map((attack, i) => attack + found.protocol[i]);
const kinds = [...new Set(others)];
found.dash = others.map((kind) => dashes[kinds.indexOf(kind) % dashes.length]);
// A height is painted at once, with marks as they were: it comes before the data are others.
plot.height = tall + 26 * found.label.length;  // with a line of the legend for each
points.data = pick(every);
curves.data = found;

const node = (kind, ...inside) => {
  const made = document.createElement(kind);
  made.append(...inside);
  return made;
};
const levels = [...new Set(found.xs.flat())].sort((a, b) => a - b);
const cell = (i, eps) => found.ys[i][found.xs[i].indexOf(eps)]?.toFixed(1) ?? "";
const page = document.getElementById(name);
page.querySelector(".explore-table").replaceChildren(node("table",
  node("thead", node("tr", ...[head, ...levels].map((text) => node("th", text)))),
  node("tbody", ...found.label.map((label, i) =>
    node("tr", node("th", label), ...levels.map((eps) => node("td", cell(i, eps))))))));
const told = wanted.slice(1).map(([column, chosen]) => [...chosen].join(" and ") || `no ${column}`);
page.querySelector(".explore-said").textContent =
  `${found.label.length} curves are shown: ${told.join("; ")}.`;
"""


def accuracy(frame: DataFrame, *, name: str, first: DataFrame) -> Embedded:
    """Return a plot of accuracy against eps, with boxes for defenses, attacks and protocols.

    Args:
        frame: rows of `results.estimates` of one experiment; accuracies under attack are drawn.
        name: of the piece, unique in the page.
        first: the rows that are drawn before the reader chooses.
    """
    from bokeh.models import ColumnDataSource, CustomJS

    every = points(frame)
    boxes = _boxes(every, points(first))
    head = names.axis(frame.unit.iloc[0])
    fixed = {"name": name, "head": head, "dashes": DASHES, "tall": HEIGHT}
    shown = {"points": ColumnDataSource(dict.fromkeys(every, ())), "curves": ColumnDataSource()}
    joined = curves(every)
    shown["curves"].data = dict.fromkeys((*joined, "label", "dash"), ())
    sources = {"every": ColumnDataSource(every), "joined": ColumnDataSource(joined)}
    plot = _plot(shown["points"], shown["curves"], head, max(every["x"], default=1.0))
    shown |= {"plot": plot}
    choose = CustomJS(args={**boxes, **sources, **shown, **fixed}, code=CHOOSE)
    for box in boxes.values():
        box.js_on_change("active", choose)
    return Embedded(name, {**boxes, "plot": plot}, LAYOUT, start=choose)


def points(frame: DataFrame) -> dict[str, list[Any]]:
    """Return the accuracies under attack of a frame, in percent, as the columns of the plot."""
    rows = frame[(frame.metric == "accuracy") & (frame["class"] == ALL) & (frame.attack != CLEAN)]
    found: dict[str, list[Any]] = {column: [] for column in (*CHOSEN, *NUMBERS, *TOLD, *LOOKS)}
    protocols, order = names.words()["protocols"], list(names.words()["attacks"])
    rows = rows[rows.eps.notna()].sort_values("eps", kind="stable")
    rows = rows.sort_values("attack", key=lambda a: a.map(order.index), kind="stable")
    for one in rows.to_dict("records"):
        low, high = 100 * one["low"], 100 * one["high"]
        style = look(look_of(one))
        values = {
            "defense": one["name"],
            "attack": said(one, "attack"),
            "protocol": f"{said(one, 'split')}, {protocols.get(one['variant'], OTHER)}",
            "weighting": WEIGHTINGS[one["weighting"]],
            "x": one["eps"],
            "y": 100 * one["value"],
            "low": low,
            "high": high,
            "level": said(one, "eps"),
            "interval": f"{low:.1f} to {high:.1f}",
            "n": one["n"],
            "seeds": seeds_of(one),
            "keys": one["keys"],
            "profile": one["profile"],
            "color": style["color"],
            "marker": MARKERS[style["marker"]],
        }
        for column, value in values.items():
            found[column].append(value)
    return found


def curves(points: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return the curves that join points of one defense, attack, protocol and average."""
    joined: dict[tuple, dict[str, list]] = {}
    for i in range(len(points["x"])):
        curve = tuple(points[column][i] for column in (*CHOSEN, *LOOKS))
        one = joined.setdefault(curve, {"xs": [], "ys": []})
        one["xs"].append(points["x"][i])
        one["ys"].append(points["y"][i])
    columns = zip(*joined, strict=True) if joined else [()] * len((*CHOSEN, *LOOKS))
    found = dict(zip((*CHOSEN, *LOOKS), map(list, columns), strict=True))
    for column in ("xs", "ys"):
        found[column] = [one[column] for one in joined.values()]
        found[column.replace("s", "_end")] = [one[column][-1] for one in joined.values()]
    return found


def _boxes(every: Mapping[str, list], first: Mapping[str, list]) -> dict[str, Any]:
    """Return the boxes by column, those of the first rows on."""
    from bokeh.models import CheckboxGroup, InlineStyleSheet, RadioGroup

    boxes = {}
    for column in CHOSEN:
        labels = list(dict.fromkeys(every[column]))
        active = [i for i, label in enumerate(labels) if label in first[column]]
        shared = {"labels": labels, "stylesheets": [InlineStyleSheet(css=WIDGET)]}
        shared |= {"sizing_mode": "stretch_width", "min_width": 120}
        if column == "weighting":
            boxes[column] = RadioGroup(active=active[0], **shared)
        else:
            boxes[column] = CheckboxGroup(active=active, **shared)
    return boxes


def _plot(points: ColumnDataSource, curves: ColumnDataSource, label: str, last: float) -> figure:
    """Return the plot of what is shown."""
    from bokeh.models import HoverTool, Legend, LegendItem
    from bokeh.plotting import figure

    plot = figure(
        x_axis_label=label,
        y_axis_label="accuracy, %",
        x_range=(-0.03 * last, 1.03 * last),
        y_range=(-3, 103),
        height=HEIGHT,
        min_width=240,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
    )
    plot.multi_line(
        "xs", "ys", source=curves, color="color", line_dash="dash", line_width=2, name="curves"
    )
    lines = plot.renderers[-1]
    ends = plot.scatter("x_end", "y_end", source=curves, color="color", marker="marker", size=8)
    plot.segment("x", "low", "x", "high", source=points, color="color", line_width=1)
    dots = plot.scatter("x", "y", source=points, color="color", marker="marker", size=8)
    plot.add_tools(HoverTool(renderers=[dots], tooltips=TOOLTIP))
    legend = Legend(items=[LegendItem(label={"field": "label"}, renderers=[lines, ends])])
    legend.update(label_text_font_size="12px", border_line_color=None, padding=0, location="left")
    plot.add_layout(legend, "below")
    return plot
