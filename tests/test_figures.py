"""The five files of a figure, its entry in the book, and the drawings behind it."""

import csv
import html
import json
import re
import string
import types

import matplotlib
import numpy as np
import pytest
from markdown_it import MarkdownIt
from matplotlib import pyplot as plt

from ecgadv import figures
from ecgadv.errors import EcgadvError
from ecgadv.figures import panels
from ecgadv.figures.strips import strips
from ecgadv.markdown import literal

PROVENANCE = {
    "command": "ecgadv run paper-b --profile demo",
    "commit": "0123456789abcdef",
    "config": ["aa11"],
    "data": "synthetic ff00",
    "device": "CPU",
    "labels": "synthetic 1",
    "seeds": [0, 1],
    "versions": {"torch": "2.13.0"},
}


def save(out, **changes):
    """Save a line through three points, with some arguments changed."""
    figures.style()
    fig, axis = plt.subplots()
    axis.plot([0, 1, 2], [1.0, 0.5, 0.1])
    arguments = {
        "title": "A line",
        "data": {"eps": np.array([0.0, 0.1, 0.2]), "accuracy": [1.0, 0.5, 0.1]},
        "caption": "Accuracy\n   of one network, n = 3.",
        "alt": "A falling line.",
        "provenance": PROVENANCE,
        "out": out,
    }
    try:
        return figures.save(fig, changes.pop("id", "fig-line"), **(arguments | changes))
    finally:
        plt.close(fig)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("figures") / "deep" / "er")


def test_save_writes_five_files_and_closes_the_figure(saved):
    names = {path.name for path in saved.folder.iterdir()}
    assert names == {f"fig-line.{suffix}" for suffix in ("svg", "png", "pdf", "csv", "json")}
    assert plt.get_fignums() == []


def test_the_style_is_the_same_whatever_a_matplotlibrc_says():
    with matplotlib.rc_context({"axes.linewidth": 9, "lines.linewidth": 9}):
        figures.style()
        widths = [matplotlib.rcParams[f"{part}.linewidth"] for part in ("axes", "lines")]
    assert widths == [0.8, 1.8]


def test_csv_holds_the_plotted_numbers_exactly(tmp_path):
    values = np.array([1 / 3, 2e-17, 123456789.125])
    save(tmp_path, data={"name": ["a", "b", "c"], "value": values})
    rows = list(csv.DictReader((tmp_path / "fig-line.csv").read_text().splitlines()))
    assert [float(row["value"]) for row in rows] == values.tolist()
    assert [row["name"] for row in rows] == ["a", "b", "c"]


def test_json_holds_texts_and_provenance(saved):
    described = json.loads((saved.folder / "fig-line.json").read_text())
    assert described["provenance"] == PROVENANCE
    assert described["caption"] == "Accuracy of one network, n = 3."
    assert (described["columns"], described["rows"]) == (["eps", "accuracy"], 3)


def test_the_same_figure_gives_the_same_bytes(tmp_path, saved):
    again = save(tmp_path)
    for suffix in figures.FORMATS:
        name = f"fig-line.{suffix}"
        assert (again.folder / name).read_bytes() == (saved.folder / name).read_bytes(), suffix


@pytest.mark.parametrize("id", ["line", "fig-", "fig-Line", "fig-a_b", "fig-a--b", "fig-a/../b"])
def test_bad_ids_are_refused(tmp_path, id):
    with pytest.raises(EcgadvError, match="joined by hyphens"):
        save(tmp_path, id=id)


@pytest.mark.parametrize(
    "data", [{}, {"a": []}, {"a": [1, 2], "b": [1]}], ids=["none", "empty", "unequal"]
)
def test_columns_of_unequal_length_are_refused(tmp_path, data):
    with pytest.raises(EcgadvError, match="of one length"):
        save(tmp_path, data=data)


@pytest.mark.parametrize("name", ["title", "caption", "alt"])
@pytest.mark.parametrize("text", [" ", "one\n\ntwo"])
def test_texts_are_one_paragraph(tmp_path, name, text):
    with pytest.raises(EcgadvError, match=f"{name} of fig-line"):
        save(tmp_path, **{name: text})


def test_a_caption_is_short(tmp_path):
    save(tmp_path, caption="word " * 60)
    with pytest.raises(EcgadvError, match="caption of fig-line has 61 words: 60 at the most"):
        save(tmp_path, caption="word " * 61)


def test_missing_provenance_is_named(tmp_path):
    short = {key: value for key, value in PROVENANCE.items() if key not in ("commit", "seeds")}
    with pytest.raises(EcgadvError, match="lacks commit, seeds"):
        save(tmp_path, provenance=short)


@pytest.mark.parametrize("text", ["ecgadv run --out /home/x/runs", "see /tmp/a", r"C:\runs"])
def test_absolute_paths_are_refused(tmp_path, text):
    with pytest.raises(EcgadvError, match="relative paths"):
        save(tmp_path, provenance=PROVENANCE | {"command": text})


def test_addresses_and_labels_are_no_absolute_paths(tmp_path):
    text = "ecgadv data fetch --base-url https://physionet.org/files/ # for '*/mlp/nsr-0.4/*'"
    assert save(tmp_path, provenance=PROVENANCE | {"command": text}).id == "fig-line"


def test_the_machine_is_not_named(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node-17")
    with pytest.raises(EcgadvError, match="no machine names"):
        save(tmp_path, provenance=PROVENANCE | {"device": "CPU of node-17"})
    monkeypatch.setattr("socket.gethostname", lambda: "12")
    assert save(tmp_path, provenance=PROVENANCE | {"config": "12 steps"}).id == "fig-line"


def test_jupyter_shows_the_drawing_and_the_book_finds_the_id(saved):
    bundle, _ = saved._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"] == "A falling line."
    assert bundle[figures.MIME] == {"id": "fig-line"}


def test_markdown_has_anchor_alt_caption_files_and_citation(saved):
    source = "/sources/01-a.ipynb"
    book = {"title": "The book", "year": "2026", "edition": "version 1 at commit 0ff1ce"}
    text = figures.markdown("fig-line", saved.folder, notebook=source, book=book)
    assert ":name: fig-line\n:alt: A falling line.\n" in text
    assert "Accuracy of one network, n = 3." in text
    for suffix in figures.FORMATS:
        assert f"</figures/fig-line.{suffix}>`" in text
    assert "</sources/01-a.ipynb>` from data `synthetic ff00` with seeds 0, 1 at commit" in text
    assert "by `ecgadv run paper-b --profile demo`." in text
    assert "Cite as: The ecgadv authors (2026). “A line”, figure `fig-line` of *The book*, " in text
    assert " version 1 at commit 0ff1ce, from runs at commit 012345678." in text


def record(seed, **changes):
    run = {
        "command": "ecgadv run paper-b",
        "commit": "abc",
        "dirty": False,
        "device": "CPU",
        "data": {"name": "mitdb", "fingerprint": "f0", "labels": "1.0.0"},
        "versions": {"torch": "2.13.0"},
    }
    return types.SimpleNamespace(key=f"k{seed}", seed=seed, run=run | changes)


def test_provenance_of_records_merges_them():
    merged = figures.provenance_of([record(1), record(0, dirty=True)])
    assert set(figures.PROVENANCE) <= set(merged)
    assert merged["seeds"] == [0, 1]
    assert merged["config"] == ["k0", "k1"]
    assert merged["commit"] == ["abc", "abc+"]
    assert merged["data"] == "mitdb f0"


def test_provenance_of_nothing_is_refused():
    with pytest.raises(EcgadvError, match="at least one record"):
        figures.provenance_of([])


def test_provenance_of_live_figures_is_complete(synthetic):
    environment = {"commit": "abc", "dirty": True, "device": "CPU", "versions": {}}
    live = figures.provenance_live(environment, synthetic, seeds=(0,), config="split beatwise")
    assert set(figures.PROVENANCE) <= set(live)
    assert live["commit"] == "abc+"
    assert live["data"] == f"synthetic {synthetic.fingerprint}"


def test_traces_give_every_sample_in_seconds():
    signals = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0, 5.0])}
    fig, data = figures.traces(signals, fs=100.0, unit="mV")
    plt.close(fig)
    assert data["signal"] == ["a"] * 2 + ["b"] * 3
    assert data["time_s"] == [0.0, 0.01, 0.0, 0.01, 0.02]
    assert data["value_mV"] == [1, 2, 3, 4, 5]


def test_bars_give_every_length():
    groups = {"train": {"N": 5, "V": 2}, "test": {"N": 3, "V": 1}}
    fig, data = figures.bars(groups, value="beats")
    widths = [patch.get_width() for patch in fig.axes[0].patches]
    plt.close(fig)
    assert data["beats"] == [5, 3, 2, 1] == widths
    assert (data["group"], data["bar"]) == (["train", "test"] * 2, ["N", "N", "V", "V"])


def test_neighbouring_series_differ_in_more_than_colour():
    looks = [figures.look(number) for number in range(6)]
    for field in ("color", "marker", "linestyle"):
        assert len({str(look[field]) for look in looks}) == 6, field


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("series", [1, 7, 10])
def test_the_label_of_an_axis_stays_clear_of_the_legend(parts, series):
    figures.style()
    names = [f"SAP adversarial training, eps {n}" for n in range(series)]
    every = {f"part {n}": dict.fromkeys(names, panels.Line([0, 1], [1, 0])) for n in range(parts)}
    fig, _ = panels.panels(every, x="eps", y="class-balanced accuracy")
    fig.canvas.draw()
    said = fig.findobj(lambda one: getattr(one, "get_text", str)() == "class-balanced accuracy")
    (box,) = (text.get_window_extent() for text in said)
    assert not fig.legends[0].get_window_extent().overlaps(box)
    assert box.y0 >= 0
    plt.close(fig)


@pytest.mark.parametrize("letters", [10, 40, 50])
def test_a_legend_is_within_the_figure(letters):
    figures.style()
    names = [f"{letter * letters} {n}" for n, letter in enumerate("abcdefg")]
    lines = dict.fromkeys(names, panels.Line([0, 1], [1, 0]))
    dots = {"row": dict.fromkeys(names, panels.Dot(0.5))}
    for fig, _ in (panels.panels({"": lines}, x="eps", y="y"), panels.dots(dots, value="x")):
        fig.canvas.draw()
        box = fig.legends[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= fig.bbox.width and box.y1 <= fig.bbox.height
        assert not any(axis.bbox.overlaps(box) for axis in fig.axes)
        plt.close(fig)


def test_dots_of_nothing_are_refused():
    with pytest.raises(EcgadvError, match="dots of nothing"):
        panels.dots({"a": {}}, value="x")


def test_dots_keep_missing_ends_out_of_the_csv():
    fig, data = panels.dots(
        {"a": {"s": panels.Dot(0.5)}, "b": {"t": panels.Dot(0.1, 0, 1, 0.05, 0.3)}}, value="x"
    )
    plt.close(fig)
    assert data["low"] == [None, 0]
    assert data["inner_high"] == [None, 0.3]
    assert data["x"] == [0.5, 0.1]


def test_strips_need_positive_values():
    fig, data = strips({"a": np.array([1.0, 2.0])}, value="x")
    plt.close(fig)
    assert data == {"row": ["a", "a"], "x": [1.0, 2.0]}
    for rows_ in ({}, {"a": np.array([0.0])}, {"a": np.array([])}):
        with pytest.raises(EcgadvError, match="above 0"):
            strips(rows_, value="x")


def test_tables_align_numbers_and_leave_gaps():
    table = figures.Table({"defense": ["ce", "nsr"], "n": [10, 20], "accuracy": [0.12345, None]})
    assert table._repr_markdown_().splitlines() == [
        "| defense | n | accuracy |",
        "| --- | --: | --: |",
        "| ce | 10 | 0.123 |",
        "| nsr | 20 |  |",
    ]


def test_numbers_as_text_stand_to_the_right_too():
    columns = {
        "a": ["1,762", "not run"],
        "b": ["**5.33**", "< 0.0001"],
        "c": ["+3.1", "-"],
        "d": ["1 to 2", "3"],
        "e": ["", "not run"],
    }
    lines = figures.Table(columns)._repr_markdown_().splitlines()
    assert lines[1] == "| --: | --: | --: | --- | --- |"


def test_tables_refuse_columns_of_unequal_length():
    with pytest.raises(EcgadvError, match="give them one length"):
        figures.Table({"a": [1], "b": []})


def test_a_table_without_rows_says_so():
    lines = figures.Table({"config": [], "n": []})._repr_markdown_().splitlines()
    assert lines[-1] == "| not run |  |"


def test_a_strangers_text_is_shown_as_it_is():
    texts = [string.punctuation, "<script>x</script>", "a | b", "[x](y)", "`c`", "{doc}`x`", "$a$"]
    table = figures.Table({"author": [literal(text) for text in texts]})._repr_markdown_()
    page = MarkdownIt().enable("table").render(table)
    cells = re.findall("<td>(.*)</td>", page)
    assert [html.unescape(cell) for cell in cells] == texts
