"""The table of all results: its data, its files, its leaderboard, and the library beneath it."""

import json
import re

import build
import pandas as pd
import pytest
from recorded import held, write
from test_figures_views import ONE

from ecgadv import results
from ecgadv.experiments import store
from ecgadv.experiments.store import Store
from ecgadv.figures import browser


def shown(frame):
    """The columns that the page gets, by heading, decoded."""
    page = browser.Browser(frame, "All < some")._repr_html_()
    assert "<caption>All &lt; some</caption>" in page
    inside = re.search(r'<script type="application/json">(.*?)</script>', page)[1]
    data = json.loads(inside)
    return data, {
        heading: [column["values"][code] for code in column["codes"]]
        for heading, column in zip(data["headings"], data["columns"], strict=True)
    }


def test_a_reader_sees_each_row_in_words():
    distance = {"metric": "median_distance", "attack": "boundary", "eps": float("nan")}
    rows = [
        ONE,
        {**ONE, "metric": "sensitivity", "class": "</script>", "value": float("nan")},
        {**ONE, **distance, "unit": "uV", "value": 12.346},
    ]
    data, columns = shown(pd.DataFrame(rows))
    assert set(data["filters"]) < set(data["headings"])
    assert columns["Attack"] == ["authors' PGD"] * 2 + ["boundary attack"]
    assert columns["eps"] == ["eps 0.1", "eps 0.1", ""]
    assert columns["Value"] == ["50.0", "", "12.35"]
    assert columns["95 % interval"][0] == "40.0 to 60.0"
    assert columns["Metric"] == [
        "accuracy, class-balanced, %",
        "sensitivity, class </script>, %",
        "median distance, µV",
    ]
    assert columns["Records"][0] == "a b c"
    wanted = "ecgadv run paper-b --profile paper --only 'beatwise/mlp/nsr-0.4/faithful'"
    assert columns["Command"][0] == wanted
    assert columns["File"][0] == "paper-b-paper-beatwise-mlp-nsr-0.4-faithful.csv"


def test_each_row_is_in_the_csv_that_it_links_to(tmp_path):
    undefended = {"defense": "ce", "strength": float("nan")}
    frame = pd.DataFrame([ONE, {**ONE, **undefended}, {**ONE, "eps": 0.05}])
    browser.publish_each(frame, out=tmp_path)
    _, columns = shown(frame)
    held = {path.name: pd.read_csv(path) for path in (tmp_path / "networks").iterdir()}
    assert set(held) == set(columns["File"])
    for name, row in zip(columns["File"], frame.to_dict("records"), strict=True):
        assert row["eps"] in set(held[name].eps) and {row["defense"]} == set(held[name].defense)
    assert sum(map(len, held.values())) == len(frame)


def test_levels_are_listed_by_number_and_unit():
    levels = [(0.1, "normalised"), (10.0, "uV"), (0.02, "normalised"), (5.0, "uV")]
    data, columns = shown(pd.DataFrame([{**ONE, "eps": e, "unit": u} for e, u in levels]))
    listed = data["columns"][data["headings"].index("eps")]["values"]
    assert listed == ["eps 0.02", "eps 0.1", "5 µV", "10 µV"]
    assert columns["eps"] == ["eps 0.1", "10 µV", "eps 0.02", "5 µV"]


def test_without_records_the_table_is_empty(tmp_path):
    _, columns = shown(results.estimates([Store(tmp_path)]))
    assert set(map(len, columns.values())) == {0}


def test_both_files_hold_the_table_and_have_the_same_bytes_again(tmp_path):
    frame = pd.DataFrame([ONE, {**ONE, "strength": float("nan"), "name": 'a, "b"'}])
    said = [browser.publish(frame, "some", out=tmp_path / name) for name in "ab"]
    assert said[0] == said[1] and said[0].endswith(": 2 rows.")
    for form, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        one, other = (tmp_path / name / f"downloads/some.{form}" for name in "ab")
        assert f"`some.{form} </downloads/some.{form}>`" in said[0]
        pd.testing.assert_frame_equal(read(one), frame)
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.usefixtures("few_attacks")
def test_the_leaderboard_ranks_defenses_and_names_what_turned_most(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "released_folder", lambda: tmp_path)
    weak, strong = held(2 / 3), held(1 / 3)
    apart = weak[::-1].copy()  # SAP turns examples that no other does
    for name, flags in (("ce", {"held/pgd-100/0.1": 0 * weak}), ("nsr-0.4", {})):
        flags = {"held/sap/0.1": apart} | flags
        write(tmp_path, f"beatwise/mlp/{name}/faithful", shares=(1, 1, 2 / 3), flags=flags)
    write(tmp_path, "beatwise/cnn/ce/faithful", shares=(1, 1, 1))
    (net,) = results.load([Store(tmp_path)], "paper-b", "paper").pick(network="mlp", defense="ce")
    assert results.strongest(net, eps=0.1) == ("pgd-100", 1.0)

    where = {"attack": "worst-case", "eps": 0.1, "weighting": "natural", "metric": "accuracy"}
    table = browser.leaderboard(results.estimates([Store(tmp_path)], **where)).columns
    assert table["defense"] == ["NSR, beta 0.4", "undefended", "undefended"]
    assert [said.split(",")[0] for said in table["network and split"]] == ["MLP", "MLP", "CNN"]
    turned = (weak == 0).sum(), ((weak == 0) | (apart == 0)).sum()
    assert strong.sum() < weak.sum() and turned[0] < turned[1]
    share = f"{100 * turned[0] / turned[1]:.1f} %"
    assert table["turned most"][0].endswith(f": {share}")
    assert table["turned most"][1:] == ["authors' PGD: 100.0 %", "-"]


def test_datatables_becomes_a_script_that_runs_from_disk(tmp_path, monkeypatch):
    package = tmp_path / "itables"
    (package / "html").mkdir(parents=True)
    (package / "html/dt_bundle.css").write_text("a{}")
    bundle = package / "html/dt_bundle.js"
    monkeypatch.setattr(build, "_package", lambda name: tmp_path / name)
    bundle.write_text("var $a=1,b=2;export{$a as default,b as dark};\n//# end")
    build.vendor_datatables(tmp_path)
    script = (tmp_path / "datatables.js").read_text()
    assert script == "(()=>{var $a=1,b=2;window.itables={default:$a,dark:b};\n//# end\n})();\n"
    bundle.write_text("var a=1;")
    with pytest.raises(build.BuildError, match="exports nothing: install the pinned itables"):
        build.vendor_datatables(tmp_path)


def test_the_installed_datatables_exports_what_the_page_calls(tmp_path):
    build.vendor_datatables(tmp_path)
    script = (tmp_path / "datatables.js").read_text(encoding="utf-8")
    given = re.findall(r"window\.itables=\{(.*?)\}", script)
    assert len(given) == 1
    page = (build.ROOT / "book/assets/browse.js").read_text(encoding="utf-8")
    called = set(re.findall(r"itables\.(\w+)", page))
    assert called and called <= {name.split(":")[0] for name in given[0].split(",")}
