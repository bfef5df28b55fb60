"""Tables, figures and sentences of the results: what is there, what was not run, in which unit."""

import csv
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from recorded import LABELS, held, results, write

from ecgadv import figures
from ecgadv.errors import EcgadvError
from ecgadv.figures import panels
from ecgadv.pages import (
    captions_b,
    cells,
    chosen_b,
    drawings_b,
    exports,
    live,
    sentences_b,
    tables_b,
    verdicts_b,
)
from ecgadv.results.paired import difference
from ecgadv.results.result import WORST

pytestmark = pytest.mark.usefixtures("few_attacks")

BOOK = Path(__file__).parents[1] / "book"
REPORTED = BOOK / "reported.yml"
PATIENTS = np.array(["100", "213", "232"] * 4)  # each has beats of every class
FACTS = {"unit_microvolts": {"low": 1000.0, "median": 2000.0, "high": 4000.0}}


@pytest.fixture
def mlp(tmp_path):
    """Undefended and NSR networks with two seeds; the other defenses were not run."""
    for seed in range(2):
        write(tmp_path, "beatwise/mlp/ce/faithful", seed=seed, shares=(2 / 3, 0, 0))
        write(tmp_path, "beatwise/mlp/nsr-0.4/faithful", seed=seed, shares=(1, 1, 1 / 3))
        write(tmp_path, "beatwise/mlp/nsr-0.5/faithful", seed=seed, shares=(1, 1, 2 / 3))
    return results(tmp_path)


def rows(table):
    return list(zip(*table.columns.values(), strict=True))


def test_what_was_not_run_is_said_and_what_is_reported_is_not_invented(mlp):
    shown = chosen_b.chosen(mlp, "mlp")
    found = {row[0]: row for row in rows(tables_b.clean(shown, REPORTED))}
    assert len(found) == 6
    assert found["undefended"][4] == "100.0"
    assert found["undefended"][-1] == "not transcribed"
    assert set(found["Jacobian, beta 0.9"][1:-1]) == {"not run"}
    assert tables_b.clean(shown).columns.keys().isdisjoint({"reported"})


def test_headline_gives_every_attack_at_one_level(mlp):
    found = {row[0]: row[1:] for row in rows(tables_b.headline(chosen_b.chosen(mlp, "mlp")))}
    assert found["NSR, beta 0.4"] == ("100.0", *["33.3"] * 8)
    assert found["undefended"] == ("100.0", *["0.0"] * 8)


def test_heads_name_level_and_beats(mlp, tmp_path):
    shown = chosen_b.chosen(mlp, "mlp")
    heads = tuple(tables_b.headline(shown).columns)
    assert heads[1] == "clean, % (n = 12)"
    assert heads[4] == "SAP at eps 0.1, % (n = 12)"
    some = held(1)
    some[0] = 255
    flags = {f"held/sap/{eps:g}": some for eps in (0.01, 0.05, 0.1)}
    write(tmp_path, "interpatient/mlp/ce/faithful", flags=flags)
    found = results(tmp_path)
    heads = tables_b.headline(chosen_b.chosen(found, "mlp", split="interpatient")).columns
    assert "SAP at eps 0.1, % (n = 11)" in heads
    assert "n = 12 test beats (without an attack), n = 11 test beats (SAP)" in captions_b.sample(
        found.pick(split="interpatient"), "sap", clean=True
    )
    assert any(
        "worst case of all, eps 0.1, class means" in h for h in tables_b.compared(shown).columns
    )


def test_summaries_name_n_and_seeds(mlp):
    found = rows(tables_b.summaries(chosen_b.chosen(mlp, "mlp"), REPORTED))
    first = found[0]
    assert first[:3] == ("white noise", "undefended", "100.0")
    assert first[-2:] == ("12", 2)
    assert sum(row[0] == "all" for row in found) == 4  # the defenses without a record


def test_plan_says_what_was_run_and_what_not(mlp):
    found = {row[:3]: row[3:] for row in rows(tables_b.planned(mlp))}
    done, missing = found["beatwise", "MLP", "faithful"]
    assert "NSR, beta 0.4 (2 of 3 seeds)" in done
    assert "adversarial training, eps 0.3" in missing
    assert found["beatwise", "CNN", "faithful"][0] == "nothing"


def test_pairs_are_tested_on_the_same_beats(mlp):
    (row,) = [
        row
        for row in rows(tables_b.compared(chosen_b.chosen(mlp, "mlp")))
        if row[:2] == ("undefended", "NSR, beta 0.4")
    ]
    assert row[2] == "-33.3"
    assert row[5:7] == (0, 8)  # 4 of 12 beats, in both seeds
    assert row[7] == "0.1250"  # two-sided: 2 / 2^4


def test_equal_values_share_the_better_rank():
    assert chosen_b.ranks([0.5, 0.9, 0.5, 0.1]) == [2, 1, 2, 4]


def test_beats_that_one_attack_alone_broke_are_counted(tmp_path):
    write(tmp_path, "beatwise/mlp/ce/faithful", flags={"held/sap/0.1": held(2 / 3)})
    (row,) = rows(sentences_b.who_breaks(chosen_b.chosen(results(tmp_path), "mlp")))
    assert row == ("undefended", 12, 4, 0, 0, 4, 0, 0, 0)


def test_settings_side_by_side_keep_what_is_missing(mlp):
    left = chosen_b.chosen(mlp, "mlp")
    right = chosen_b.chosen(mlp, "mlp", variant="corrected")
    found = rows(tables_b.side_by_side(left, right, ("faithful", "corrected")))
    assert [row[:2] for row in found[:2]] == [
        ("undefended", "faithful"),
        ("undefended", "corrected"),
    ]
    assert found[1][2] == "not run"


def test_between_patients_the_bootstrap_draws_patients(tmp_path):
    """Two of three patients hold all their beats: one may be drawn three times, or not at all."""
    fails = {"held/sap/0.1": (PATIENTS != "232").astype(np.uint8), "record": PATIENTS}
    write(tmp_path, "beatwise/mlp/ce/faithful", flags=fails)
    write(tmp_path, "interpatient/mlp/at-0.1/faithful", flags=fails)
    write(tmp_path, "interpatient/mlp/nsr-0.4/faithful")  # older: it does not say whose they are
    for seed, told in enumerate((fails, {"held/sap/0.1": fails["held/sap/0.1"]})):
        write(tmp_path, "interpatient/mlp/ce/faithful", seed=seed, flags=told)
    found = results(tmp_path)
    assert found.one(split="beatwise").patients is None
    between = chosen_b.chosen(found, "mlp", split="interpatient")
    assert between["ce"].patients.tolist() == PATIENTS.tolist()  # as seed 0 says
    ends = between["ce"].accuracy("sap", 0.1).both
    assert (ends.low, ends.high) == (0, 1)
    for pair, expected in (
        (("ce", "at-0.1"), (0, 0)),  # the same patients are drawn for both
        (("ce", "nsr-0.4"), (-1, 0)),
        (("nsr-0.4", "ce"), (0, 1)),
    ):
        gap = difference(*(between[defense] for defense in pair), "sap", eps=0.1).both
        assert (gap.low, gap.high) == expected


def test_tables_and_captions_say_what_the_bootstrap_draws(mlp, tmp_path):
    shown = chosen_b.chosen(mlp, "mlp")
    write(tmp_path, "interpatient/mlp/ce/faithful")
    older = chosen_b.chosen(results(tmp_path), "mlp", split="interpatient")
    write(tmp_path, "interpatient/mlp/ce/faithful", seed=1, flags={"record": PATIENTS})
    write(tmp_path, "interpatient/mlp/nsr-0.4/faithful", flags={"record": PATIENTS})
    between = chosen_b.chosen(results(tmp_path), "mlp", split="interpatient")
    beats, patients = "bootstrap over beats and seeds", "bootstrap over patients and seeds"
    for table in (
        lambda r: tables_b.clean(r),
        lambda r: tables_b.summaries(r, REPORTED),
        tables_b.compared,
        lambda r: tables_b.side_by_side(r, r, ("a", "b")),
    ):
        for chosen, own, other in (
            (shown, beats, patients),
            (older, beats, patients),
            (between, patients, beats),
        ):
            heads = " ".join(table(chosen).columns)
            assert own in heads
            assert other not in heads
    splits = {"beatwise": shown, "interpatient": between}
    both = "bootstrap over beats and seeds (beatwise) or patients and seeds (interpatient)"
    assert f"worst case, {both}" in tables_b.side_by_side(*splits.values(), tuple(splits)).columns
    assert both in drawings_b.settings(splits, "Splits").caption
    for chosen, says in ((older, beats), (between, patients)):
        caption = drawings_b.curves(chosen, "sap", FACTS).caption
        assert f"95 % two-level {says}" in caption
        assert ("count as independent" in caption) == (says == beats)
        assert ("interpatient split with 3 test patients" in caption) == (says == patients)


def test_class_means_leave_the_rarest_class_out(tmp_path):
    write(tmp_path, "interpatient/mlp/ce/faithful", flags={"held/sap/0.1": held(1) * (LABELS != 1)})
    found = chosen_b.chosen(results(tmp_path), "mlp", split="interpatient")
    (row,) = rows(tables_b.without_rarest([found["ce"]]))
    assert row == ("undefended", *["100.0"] * 4, "66.7", "100.0", 1)
    assert "Class S has 3 test beats there and weighs one part in 3" in sentences_b.people(found)
    assert "Records 201 (DS1) and 202 (DS2) are the same subject" in sentences_b.people({})


def test_a_table_of_nothing_says_so():
    assert "not run" in cells.of_rows(("a", "b"), [])._repr_markdown_()


def test_claims_are_shown_with_their_rule_and_findings(mlp):
    claim = {
        "id": "B1",
        "text": "T.",
        "rule": {"margin": 0.1, "datasets": ["mitdb"], "text": "{margin}!"},
    }
    text = verdicts_b.statement(claim, verdicts_b.judge(claim, mlp))
    assert "**Rule.** 10!" in text
    assert "| MLP | AUC(0.1) under SAP |" in text
    assert "Not run in profile `paper`: CNN." in text
    assert "Verdict: not run" in verdicts_b.statement(claim, None)


def test_curves_say_n_seeds_attack_and_unit(mlp, tmp_path):
    drawn = drawings_b.curves(chosen_b.chosen(mlp, "mlp"), "pgd-100", FACTS)
    for part in ("n = 12 test beats", "seeds 0, 1", "7 steps of Adamax", "200 µV", "profile paper"):
        assert part in drawn.caption
    assert "NSR, beta 0.4 from 100.0 to 33.3" in drawn.alt
    saved = drawn.save("fig-x", title="T", out=tmp_path / "out")
    described = json.loads((saved.folder / "fig-x.json").read_text())
    assert described["provenance"]["seeds"] == [0, 1]
    columns = drawn.data
    assert columns["series"].count("undefended") == 4  # clean and three levels
    assert columns[drawings_b.ACCURACY_AXIS][:4] == pytest.approx([1, 2 / 3, 0, 0])


def test_figures_without_records_leave_their_mark(tmp_path):
    nothing = drawings_b.curves({"ce": None}, WORST, None)
    nothing.save("fig-x", title="T", out=tmp_path)
    assert [p.name for p in (tmp_path / "figures").iterdir()] == ["fig-x.not-run"]
    assert "not run" in nothing._repr_markdown_()


def test_every_figure_of_the_chapter_can_be_drawn(mlp, tmp_path):
    shown = chosen_b.chosen(mlp, "mlp")
    write(tmp_path, "interpatient/mlp/ce/faithful")
    between = chosen_b.chosen(results(tmp_path), "mlp", split="interpatient")
    drawn = [
        drawings_b.all_attacks(shown, "All", FACTS),
        drawings_b.beta_sweep(mlp, FACTS),
        drawings_b.by_class(mlp.one(defense="nsr-0.4"), REPORTED),
        drawings_b.against(shown, shown["nsr-0.4"]),
        drawings_b.settings({"beatwise": shown, "interpatient": between}, "Splits"),
        drawings_b.brackets(shown, FACTS),
    ]
    for drawing in drawn:
        plt.close(drawing.fig)
        assert isinstance(drawing, panels.Drawing)
        assert "seeds" in drawing.caption
        assert drawing.alt
        assert set(figures.PROVENANCE) <= set(drawing.provenance)


def test_the_same_defense_looks_the_same_everywhere(mlp):
    looks = {r.defense: drawings_b.look_of(r) for r in mlp.all}
    assert looks["ce"] != looks["nsr-0.4"] == looks["nsr-0.5"]


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


def test_learning_curves_start_at_one(mlp):
    lines = live.learning_curves(mlp.all[:1])
    assert lines["undefended"].y == [1.0, 0.5]


def test_costs_list_what_was_run_and_then_what_was_not(mlp):
    found = {row[1]: row for row in rows(exports.costs(mlp.records, "paper-b"))}
    assert found["`beatwise/mlp/ce/faithful`"][2:] == ("2 of 3", "0.2", "0.0", "CPU")
    assert "`beatwise/mlp/at-0.3/faithful`" not in found
    missing = exports.not_run(mlp.records, "paper-b").splitlines()
    (line,) = [line for line in missing if line.startswith("* paper: ")]
    assert "`beatwise/mlp/at-0.3/faithful`" in line
    assert "`beatwise/mlp/ce/faithful`" not in line


def test_hours_are_summed_by_profile_and_device(mlp, tmp_path):
    ((*names, training, attacks, together),) = rows(exports.totals(mlp.records * 60))
    assert names == ["paper-b", "paper", "CPU", 360]  # six records of 10 + 2 s
    assert (training, attacks, together) == ("1.0", "0.2", "1.2")
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    assert exports.size(tmp_path) == "3 MB"


@pytest.mark.parametrize(("taken", "shown"), [({"seconds": 60.0}, ""), ({}, "*")])
def test_what_was_taken_over_is_counted_or_marked(mlp, taken, shown):
    first = mlp.one(defense="ce").records[0]
    first.run["taken_over"] = {"record": "abc", "attacks": ["sap"], **taken}
    seconds = sum(taken.values())
    found = {row[1]: row[4] for row in rows(exports.costs(mlp.records, "paper-b"))}
    assert found["`beatwise/mlp/ce/faithful`"] == f"{(2 + seconds / 2) / 60:.1f}{shown}"
    assert found["`beatwise/mlp/nsr-0.4/faithful`"] == "0.0"
    assert rows(exports.listed([first]))[0][5] == f"{12 + seconds:.0f}{shown}"
    hours = rows(exports.totals([first] * 360))[0][4:]
    attacks = (2 + seconds) / 10
    assert hours == ("1.0", f"{attacks:.1f}{shown}", f"{1 + attacks:.1f}{shown}")


def test_records_are_listed_with_their_commit(mlp):
    first = rows(exports.listed(mlp.records))[0]
    assert first[2:6] == ("`beatwise/mlp/ce/faithful`", 0, "`abc`", "12")
    assert first[-1] == "no"


def test_flags_of_every_beat_can_be_downloaded(mlp, tmp_path):
    link = exports.flags(mlp, split="beatwise", network="mlp", out=tmp_path)
    assert "</downloads/flags-paper-beatwise-mlp.csv>" in link
    path = tmp_path / "downloads/flags-paper-beatwise-mlp.csv"
    found = list(csv.DictReader(path.read_text().splitlines()))
    assert len(found) == 12
    column = "nsr-0.4/faithful/seed-1/worst-case"
    assert [int(row[column]) for row in found] == held(1 / 3).tolist()
    assert [row["class"] for row in found] == ["N"] * 6 + ["S"] * 3 + ["V"] * 3
    assert "not run" in exports.flags(mlp, split="interpatient", network="mlp", out=tmp_path)


def test_the_band_lies_between_what_is_proved_and_what_attacks_leave(tmp_path):
    proved = {"proved/0.01": held(2 / 3), "proved/0.05": held(1 / 3)}
    proved["held/sap/0.01"] = held(0)  # SAP may leave [0, 1], where nothing is proved
    write(tmp_path, "beatwise/mlp/nsr-0.4/faithful", shares=(1, 2 / 3, 1 / 3), flags=proved)
    shown = chosen_b.chosen(results(tmp_path), "mlp")
    drawing = drawings_b.brackets(shown, FACTS)
    plt.close(drawing.fig)
    columns = zip(*(drawing.data[k] for k in ("series", drawings_b.EPS_AXIS)), strict=True)
    values = dict(zip(columns, drawing.data[drawings_b.ACCURACY_AXIS], strict=True))
    assert values["proved", 0.01] == pytest.approx(2 / 3)
    assert values["worst case within [0, 1]", 0.01] == 1
    assert values["proved", 0.1] == 0
    assert "NSR, beta 0.4 between 66.7 and 100.0" in drawing.alt
    (row,) = rows(tables_b.bracket(shown))
    assert row == ("NSR, beta 0.4", "100.0", "66.7", "100.0", "33.3", "66.7")
    assert rows(tables_b.bracket({"ce": None})) == [("not run", "")]
    assert isinstance(drawings_b.brackets({"ce": None}, FACTS), panels.NotRun)
