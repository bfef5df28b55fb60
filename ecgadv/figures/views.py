"""Tables of results as figures, and as tables of a page: views of what `ecgadv.results` returns.

Each takes a frame with the columns of `results.estimates` or `results.differences`, whose rows the
notebook has chosen. What captions say of data, n, seeds and intervals comes from the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.claims import NOT_RUN
from ecgadv.evaluation.intervals import t_quantile
from ecgadv.experiments.store import find, folders_at_hand
from ecgadv.figures.citable import provenance_of
from ecgadv.figures.panels import Dot, Drawing, Line, NotRun, dots, panels
from ecgadv.figures.tables import TOO_FEW, Table
from ecgadv.markdown import Markdown
from ecgadv.results import names

if TYPE_CHECKING:
    from pandas import DataFrame

# With fewer seeds Student's interval says more about the few than about the network.
SEEDS_FOR_T = 3
FEW = 15  # examples of which a share says next to nothing


def lines(
    frame: DataFrame,
    *,
    x: str = "eps",
    series: str = "name",
    panel: str = "attack",
    what: str,
    area_to: float | None = None,
) -> Drawing | NotRun:
    """Draw a number against the noise level, or against the strength of a defense.

    Args:
        frame: rows of `estimates` of one data set.
        x: the column along the axis, "eps" or "strength".
        series, panel: the columns that lines and panels tell apart.
        what: the beginning of the caption.
        area_to: shade the axis up to here.
    """
    if frame[x].nunique() < 2:
        return NotRun(what)
    order = {name: number for number, name in enumerate(frame[series].unique())}
    parts: dict[str, dict[str, Line]] = {}
    for _, rows in frame.groupby(panel, sort=False):
        drawn = parts.setdefault(said(rows.iloc[0], panel), {})
        for name, of in rows.groupby(series, sort=False):
            look = look_of(of.iloc[0]) if series == "name" else order[name]
            drawn[said(of.iloc[0], series)] = _line(of.sort_values(x), x, look)
    first = frame.iloc[0]
    share = x == "eps" and first.unit not in names.words()["units"]
    label = names.axis(first.unit) if x == "eps" else _strength(first["name"])
    fig, data = panels(parts, x=label, y=_axis(frame), area_to=area_to, root=share)
    ends = frame.loc[frame.groupby([series, panel], sort=False)[x].idxmax()]
    told = [
        f"{said(one, series)}, {said(one, panel)}: {percent(one['value'])}"
        for one in ends.to_dict("records")
    ]
    return Drawing(
        fig,
        data,
        f"{what}. {_sentence(sample(frame))} Bands: {bootstrap(frame)}.",
        f"Lines. Percent at the largest {x}: {'; '.join(told)}.",
        provenance(frame),
    )


def whiskers(
    frame: DataFrame,
    *,
    row: str = "name",
    series: str = "attack",
    what: str,
) -> Drawing | NotRun:
    """Draw estimates as dots with whiskers: one row a defense, one colour an attack.

    Args:
        frame: rows of `estimates`, or of `differences`, which are drawn about a line at 0.
        row, series: the columns that rows and colours tell apart.
        what: the beginning of the caption.
    """
    if frame.empty:
        return NotRun(what)
    cells: dict[str, dict[str, Dot]] = {}
    for one in frame.to_dict("records"):
        cells.setdefault(said(one, row), {})[said(one, series)] = dot(one)
    change = "reference" in frame.columns
    limits = None if change else (-0.03, 1.03)
    value = "difference (points)" if change else _axis(frame)
    fig, data = dots(cells, value=value, change=change, limits=limits)
    caption = f"{what}. {_sentence(sample(frame))} {_whiskers_in_words(frame)}."
    told = "; ".join(
        f"{name}: " + ", ".join(f"{of} {100 * d.value:.1f}" for of, d in each.items())
        for name, each in cells.items()
    )
    return Drawing(fig, data, caption, f"Dots with whiskers. Percent: {told}.", provenance(frame))


def grid(
    frame: DataFrame,
    *,
    row: str = "name",
    column: str = "attack",
    cell: Callable[[Mapping[str, Any]], str] | None = None,
) -> Table:
    """Return a table: one row a defense, one column an attack, a number in percent a cell.

    Args:
        frame: rows of `estimates` or `differences`; what is missing of a row says "not run".
        row, column: the columns that rows and columns tell apart.
        cell: the text of a row of the frame; its value in percent if None. See `interval`.
    """
    write = cell or (lambda one: percent(one["value"]))
    cells: dict[str, dict[str, str]] = {}
    columns: dict[str, None] = {}
    for one in frame.to_dict("records"):
        head = said(one, column)
        columns[head] = None
        cells.setdefault(said(one, row), {})[head] = write(one)
    lead = {"name": "defense"}.get(row, row)
    table: dict[str, list[str]] = {lead: list(cells) or [NOT_RUN]}
    for head in columns:
        table[head] = [each.get(head, NOT_RUN) for each in cells.values()]
    return Table(table)


def changes(frame: DataFrame) -> Markdown:
    """Return what oddities change as a table, and those that nothing measures (MyST markdown).

    Args:
        frame: of `effects`.
    """
    measured, rest = frame[frame.value.notna()], frame[frame.value.isna()]
    rows = measured.to_dict("records")
    heads = [(f"[{one['oddity']}](#{one['oddity']})", one["compared"]) for one in rows]
    # What is said once is not said again in the next row.
    first = [head if head != last else ("", "") for last, head in pairwise([None, *heads])]
    table = {
        "oddity": [oddity for oddity, _ in first],
        "what is compared": [compared for _, compared in first],
        "measure": [_measure(one) for one in rows],
        "effect, points": [interval(one) for one in rows],
        "n": [f"{one['n']:,.0f}" for one in rows],
        "seeds": list(map(seeds_of, rows)),
        "see": list(measured.see),
    }
    lines = [f"Profile `{profile}`.\n" for profile in measured.profile.unique()]
    lines += [Table(table)._repr_markdown_()] if rows else []
    lines += [f"**Not measured:** {', '.join(rest.oddity)}.\n"] if len(rest) else []
    return Markdown("\n".join(lines))


def _measure(one: Mapping[str, Any]) -> str:
    """Return network, attack and level; not the network or attack that the two sides differ in."""
    parts = [] if one["compared"].startswith(one["name"]) else [one["name"]]
    parts += [] if one["reference"].startswith("attack") else [said(one, "attack")]
    return ", ".join([*parts, said(one, "eps")] if one["eps"] else parts)


def interval(one: Mapping[str, Any]) -> str:
    """Return a number of a frame with its interval, for a cell: "28.5 [24.0, 32.9]".

    The interval runs from the lower to the higher end of both. With two seeds Student's would be
    wider than all that is possible, so that the two values stand there. Of a handful of examples
    there is no number.
    """
    if one["n"] < FEW:
        return TOO_FEW
    if one["t_low"] == one["t_low"] and seeds_of(one) < SEEDS_FOR_T:
        return " and ".join(percent(value) for value in by_seed(one))
    low, high = outer(one)
    sign = "+" if "reference" in one else ""
    text = f"{100 * one['value']:{sign}z.1f}"
    return f"{text} [{100 * low:{sign}z.1f},\u00a0{100 * high:{sign}z.1f}]"


def outer(one: Mapping[str, Any]) -> tuple[float, float]:
    """Return the outer ends of both intervals of a row."""
    low = float(np.nanmin([one["t_low"], one["low"]]))
    high = float(np.nanmax([one["t_high"], one["high"]]))
    return (low, high) if "reference" in one else (max(low, 0.0), min(high, 1.0))


def by_seed(one: Mapping[str, Any]) -> tuple[float, float]:
    """Return the two values that a mean over two seeds is of, from Student's interval."""
    half = (one["t_high"] - one["value"]) / t_quantile(0.975, 1)
    return one["value"] - half, one["value"] + half


def seeds_of(one: Mapping[str, Any]) -> int:
    """Return how many seeds a row is the mean of."""
    return len(str(one["seeds"]).split())


def percent(value: float) -> str:
    """Return a share in percent, an undefined one as a dash."""
    return "-" if np.isnan(value) else f"{100 * value:z.1f}"


def said(one: Mapping[str, Any], column: str) -> str:
    """Return a value of a frame in words, as tables and legends write it."""
    value = one[column]
    if column == "attack":
        return names.attack_name(value, one["experiment"])
    if column == "eps":
        return names.level(value, one["unit"])
    tables = {"split": "splits", "network": "networks", "metric": "metrics"}
    if column == "variant":
        return names.words()["protocols"].get(value, value)
    return names.known(tables[column], value) if column in tables else str(value)


def sample(frame: DataFrame) -> str:
    """Return data, split, n, seeds and profile of the rows in words."""
    about = [names.known("datasets", name) for name in frame.dataset.unique()]
    data = " and ".join(entry["words"] for entry in about)
    splits = " and ".join(names.known("splits", name) for name in frame.split.unique())
    n = " to ".join(f"{n:,}" for n in dict.fromkeys((frame.n.min(), frame.n.max())))
    seeds = sorted({len(str(keys).split()) for keys in frame.seeds})
    number = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    profiles = ", ".join(f"`{name}`" for name in frame.profile.unique())
    return (
        f"{data}, {splits}, n = {n} test {about[0]['examples']}, {number} "
        f"seed{'s' * (number != '1')}, profile {profiles}"
    )


def _strength(name: str) -> str:
    """Return what the strength of a defense is, from its name: "beta of NSR"."""
    defense, strength = name.split(", ")[:2]
    return f"{strength.split()[0]} of {defense}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def bootstrap(frame: DataFrame) -> str:
    """Return what the bootstrap of these rows draws."""
    examples = names.known("datasets", frame.dataset.iloc[0])["examples"]
    drawn = ["patients" if split == "interpatient" else examples for split in frame.split.unique()]
    return f"95 % bootstrap over seeds and {' or '.join(dict.fromkeys(drawn))}"


def provenance(frame: DataFrame) -> dict[str, Any]:
    """Return where rows come from: the records behind them, each once."""
    folders = folders_at_hand()
    keys = dict.fromkeys(key for keys in frame["keys"] for key in keys.split())
    return provenance_of([find(key, folders) for key in keys])


def dot(one: Mapping[str, Any]) -> Dot:
    """Return a row as a dot: the bootstrap within, Student's interval from three seeds on."""
    low, high = (one["low"], one["high"])
    if seeds_of(one) >= SEEDS_FOR_T:
        low, high = outer(one)
    return Dot(one["value"], low, high, one["low"], one["high"])


def _line(rows: DataFrame, x: str, look: int) -> Line:
    return Line(list(rows[x]), list(rows.value), list(rows.low), list(rows.high), look)


def look_of(one: Mapping[str, Any]) -> int:
    """Return the number of the look of a row's defense."""
    strength = "" if np.isnan(one["strength"]) else f"-{one['strength']:g}"
    return names.look_of(one["defense"] + strength, one["experiment"], one["variant"])


def _axis(frame: DataFrame) -> str:
    """Return what the values are, for the axis."""
    metric = " or ".join(names.known("metrics", m) for m in frame.metric.unique())
    balanced = set(frame.weighting) == {"class-balanced"} and "accuracy" in set(frame.metric)
    return f"class-balanced {metric}" if balanced else metric


def _whiskers_in_words(frame: DataFrame) -> str:
    text = f"Thick whiskers: {bootstrap(frame)}"
    if max(map(seeds_of, frame.to_dict("records"))) < SEEDS_FOR_T:
        return text
    return f"{text}; thin: Student's t over seeds, where wider"
