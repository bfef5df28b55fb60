"""Signals under attack on ECG paper, one chosen by the reader, with what networks read in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.figures.embedded import WIDGET, Embedded
from ecgadv.figures.style import COLORS
from ecgadv.results.attacked import COUNTS, Signals

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure

LAYOUT = """<div class="explore-controls">{signals}{example}{defense}{attack}{level}</div>
<p role="status" class="explore-said"></p>
<div class="explore-beside">
<div class="explore-plot" role="img" aria-label="The signal and the attacked one on ECG paper, and
beneath them the difference in microvolts; the sentence above says what is shown">
{paper}{below}</div>
<div class="explore-plot" role="img" aria-label="Probabilities of the classes without and under the
attack; the same numbers stand in the table below">{bars}</div>
</div>
<div class="explore-table" role="region" aria-label="Probabilities of the classes" tabindex="0">
</div>"""

# Fill in the lists of the chosen set, and draw its example; a small box of ECG paper stays square.
SHOW = """
const set = sets[signals.value];
if (cb_obj === signals) {
  for (const [box, words] of [[example, set.examples], [defense, set.defenses],
                              [attack, set.attacks]]) {
    box.options = words;
    if (!words.includes(box.value)) box.value = words[0];
  }
  level.categories = set.levels;
  if (!set.levels.includes(level.value)) level.value = set.levels[0];
}
const e = set.examples.indexOf(example.value), d = set.defenses.indexOf(defense.value);
const a = set.attacks.indexOf(attack.value), s = set.levels.indexOf(level.value);
if (Math.min(e, d, a, s) < 0) return;  // the lists are still being filled in

const cut = (values, at, size) => Array.from({length: size}, (_, i) => values[at * size + i]);
const samples = set.signal.shape[1], K = set.classes.length;
const row = ((e * set.defenses.length + d) * set.attacks.length + a) * set.levels.length + s;
const step = set.step[e * set.levels.length + s], limit = counts * step;
const clean = cut(set.signal, e, samples);
const added = cut(set.added, row, samples).map((count) => count * step);
const time = clean.map((_, i) => i / set.fs);
const attacked = clean.map((value, i) => value + added[i] / 1000);
traces.data = {time, clean, attacked, added};
const before = cut(set.clean, e * set.defenses.length + d, K).map((p) => 100 * p);
const after = cut(set.attacked, row, K).map((p) => 100 * p);
classes.factors = [...set.classes].reverse();
read.data = {name: set.classes, before, after};

const low = Math.min(...clean, ...attacked), high = Math.max(...clean, ...attacked);
const {inner_width: width, inner_height: height} = paper;
const mm = Math.max(25 * samples / set.fs / width, 10 * 1.1 * (high - low) / height);  // a pixel
paper.x_range.end = width * mm / 25;
paper.y_range.setv({start: (low + high) / 2 - height * mm / 20,
                    end: (low + high) / 2 + height * mm / 20});
axis.axis_label = set.height;
below.y_range.setv({start: -1.25 * limit, end: 1.25 * limit});
upper.location = limit;
lower.location = -limit;
padding.left = set.length[e] / set.fs;

const page = document.getElementById(name);
const best = (values) => values.indexOf(Math.max(...values));
const told = (values) => `${set.classes[best(values)]} (${values[best(values)].toFixed(0)} %)`;
page.querySelector(".explore-said").textContent =
  `${example.value}. Network: ${defense.value}. It reads ${told(before)} without an attack, and ` +
  `${told(after)} under ${attack.value} at ${level.value}, here ±${limit.toFixed(0)} µV.`;
const node = (kind, ...inside) => {
  const made = document.createElement(kind);
  made.append(...inside);
  return made;
};
const line = (label, values) => node("tr", node("th", label),
  ...values.map((value) => node("td", value.toFixed(1))));
page.querySelector(".explore-table").replaceChildren(node("table",
  node("thead", node("tr", ...["probability, %", ...set.classes].map((c) => node("th", c)))),
  node("tbody", line("without an attack", before), line("under the attack", after))));
"""


def viewer(*sets: Signals, name: str) -> Embedded:
    """Return lists of examples, networks and attacks, a slider of levels, and what they choose.

    Args:
        sets: the examples to choose from; the first one is shown.
        name: of the piece, unique in the page.
    """
    from bokeh.models import ColumnDataSource, CustomJS

    traces = ColumnDataSource(dict.fromkeys(("time", "clean", "attacked", "added"), ()))
    read = ColumnDataSource(dict.fromkeys(("name", "before", "after"), ()))
    boxes = _boxes(sets)
    paper, padding = _paper(traces)
    below, upper, lower = _below(traces, paper)
    bars = _bars(read, sets[0].classes)
    drawn = {"paper": paper, "below": below, "traces": traces, "read": read, "padding": padding}
    drawn |= {"axis": paper.yaxis[0], "upper": upper, "lower": lower, "classes": bars.y_range}
    fixed = {"sets": {one.name: _embedded(one) for one in sets}, "counts": COUNTS, "name": name}
    show = CustomJS(args={**boxes, **drawn, **fixed}, code=SHOW)
    for box in boxes.values():
        box.js_on_change("value", show)
    for side in ("inner_width", "inner_height"):
        paper.js_on_change(side, show)
    roots = {**boxes, "paper": paper, "below": below, "bars": bars}
    return Embedded(name, roots, LAYOUT, start=show, labels={"level": "noise level eps"})


def _embedded(one: Signals) -> dict[str, Any]:
    """Return a set as the page holds it."""
    words = ("height", "fs", "classes", "examples", "defenses", "attacks", "levels")
    numbers = ("signal", "step", "clean", "attacked")
    found = {key: getattr(one, key) for key in words}
    found |= {key: np.asarray(getattr(one, key), np.float32) for key in numbers}
    return found | {"added": one.added, "length": one.length.tolist()}


def _boxes(sets: tuple[Signals, ...]) -> dict[str, Any]:
    """Return the lists and the slider, which show the first example of the first set."""
    from bokeh.models import CategoricalSlider, InlineStyleSheet, Select

    first, shared = sets[0], {"stylesheets": [InlineStyleSheet(css=WIDGET)]}
    lists = {
        "signals": ("Signals", [one.name for one in sets]),
        "example": ("Example", list(first.examples)),
        "defense": ("Defense", list(first.defenses)),
        "attack": ("Attack", list(first.attacks)),
    }
    fit = {"sizing_mode": "stretch_width", "min_width": 120, **shared}
    boxes: dict[str, Any] = {
        key: Select(title=title, options=words, value=words[0], **fit)
        for key, (title, words) in lists.items()
    }
    levels = list(first.levels)
    boxes["level"] = CategoricalSlider(
        title="Noise level", categories=levels, value=levels[-1], bar_color="#0072B2", **fit
    )
    return boxes


def _figure(**options: Any) -> figure:
    from bokeh.plotting import figure

    fixed = {"toolbar_location": None, "tools": "", "min_width": 200, "min_border_left": 62}
    return figure(sizing_mode="stretch_width", **fixed, **options)


def _paper(traces: ColumnDataSource) -> tuple[figure, Any]:
    """Return the sheet with both signals, and the box that marks the padding."""
    from bokeh.models import BoxAnnotation, SingleIntervalTicker

    paper = _figure(height=330, x_range=(0, 1), y_range=(0, 1), y_axis_label="mV")
    # A large box is 5 mm, a small one 1 mm: 0.2 s and 0.04 s, 0.5 mV and 0.1 mV.
    for axis, grid, box in (
        (paper.xaxis, paper.xgrid, 0.2),
        (paper.yaxis, paper.ygrid, 0.5),
    ):
        axis.ticker = grid.ticker = SingleIntervalTicker(interval=box, num_minor_ticks=5)
        axis.minor_tick_line_color = None
        grid.update(grid_line_color="#E8A0A0", minor_grid_line_color="#F6DADA")
    padding = BoxAnnotation(left=0, fill_color="#808080", fill_alpha=0.2, line_color=None)
    paper.add_layout(padding)
    shared = {"source": traces, "line_width": 1.6}
    paper.line("time", "attacked", color=COLORS[1], legend_label="attacked", **shared)
    paper.line("time", "clean", color="#000000", legend_label="signal", **shared)
    paper.legend.update(location="top_right", background_fill_alpha=0.7, border_line_color=None)
    paper.legend.update(padding=2, spacing=0, label_text_font_size="12px")
    return paper, padding


def _below(traces: ColumnDataSource, paper: figure) -> tuple[figure, Any, Any]:
    """Return the plot of what is added, and the two lines of the budget."""
    from bokeh.models import Span

    below = _figure(
        height=150,
        x_range=paper.x_range,
        y_range=(-1, 1),
        x_axis_label="time (s)",
        y_axis_label="added (µV)",
    )
    below.line("time", "added", source=traces, color=COLORS[1], line_width=1.4)
    dotted = {"dimension": "width", "line_dash": "dotted", "line_color": "#404040"}
    upper, lower = Span(location=1, **dotted), Span(location=-1, **dotted)
    below.add_layout(upper)
    below.add_layout(lower)
    return below, upper, lower


def _bars(read: ColumnDataSource, classes: tuple[str, ...]) -> figure:
    """Return the bars of the probabilities, two a class, the first class above."""
    from bokeh.models import FactorRange
    from bokeh.transform import dodge

    bars = _figure(
        height=330,
        x_range=(0, 100),
        y_range=FactorRange(*classes[::-1]),
        x_axis_label="probability, %",
    )
    for column, label, color, aside in (
        ("before", "without an attack", "#606060", 0.18),
        ("after", "under the attack", COLORS[1], -0.18),
    ):
        place = dodge("name", aside, range=bars.y_range)
        shared = {"source": read, "height": 0.3, "color": color, "legend_label": label}
        bars.hbar(y=place, right=column, **shared)
    bars.add_layout(bars.legend[0], "above")
    bars.legend.update(border_line_color=None, padding=2, spacing=0, label_text_font_size="12px")
    return bars
