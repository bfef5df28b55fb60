"""Submissions against a record: what they leave, and each rule that they may break."""

import io
import json
import pickle
import struct
import zipfile
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from strangers import refused

from ecgadv import cli, results
from ecgadv.attacks import pgd
from ecgadv.experiments import submission
from ecgadv.experiments.config import from_dict
from ecgadv.experiments.exposure import threat
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import WEIGHTS, Store
from ecgadv.experiments.submission import Submission, Verdict, check, read, record_of

EPS = 0.05


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A record of the tiny suite under noise, once of a few examples alone."""
    import tiny

    noise = tiny.ATTACKS[0]
    few = replace(noise, name="few", per_class=4)
    config = replace(tiny.PLAIN, attacks=(noise, few))
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(tiny.dataset(), patch.setattr)
        return run_once(config, 0, Session(Store(tmp_path_factory.mktemp("runs")), released=None))


@pytest.fixture
def made(record, beats, tiny_suite):
    """Strong examples of all test beats."""
    index = record.examples()["id"]
    x, y = torch.from_numpy(beats.x[index]), torch.from_numpy(beats.y[index])
    model = load_model(from_dict(record.config), beats, record.weights)
    options = {"steps": 20, "step_size": 0.01, "loss": "margin"}
    x_adv = pgd(model, x, y, threat(beats.unit, EPS), random_start=False, **options)
    return Submission(record.key, EPS, "A. Author", "PGD-20", index, x_adv.numpy())


def test_what_it_leaves_is_counted_beside_the_record(record, made, beats):
    examples, verdict = record.examples(), check(made, record)
    model = load_model(from_dict(record.config), beats, record.weights)
    with torch.no_grad():
        wrong = model(torch.from_numpy(made.x)).argmax(-1).numpy() != examples["label"]
    assert verdict.broken == wrong.sum() and verdict.n == len(wrong)
    flags = [examples[f"held/{name}/{EPS:g}"] for name in ("noise", "few")]
    met = flags[1] != 255
    before = (flags[0] & flags[1])[met]
    assert verdict.examples == met.sum() == 20 < verdict.n
    assert verdict.new == (before.astype(bool) & wrong[met]).sum() > 0
    # Four of each class, and as many of each in the test: no weights matter.
    assert verdict.before == pytest.approx(before.mean())
    assert verdict.after == pytest.approx((before & ~wrong[met]).mean())


def test_a_file_is_written_read_and_checked(record, made, tmp_path, capsys):
    made.save(tmp_path / "mine.npz")
    again = read(tmp_path / "mine.npz")
    assert np.array_equal(again.x, made.x) and again.author == "A. Author"
    words = [str(tmp_path / "mine.npz"), "--out", str(tmp_path / "verdict.json")]
    assert cli.main(["check", *words, "--runs", str(record.path.parent)]) == 0
    verdict = check(made, record)
    assert f"robust accuracy {100 * verdict.after:.2f} %" in capsys.readouterr().out
    assert json.loads((tmp_path / "verdict.json").read_text())["new"] == verdict.new


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": lambda m: m.x + 0.03}, "over the budget"),
        ({"x": lambda m: np.where(m.x > 0.5, np.nan, m.x)}, "not finite"),
        ({"x": lambda m: m.x[..., :-1]}, r"x has shape .* the beats have"),
        ({"id": lambda m: np.r_[m.id[1], m.id[1:]]}, "is there 2 times; give it once"),
        ({"id": lambda m: np.r_[10**6, m.id[1:]]}, "id 1000000 is no test example"),
        ({"eps": lambda m: 0.05 * (1 + 1e-6)}, r"has no eps 0.05; it has \[0.05, 0.1\]"),
        ({"eps": lambda m: 0.07}, r"has no eps 0.07; it has \[0.05, 0.1\]"),
    ],
)
def test_a_rule_that_is_broken_is_named(record, made, change, words):
    change = {name: value(made) for name, value in change.items()}
    refused(words, check, replace(made, **change), record)


def test_a_name_that_was_not_put_in_is_told_before_anything_is_written(made, tmp_path):
    refused("author is Ellipsis; give a text", replace(made, author=...).save, tmp_path / "m.npz")
    assert not list(tmp_path.glob("m*"))


def test_bounds_are_kept(record, made, beats):
    x = beats.x[made.id] - 0.04
    refused("below low", check, replace(made, x=x), record)


def test_padding_is_kept_where_all_attacks_keep_it(record, made, beats, monkeypatch):
    for attack in record.config["attacks"]:
        monkeypatch.setitem(attack, "masked", True)
    kept = np.where(beats.mask(made.id), made.x, beats.x[made.id])
    assert check(replace(made, x=kept), record).n == len(kept)
    row, _, place = np.argwhere(~beats.mask(made.id))[0]
    kept[row, 0, place] = np.nextafter(kept[row, 0, place], np.float32(0.5))
    refused("changed outside the mask", check, replace(made, x=kept), record)


def test_the_verdict_is_of_the_records_own_level(record, made):
    rounded = check(replace(made, eps=float(np.float32(EPS))), record)
    assert rounded == check(made, record) and rounded.eps == EPS


def test_weights_that_come_with_a_submission_do_not_count(record, made, tmp_path, monkeypatch):
    monkeypatch.chdir(record.path.parent)  # where its folder lies at hand
    for name in (str(record.path), record.key, "..", "deadbeef"):
        refused("no record has the key", record_of, replace(made, record=name), [tmp_path])
    folders = [tmp_path, record.path.parent]
    assert record_of(made, folders).path == record.path
    refused("no record has the key", record_of, replace(made, record=str(record.path)), folders)


@pytest.mark.parametrize("name", ["record", "author", "attack"])
@pytest.mark.parametrize("text", ["", "A\nB", "\x1b[31mred", "\ud800", "a" * 201, 3, None])
def test_a_text_of_more_than_a_line_is_refused(made, tmp_path, monkeypatch, name, text):
    bad = replace(made, **{name: text})
    refused(f"^{name} is .*; give a text of one line", bad.save, tmp_path / "my file.npz")
    with monkeypatch.context() as patch:  # as a stranger's program may write it
        patch.setattr(submission, "_one_line", lambda *about: None)
        bad.save(tmp_path / "my file.npz")
    refused(f"my file.npz: {name} is .*; give a text of one line", read, tmp_path / "my file.npz")


def header(shape, kind="<f4"):
    file = io.BytesIO()
    about = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


FORGED = {
    "a shape of terabytes": (header((10**9, 12, 5000)), "header is wrong: Unable to allocate"),
    "a shape of nothing": (header((10**12, 0, 4)), r"give \(n,\), \(n, C, L\)"),
    "a shape below zero": (header((-1, 1, 20)), "is no submission"),
    "a pickle": (header((1,), "|O") + pickle.dumps([1]), "is no submission .Object arrays"),
    "an unclosed header": (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
        "is no submission .an array's header",
    ),
    "a bomb": (header((10**6, 1, 20)) + bytes(10**5), "its arrays take .* more than 5e-05 GB"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_file_is_told(made, tmp_path, kind, monkeypatch):
    content, words = FORGED[kind]
    monkeypatch.setattr(submission, "LARGEST", 50_000)
    path = tmp_path / "mine.npz"
    replace(made, x=made.x[:1], id=made.id[:1]).save(path)
    assert len(read(path).x) == 1
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", content)
    refused(words, read, path)


def test_numbers_out_of_range_are_told(made, tmp_path):
    path = tmp_path / "mine.npz"
    replace(made, id=made.id.astype(float) * 1e30).save(path)
    refused("id holds .*; give whole numbers below", read, path)
    replace(made, id=made.id.astype(np.uint64) + np.uint64(2**63)).save(path)
    refused("id holds .*; give whole numbers below", read, path)


def test_what_is_no_submission_is_told(tmp_path, made):
    (tmp_path / "mine.npz").write_bytes(b"PK")
    refused("is no submission", read, tmp_path / "mine.npz")
    refused("is no submission", read, tmp_path / "none.npz")
    replace(made, id=made.id[1:]).save(tmp_path / "mine.npz")
    refused(r"give \(n,\), \(n, C, L\)", read, tmp_path / "mine.npz")
    replace(made, eps=-1.0).save(tmp_path / "mine.npz")
    refused("eps is -1.0", read, tmp_path / "mine.npz")


def test_weights_that_another_record_keeps_are_found(record, made, monkeypatch):
    """As those of a network's further records are, once released."""
    asked = []
    monkeypatch.setattr(type(record), "weights", record.path / "none.safetensors")
    monkeypatch.setattr(Session, "weights", lambda *a: asked.append(a) or record.path / WEIGHTS)
    assert check(made, record).broken > 0 and len(asked) == 1
    monkeypatch.setattr(Session, "weights", lambda *a: None)
    refused("has no weights here", check, made, record)


def test_the_board_shows_verdicts_by_what_they_leave(record, made, tmp_path, monkeypatch):
    verdict = check(made, record)
    board = import_module("ecgadv.results.submissions")  # the package has a function of the name
    monkeypatch.setattr(board, "released_folder", lambda: record.path.parent)
    replace(verdict, author="Z. Worse", after=verdict.before).save(tmp_path / "a.json")
    verdict.save(tmp_path / "b.json")
    board = results.submissions(tmp_path)
    assert board.author.tolist() == ["A. Author", "Z. Worse"]
    assert board.after.tolist() == [verdict.after, verdict.before]
    assert board.network.tolist() == ["tiny/beatwise/mlp/ce/faithful"] * 2
    assert results.submissions(tmp_path / "none").empty
    (tmp_path / "c.json").write_text('{"record": "x"}')
    refused("c.json is no verdict", results.submissions, tmp_path)


@pytest.mark.parametrize(
    "change", [{"record": 3}, {"after": "x"}, {"n": True}, {"author": "a\nb"}, {"attack": ["a"]}]
)
def test_a_verdict_that_another_hand_wrote_is_told(record, made, tmp_path, change):
    path = tmp_path / "c.json"
    check(made, record).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    refused(f"c.json is no verdict .*{next(iter(change))} is", Verdict.load, path)
