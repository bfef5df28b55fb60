"""Released networks by name, and the command that lists records."""

import shutil

import numpy as np
import pytest
import torch
from strangers import refused

import ecgadv
from ecgadv import cli
from ecgadv.evaluation.robustness import predict
from ecgadv.experiments.store import Store, released_folder

NAME = "paper-b/beatwise/mlp/ce/faithful"


def test_names_are_listed_and_each_loads():
    every = ecgadv.list_models()
    assert NAME in every and every == sorted(set(every))
    assert set(ecgadv.list_models("paper-a/*")) == {n for n in every if n.startswith("paper-a/")}
    # One of each experiment, split and network.
    for name in {tuple(name.split("/")[:3]): name for name in every}.values():
        network = ecgadv.load_model(name)
        expects = network.expects
        logits = network(torch.zeros(2, expects.leads, expects.length))
        assert logits.shape == (2, len(expects.classes)) and not network.training


def test_a_network_is_that_of_its_record():
    """Each record keeps the weights; those of two seeds differ, and those of a seed are its own."""
    one, two = (ecgadv.load_model(NAME, seed=seed) for seed in (0, 1))
    assert one.expects.record != two.expects.record
    assert one.expects.classes == ("N", "S", "V", "F", "Q") and one.expects.rate == 120
    record = Store(released_folder()).get(one.expects.record)
    assert (record.seed, record.config["label"]) == (0, NAME.removeprefix("paper-b/"))
    x = np.random.default_rng(0).random((4, 1, 187))
    assert not torch.equal(predict(one, x), predict(two, x))
    again = ecgadv.load_model(NAME, seed=0, profile=record.config["profile"])
    assert torch.equal(predict(one, x), predict(again, x))


def test_signals_of_another_shape_are_refused():
    network = ecgadv.load_model(ecgadv.list_models("paper-a/*")[0])  # it would read any length
    for shape in ((2, 1, 187), (2, 2, 9000), (2, 9000, 1)):
        words = rf"x of shape \({shape[0]}, {shape[1]}, .*takes \(..., 1, 9000\), at 300 Hz"
        refused(words, predict, network, torch.zeros(shape))
        refused(words, ecgadv.evaluate, network, torch.zeros(shape), [0, 0], eps=1.0)


def test_folders_without_networks_are_told(tmp_path):
    assert ecgadv.list_models(folders=str(released_folder())) == ecgadv.list_models()
    refused(
        "no released networks in .*; they come with a clone",
        ecgadv.load_model,
        NAME,
        folders=tmp_path,
    )


def test_what_is_not_released_is_told_with_what_is(tmp_path):
    refused("no released network 'resnet'; choose one of", ecgadv.load_model, "resnet")
    refused("not released with seed 99.* profile paper seed 0", ecgadv.load_model, NAME, seed=99)
    refused("profile demo", ecgadv.load_model, NAME, profile="demo")
    key = ecgadv.load_model(NAME).expects.record
    shutil.copytree(released_folder() / key, tmp_path / key)
    weights = tmp_path / key / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused("is damaged", ecgadv.load_model, NAME, folders=[tmp_path])


def test_records_are_listed_with_their_numbers(capsys, tmp_path):
    assert cli.main(["records", "paper-b/beatwise/mlp/ce/*", "--runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    record = Store(released_folder()).get(ecgadv.load_model(NAME).expects.record)
    (line,) = [line for line in lines if line.startswith(record.key)]
    assert f"{NAME} paper seed 0" in line and "released" in line
    assert f"clean {100 * record.metrics['clean']['accuracy']:.1f} %" in line
    assert cli.main(["records", "show", record.key]) == 0
    shown = capsys.readouterr().out
    assert record.run["commit"] in shown
    proved = record.metrics["proved"]
    for name, found in {**record.metrics["attacks"], "proved": proved}.items():
        assert f"{name}: {found['eps'][0]:g}: {100 * found['accuracy'][0]:.1f} %" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show"], "takes one key"),
        (["show", "none"], "no record 'none'"),
        (["a", "b"], "2 patterns; give one, in quotes"),
    ],
)
def test_records_tells_what_it_needs(words, said, capsys):
    assert cli.main(["records", *words]) == 2
    assert said in capsys.readouterr().err
    assert cli.main(["records", "nothing/*"]) == 0
    assert "no record is named 'nothing/*'" in capsys.readouterr().out
