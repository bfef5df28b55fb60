"""What the page Explore holds: numbers of the tables, nothing remote; and its released beats."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from recorded import held, write
from test_figures_views import ONE
from tiny import PLAIN
from torch import nn

from ecgadv import results
from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import Attack, as_dict, from_dict
from ecgadv.experiments.session import load_model
from ecgadv.experiments.store import Store, find, released_folder
from ecgadv.figures import embedded, explore, viewer
from ecgadv.results import attacked

FILE = Path(__file__).parents[1] / "book/explore.yml"
MOST_BYTES = 700_000
FOUND = yaml.safe_load(FILE.read_text(encoding="utf-8"))
REAL = attacked.signals(FOUND, "MIT-BIH beats")


def value(given):
    """A value of Bokeh's JSON as Python has it."""
    if not isinstance(given, dict) or "type" not in given:
        return given
    if given["type"] == "map":
        return {key: value(one) for key, one in given["entries"]}
    if given["type"] == "ndarray":
        raw = given["array"]["data"]
        raw = gzip.decompress(base64.b64decode(raw)) if isinstance(raw, str) else raw
        return np.frombuffer(raw, given["dtype"]).reshape(given["shape"])
    return given


def held_by(piece, kind):
    """The attributes of all models of a kind in the JSON of the page that a piece makes."""
    page = piece._repr_html_()
    inside = re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1]
    found = []

    def visit(node):
        if isinstance(node, dict):
            if node.get("name") == kind and "attributes" in node:
                found.append({key: value(one) for key, one in node["attributes"].items()})
            node = node.values()
        if not isinstance(node, str):
            for one in node:
                if isinstance(one, dict | list) or hasattr(one, "values"):
                    visit(one)

    visit(json.loads(inside))
    return found


def chosen(piece, kind="CheckboxGroup"):
    return [{box["labels"][i] for i in np.ravel(box["active"])} for box in held_by(piece, kind)]


@pytest.mark.usefixtures("few_attacks")
def test_the_page_holds_the_numbers_of_the_tables(tmp_path):
    for name, share in (("ce", 1 / 3), ("nsr-0.4", 2 / 3)):
        flags = {"held/sap/0.1": held(share)[::-1].copy()}
        write(tmp_path, f"beatwise/mlp/{name}/faithful", shares=(1, 1, 2 / 3), flags=flags)
    frame = results.estimates([Store(tmp_path)])
    first = frame[(frame.attack == "sap") & (frame.weighting == "natural") & (frame.eps > 0)]
    piece = explore.accuracy(frame, name="some", first=first[first.name == "undefended"])

    tables = [source["data"] for source in held_by(piece, "ColumnDataSource")]
    (every,) = (table for table in tables if len(table.get("keys", ())))
    page = pd.DataFrame(every)
    due = frame[(frame.metric == "accuracy") & (frame.attack != "none")]
    assert len(page) == len(due) > 50
    words = {"class-balanced": "mean of the classes", "natural": "plain: every example the same"}
    named = {"sap": "SAP", "pgd-margin": "PGD, margin loss", "worst-case": "worst case of all"}
    for attack, said in named.items():
        for one in due[due.attack == attack].itertuples():
            of = (page.defense == one.name) & (page.attack == said) & (page.x == one.eps)
            (row,) = page[of & (page.weighting == words[one.weighting])].itertuples()
            assert (row.y, row.low, row.high) == (100 * one.value, 100 * one.low, 100 * one.high)
            assert (row.n, row.keys, row.seeds) == (one.n, one.keys, len(one.seeds.split()))
    assert chosen(piece)[:2] == [{"undefended"}, {"SAP"}]
    assert chosen(piece, "RadioGroup") == [{"plain: every example the same"}]


def test_curves_join_what_belongs_together():
    rows = [{**ONE, "eps": e, "value": 1 - e} for e in (0.1, 0.0, 0.05)]
    rows += [{**ONE, "eps": 0.1, "variant": "corrected", "value": 0.2}]
    rows += [{**ONE, "eps": 0.1, "attack": "none"}, {**ONE, "eps": float("nan")}]
    found = explore.curves(explore.points(pd.DataFrame(rows)))
    assert found["xs"] == [[0.0, 0.05, 0.1], [0.1]]
    assert found["ys"] == [[100, 95, 90], [20]]
    assert found["x_end"] == [0.1, 0.1] and found["y_end"] == [90, 20]
    assert found["protocol"][1] == "beatwise split, corrected protocol"


def test_nothing_is_loaded_from_a_network_and_the_same_bytes_come_again():
    def page():
        frame = pd.DataFrame([{**ONE, "name": "</script>"}])
        return explore.accuracy(frame, name="some", first=frame)._repr_html_()

    text = re.sub(r"p\d{4,}", "id", page())
    assert text == re.sub(r"p\d{4,}", "id", page())
    assert "://" not in text and text.count("</script>") == 2
    library = embedded.Library()._repr_html_()
    tags = re.findall(
        r"<(?:script|link|img)\b[^>]*>", re.sub(r">[^<]*<(?!/?script)", "><", library)
    )
    assert tags and not [tag for tag in tags if re.search(r"^<(script|link)[^>]*(src|href)=", tag)]


def test_the_released_file_is_small_and_names_its_source():
    assert FILE.stat().st_size < MOST_BYTES
    assert "Open Data Commons Attribution License 1.0" in FOUND["licence"]
    assert FOUND["provenance"]["data"].startswith("mitdb ")
    classes = [one["class"] for one in FOUND["examples"]]
    assert classes == [name for name in FOUND["classes"] for _ in range(2)]
    assert len({(one["record"], one["onset"]) for one in FOUND["examples"]}) == 10
    seconds = sum(len(one["signal"]) for one in FOUND["examples"]) / FOUND["fs"]
    assert seconds < 20


def test_each_released_perturbation_keeps_to_its_budget():
    shown = REAL
    assert shown.added.shape == (10, 4, 3, 4, 187)
    assert shown.added.min() >= -attacked.COUNTS and shown.added.max() == attacked.COUNTS
    unit = np.array([one["unit_mv"] for one in FOUND["examples"]])
    np.testing.assert_allclose(shown.step * attacked.COUNTS, 1000 * unit[:, None] * FOUND["eps"])
    moved = shown.added != 0
    assert moved.any((-1, -2, -3, -4)).all()
    values = np.array([one["signal"] for one in FOUND["examples"]])[:, None, None, None]
    eps = np.array(FOUND["eps"])[:, None]
    reached = values + shown.added * eps / attacked.COUNTS
    bounded = reached[:, :, [FOUND["attacks"].index(a) for a in FOUND["attacks"] if a != "SAP"]]
    assert (bounded > -1e-3).all() and (bounded < 1 + 1e-3).all()


def test_released_networks_read_in_the_file_what_it_says():
    """From the weights alone: the probabilities of signals put together from the file."""
    shown = REAL
    values = np.array([one["signal"] for one in FOUND["examples"]], np.float32)
    eps = np.array(FOUND["eps"], np.float32)[:, None]
    as_beats = SimpleNamespace(classes=tuple(FOUND["classes"]), x=values[:, None])
    for d, key in enumerate(FOUND["records"]):
        record = find(key, [released_folder()])
        assert record.run["data"]["fingerprint"] in FOUND["provenance"]["data"]
        model = load_model(from_dict(record.config), as_beats, record.weights).eval()

        def read(x, model=model):
            rows = torch.from_numpy(np.asarray(x, np.float32)).reshape(-1, 1, values.shape[-1])
            with torch.no_grad():
                return model(rows).softmax(1).numpy().reshape(*x.shape[:-1], -1)

        right = [FOUND["classes"].index(one["class"]) for one in FOUND["examples"]]
        assert (shown.clean[:, d].argmax(1) == right).all()
        np.testing.assert_allclose(read(values), shown.clean[:, d], atol=0.01)
        under = values[:, None, None] + shown.added[:, d] * eps / attacked.COUNTS
        np.testing.assert_allclose(read(under), shown.attacked[:, d], atol=0.06)


class Slope(nn.Module):
    """Class 0 by the mean of the signal, class 1 by its negative."""

    def forward(self, x):
        mean = x.mean((1, 2)) - 0.5
        return torch.stack([20 * mean, -20 * mean], 1)


@pytest.fixture
def networks(monkeypatch):
    """Two results of one network that reads the mean, and its beats."""
    x = np.linspace(0.3, 0.7, 8, dtype=np.float32)[:, None, None].repeat(6, 2)
    y = (x[:, 0, 0] < 0.5).astype(int)
    beats = SimpleNamespace(
        x=x,
        y=y,
        record=np.array(list("aabbccdd")),
        onset=np.arange(8),
        length=np.full(8, 5),
        unit_mv=np.full(8, 2.0),
        classes=("P", "M"),
        fs=120.0,
        unit="normalised",
        mask=lambda index: np.ones((len(index), 1, 6), bool),
    )
    options = {"pgd-margin": {"steps": 2, "relative_step": 1.0, "loss": "margin"}}
    options |= {"sap": {"pgd_steps": 1, "smooth_steps": 1, "step_size": 0.1}}
    options |= {"apgd-t": {"steps": 3, "targets": 1}}
    methods = ("pgd", "sap", "apgd")
    own = [Attack(n, m, (0.1,), options[n]) for n, m in zip(options, methods, strict=True)]
    config = as_dict(replace(PLAIN, attacks=tuple(own)))
    arrays = {"id": np.arange(8), "label": y, "prediction": np.where(np.arange(8) == 4, 1, y)}
    record = SimpleNamespace(config=config, weights=None, key="k", examples=lambda: arrays)
    monkeypatch.setattr(attacked, "load_model", lambda *given: Slope())
    result = SimpleNamespace(name="slope", experiment="paper-b", records=[record])
    return [result, result], beats


def test_examples_are_the_first_right_ones_of_different_records(networks):
    results, beats = networks
    assert attacked.picked(results, beats, per_class=2).tolist() == [5, 6, 0, 2]
    with pytest.raises(EcgadvError, match="3 examples of class P are read right by all networks"):
        attacked.picked(results, beats, per_class=4)


def test_what_is_made_is_what_the_viewer_shows(networks):
    results, beats = networks
    made = attacked.made(results, beats, np.array([0, 5]))
    shown = attacked.signals(yaml.safe_load(yaml.safe_dump(made)), "slopes")
    np.testing.assert_allclose(shown.signal[1], 2 * beats.x[5, 0], atol=1e-3)
    pgd, reach = shown.added[:, 0, 0], attacked.COUNTS
    # The margin rises along the mean: each sample moves by all of eps towards the other class.
    assert (pgd[0] == reach).all() and (pgd[1] == -reach).all()
    eps = np.array(made["eps"])
    expected = 1 / (1 + np.exp(-40 * (0.3 + eps - 0.5)))
    np.testing.assert_allclose(shown.attacked[0, 0, 0, :, 0], expected, atol=1e-3)
    made["examples"][1]["added"] = b"short"
    with pytest.raises(EcgadvError, match="example 1 of slopes holds 5 bytes, not 144"):
        attacked.signals(made, "slopes")


def test_the_viewer_holds_every_set_and_names_its_widgets(networks):
    results, beats = networks
    slopes = attacked.signals(attacked.made(results, beats, np.array([0, 5])), "slopes")
    real = attacked.load(FILE)
    np.testing.assert_array_equal(real.added, REAL.added)
    piece = viewer.viewer(real, slopes, name="some")
    titles = [box["title"] for box in held_by(piece, "Select")]
    assert titles == ["Signals", "Example", "Defense", "Attack"]
    assert '{"some-level": "noise level eps"}' in piece._repr_html_()
    held = [one["args"]["sets"] for one in held_by(piece, "CustomJS") if "sets" in one["args"]]
    for one in (real, slopes):
        kept = value(value(held[0])[one.name])
        np.testing.assert_array_equal(value(kept["added"]), one.added)
        np.testing.assert_allclose(value(kept["signal"]), one.signal, rtol=1e-6)
