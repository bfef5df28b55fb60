"""All estimates as one table that a reader sorts and filters, and tables as files for download."""

from __future__ import annotations

import html
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgadv.experiments.store import find, folders_at_hand
from ecgadv.figures.tables import Table
from ecgadv.figures.views import interval, percent, said, seeds_of
from ecgadv.markdown import Markdown
from ecgadv.results import names, strongest
from ecgadv.results.result import Result
from ecgadv.results.rows import ALL

if TYPE_CHECKING:
    from pandas import DataFrame

# Columns of the page's table; a row opens the last ones, and a reader filters some by lists.
SHOWN = ("Defense", "Attack", "eps", "Value", "95 % interval", "Metric")
SHOWN += ("Network", "Split", "Protocol", "n", "Seeds")
OPENED = ("Records", "Command", "File")
FILTERS = ("Network", "Defense", "Attack", "eps", "Split", "Protocol", "Metric")


def publish(frame: DataFrame, name: str, *, out: str | Path) -> Markdown:
    """Write a table as csv and parquet into a notebook's `downloads/`; return links to both.

    Args:
        frame: any table; the same one gives the same bytes.
        name: of the files, without an ending.
        out: the notebook's output folder.
    """
    folder = Path(out) / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / f"{name}.csv", index=False)
    frame.to_parquet(folder / f"{name}.parquet", index=False)
    links = (
        f"{{download}}`{name}.{form} </downloads/{name}.{form}>`" for form in ("csv", "parquet")
    )
    return Markdown(f"{', '.join(links)}: {len(frame):,} rows.")


def publish_each(frame: DataFrame, *, out: str | Path) -> None:
    """Write the rows of each network as a csv of its own into a notebook's `networks/`."""
    folder = Path(out) / "networks"
    folder.mkdir(parents=True, exist_ok=True)
    files = [_file(one) for one in frame.to_dict("records")]
    for name, rows in frame.groupby(files):
        rows.to_csv(folder / name, index=False)


@dataclass(frozen=True)
class Browser:
    """The rows of `results.estimates` as a table of the page, which browse.js brings to life.

    Each row links to the csv that `publish_each` writes of its network.

    Args:
        frame: the columns of `results.estimates`.
        caption: what the table holds.
    """

    frame: DataFrame
    caption: str

    def _repr_html_(self) -> str:
        headings = (*SHOWN, *OPENED)
        levels = [_level(one) for one in self.frame.sort_values(["unit", "eps"]).to_dict("records")]
        rows = [_row(one) for one in self.frame.to_dict("records")]
        columns = [
            coded((row[i] for row in rows), order=levels if title == "eps" else ())
            for i, title in enumerate(headings)
        ]
        about = {"headings": headings, "filters": FILTERS, "opened": len(OPENED)}
        text = json.dumps(about | {"columns": columns}, separators=(",", ":"), ensure_ascii=False)
        # No cell may end the script.
        data = text.replace("<", "\\u003c")
        return f"""<link rel="stylesheet" href="../_static/datatables.css">
<div id="browse">
<form aria-label="Filters"></form>
<div class="browse-scroll" role="region" aria-label="Table of all results" tabindex="0">
<table class="compact nowrap"><caption>{html.escape(self.caption)}</caption></table>
</div>
<noscript>The table needs JavaScript; the files beside it do not.</noscript>
<script type="application/json">{data}</script>
</div>
<script src="../_static/datatables.js"></script>
<script src="../_static/edition.js"></script>
<script src="../_static/browse.js"></script>"""


def leaderboard(frame: DataFrame) -> Table:
    """Return networks and splits with their defenses, the one that holds most first.

    Args:
        frame: rows of `results.estimates` of the worst case, one a network.

    Returns:
        A table with the value in percent and its interval, and the attack that turned most, with
        its share of the examples that any attack turned.
    """
    folders = folders_at_hand()
    heads = "network and split", "defense", "worst case, %", "turned most"
    columns: dict[str, list[str]] = {head: [] for head in heads}
    for _, rows in frame.groupby(["experiment", "network", "split", "profile"], sort=False):
        for one in rows.sort_values("value", ascending=False, kind="stable").to_dict("records"):
            result = Result(tuple(find(key, folders) for key in one["keys"].split()))
            attack, share = strongest(result, eps=one["eps"])
            where = f"{said(one, 'network')}, {said(one, 'split')}"
            most = f"{names.attack_name(attack, one['experiment'])}: {percent(share)} %"
            cells = where, one["name"], interval(one), most if share == share else "-"
            for column, cell in zip(columns.values(), cells, strict=True):
                column.append(cell)
    return Table(columns)


def coded(cells: Iterable[Hashable], *, order: Sequence[Hashable] = ()) -> dict[str, list]:
    """Return a column as its distinct values and, for each row, the position of its value.

    Args:
        cells: one a row.
        order: values that come first, in this order; the others as they appear.
    """
    place = {value: i for i, value in enumerate(dict.fromkeys(order))}
    codes = [place.setdefault(cell, len(place)) for cell in cells]
    return {"values": list(place), "codes": codes}


def _row(one: Mapping[str, Any]) -> tuple:
    """Return the cells of a row, in the order of the headings; empty where there is no number."""
    distance = one["metric"] == "median_distance"
    unit = names.words()["units"].get(one["unit"], one["unit"]).strip()
    about = one["weighting"] if one["class"] == ALL else f"class {one['class']}"
    digits = 2 if distance else 1
    value, low, high = (one[name] * (1 if distance else 100) for name in ("value", "low", "high"))
    return (
        one["name"],
        said(one, "attack"),
        _level(one),
        f"{value:.{digits}f}" if value == value else "",
        f"{low:.{digits}f} to {high:.{digits}f}" if low == low else "",
        f"{said(one, 'metric')}, {unit if distance else f'{about}, %'}",
        said(one, "network"),
        said(one, "split"),
        f"{said(one, 'variant')} ({one['profile']})",
        int(one["n"]),
        seeds_of(one),
        one["keys"],
        f"ecgadv run {one['experiment']} --profile {one['profile']} --only '{_label(one)}'",
        _file(one),
    )


def _label(one: Mapping[str, Any]) -> str:
    """Return the label of the config that a row is of."""
    strength = "" if one["strength"] != one["strength"] else f"-{one['strength']:g}"
    return f"{one['split']}/{one['network']}/{one['defense']}{strength}/{one['variant']}"


def _file(one: Mapping[str, Any]) -> str:
    """Return the name of the csv with all rows of the network that a row is of."""
    return "-".join([one["experiment"], one["profile"], *_label(one).split("/")]) + ".csv"


def _level(one: Mapping[str, Any]) -> str:
    return said(one, "eps") if one["eps"] == one["eps"] else ""
