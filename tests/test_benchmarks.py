"""The benchmarks run on tiny sizes and report ratios, and the peers compute what ours computes."""

import json
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import (
    __main__,
    attacking,
    leads,
    memory,
    peers,
    preparing,
    standard,
    timing,
    training,
)
from ecgadv import models
from ecgadv.attacks.sap import smooth


def slow_pgd(model, *, eps, step_size, steps):
    """A stand-in for torchattacks, which `make bench` alone installs."""

    def attack(x, y):
        x_adv = x
        for _ in range(steps):
            x_adv = x_adv.detach().requires_grad_()
            torch.nn.functional.cross_entropy(model(x_adv), y).backward()
            moved = x_adv.detach() + step_size * x_adv.grad.sign()
            x_adv = torch.clamp(moved, x - eps, x + eps).clamp(0, 1)
        return x_adv.detach()

    return {"stand-in": attack}


def still(model, **options):
    """A stand-in for parts of a cascade that find nothing."""
    names = "Auto-PGD", "smallest", "Square", "AutoAttack"
    return {name: {"stand-in": lambda x, y: x.clone()} for name in names}


@pytest.fixture
def peer(monkeypatch):
    monkeypatch.setattr(peers, "pgd", slow_pgd)
    monkeypatch.setattr(peers, "parts", still)


@pytest.fixture
def no_peer(monkeypatch):
    for library in ("torchattacks", "foolbox", "art", "adv_lib"):
        monkeypatch.setitem(sys.modules, library, None)  # its import fails


def test_the_plain_network_is_ours():
    network, plain = models.build("beat-cnn"), peers.PlainCNN()
    plain.load_state_dict(network.state_dict())
    x = torch.rand(3, 1, 187)
    torch.testing.assert_close(plain(x), network(x))


@pytest.mark.parametrize("step", ["undefended", "NSR", "Jacobian"])
def test_the_plain_network_of_twelve_leads_and_its_losses_are_ours(step):
    options = {"width": 4, "blocks": 2, "stride": 2, "pool": True}
    network, plain = (net.double() for net in leads._networks(options))
    x, y = leads._recordings(6, 300)
    x = x.double()
    torch.testing.assert_close(plain(x), network(x))
    leads._steps(network, x, y)[step]()
    leads._plain_step(step, plain, x, y)
    for a, b in zip(plain.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_twelve_leads(peer):
    rows = leads.leads(quick=True)
    assert len(rows) == 8 and all(row.ratio > 0 for row in rows)


def test_operations_are_those_that_torch_counts():
    plain = peers.PlainCNN().requires_grad_(False)
    x = torch.rand(1, 1, 187, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        plain(x).sum().backward()
    assert peers.flops(plain, 187) == counter.get_total_flops()


def test_25_convolutions_smooth_as_one_kernel_does():
    theta = torch.randn(4, 1, 187)
    slow = peers.smooth_by_25(theta, peers.gaussian_kernels())
    assert (slow - smooth(theta)).abs().max() < 1e-6


def test_pgd_step(peer):
    peak, step, share = attacking.pgd_step(quick=True)
    assert peak.ours > 0 and step.ratio > 0 and step.peer_name.startswith("stand-in")
    assert share.ours == pytest.approx(step.ours / peak.ours)


def test_sap():
    (row,) = attacking.sap_smoothing(quick=True)
    assert row.ratio > 0


def test_evaluation(peer):
    rows = attacking.evaluation(quick=True)
    assert [row.ratio > 0 for row in rows] == [True, True]


def test_standard(peer):
    rows = standard.standard(quick=True)
    seconds = [row.ours for row in rows if row.unit == "s"]
    assert len(seconds) == 2 and min(seconds) > 0
    left = [row for row in rows if row.unit == "% hold"]
    # The stand-ins change nothing, so that all that is read right holds.
    assert len(left) == 3 and all(row.peer == 100 >= row.ours for row in left)


def test_without_peers_their_rows_say_so(no_peer):
    rows = attacking.pgd_step(quick=True)[1:] + attacking.evaluation(quick=True)
    rows += [row for row in standard.standard(quick=True) if row.unit != "s"]
    network, plain = leads._networks({"width": 2, "blocks": 1})
    rows.append(leads._attack(network, plain, *leads._recordings(1, 99), what="", quick=True))
    assert {row.not_run for row in rows} == {attacking.NO_PEER} and len(rows) == 8
    assert rows[0].line().endswith("not run: no peer is installed; `make bench` does it")


def test_memory(no_peer):
    ours, others = memory.memory(quick=True)
    assert ours.ours >= 1 and others.not_run == attacking.NO_PEER


def test_training(monkeypatch):
    monkeypatch.setattr(training, "SEEDS", 2)
    rows = training.training(quick=True)
    side_by_side = [row for row in rows if "2 seeds side by side" in row.what]
    assert len(rows) == 12 and len(side_by_side) == 6
    assert all(row.ratio > 0 for row in side_by_side)
    assert all(row.ratio > 0 for row in rows if row.peer_name == "conv1d")


def test_preparing_without_recordings_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.delenv("ECGADV_TEST_PHYSIONET", raising=False)
    for row in preparing.preparing(quick=False):
        assert "no recordings in" in row.not_run and str(tmp_path) in row.not_run


def test_what_all_of_cpsc2018_takes_is_a_line_through_a_part_and_half_of_it(tmp_path, monkeypatch):
    folder = tmp_path / "training/cpsc_2018/g1"
    folder.mkdir(parents=True)
    for number in range(1, 102):
        for suffix in (".hea", ".mat"):
            (folder / f"A{number:04}{suffix}").touch()
    counted = []

    def measured(name, raw):
        records = len(list(raw.glob("training/cpsc_2018/g1/*.hea")))
        assert records == len(list(raw.glob("training/cpsc_2018/g1/*.mat")))
        counted.append(records)
        return 2 + 0.01 * records, 200 + 0.5 * records

    monkeypatch.setattr(preparing, "_measured", measured)
    seconds, megabytes = preparing._extrapolated("cpsc2018", tmp_path)
    assert set(counted) == {51, 101} and len(counted) == 10
    assert seconds.ours == pytest.approx(2 + 0.01 * 6877)
    assert megabytes.ours == pytest.approx(200 + 0.5 * 6877)
    assert megabytes.ratio == pytest.approx(4000 / megabytes.ours)
    assert "extrapolated from 101" in seconds.what


def test_a_row_tells_all_in_one_line():
    row = timing.Row("sap", "smoothing", "us a beat", 2.0, 187.3, "25 convolutions", 93.6, "10")
    said = "sap        smoothing: 2 us a beat; 25 convolutions 187; ratio 93.60 (goal: 10)"
    assert row.line() == said


def test_the_ratio_is_the_median_over_rounds():
    assert timing.ratio([1.0, 1.0, 2.0], [3.0, 2.0, 20.0]) == 3.0


def test_functions_take_turns_and_the_first_round_is_left_out():
    calls = []
    seconds = timing.in_turns([lambda: calls.append("a"), lambda: calls.append("b")], rounds=2)
    assert "".join(calls) == "ababab"
    assert [len(taken) for taken in seconds] == [2, 2]


def test_command_line(tmp_path, capsys):
    out = tmp_path / "rows.json"
    options = ["--quick", "--threads", "1", "--only", "sap", "--only", "prepare", "--out", str(out)]
    assert __main__.main(options) == 0
    found = json.loads(out.read_text())
    assert found["machine"]["threads"] == 1 and found["quick"]
    assert [row["benchmark"] for row in found["rows"]] == ["sap", "prepare", "prepare"]
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize("wrong", [["--only", "speed"], ["--threads", "0"], ["--threads", "two"]])
def test_wrong_options_end_with_status_2(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        __main__.main(wrong)
    assert ended.value.code == 2
    assert wrong[1] in capsys.readouterr().err
