"""The table of runs: where each comes from, what it took, and what of the plans was run."""

import json

import pytest
from recorded import MADE, write

from ecgadv import results
from ecgadv.experiments.store import Store

pytestmark = pytest.mark.usefixtures("few_attacks")
CE, NSR = "beatwise/mlp/ce/faithful", "beatwise/mlp/nsr-0.4/faithful"


def changed(folder, **changes):
    """Change what a record says of its run."""
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | changes))
    return folder


def test_each_record_is_a_row_with_its_origin_and_its_costs(tmp_path):
    for label, seed in ((NSR, 0), (CE, 1), (CE, 0)):
        write(tmp_path, label, seed=seed)
    found = results.runs([Store(tmp_path)])
    assert [*zip(found.config, found.seed, strict=True)] == [(CE, 0), (CE, 1), (NSR, 0)]
    first = found.iloc[0]
    assert (first.experiment, first.profile, first.dataset) == ("paper-b", "paper", "mitdb")
    assert (first.commit, first.dirty, first.device) == (MADE["commit"], False, "CPU")
    assert (first.threads, first.torch, first.weights) == (1, "2.13.0", False)
    assert (first.training_seconds, first.attack_seconds, first.untimed) == (10, 2, False)
    assert set(found.key) == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(("taken", "untimed"), [({"seconds": 60.0}, False), ({}, True)])
def test_what_was_taken_over_is_counted_or_said_to_be_missing(tmp_path, taken, untimed):
    folder = write(tmp_path, CE)
    changed(folder, taken_over={"record": "abc", "attacks": ["sap"], **taken})
    (folder / "weights.safetensors").write_bytes(b"")
    (row,) = results.runs([Store(tmp_path)]).itertuples()
    assert (row.attack_seconds, row.untimed) == (2 + sum(taken.values()), untimed)
    assert row.weights


def test_the_first_store_with_a_key_wins(tmp_path):
    for name, device in (("local", "CUDA"), ("released", "CPU")):
        changed(write(tmp_path / name, CE), device=device)
    write(tmp_path / "released", NSR)
    found = results.runs([Store(tmp_path / "local"), Store(tmp_path / "released")])
    assert found.device.tolist() == ["CUDA", "CPU"]


def test_the_plans_say_how_many_seeds_of_each_config_were_run(tmp_path):
    for seed in range(2):
        write(tmp_path, CE, seed=seed)
    found = results.planned([Store(tmp_path)])
    assert not found.duplicated(["experiment", "profile", "config"]).any()
    paper = found[(found.experiment == "paper-b") & (found.profile == "paper")]
    assert paper.config.iloc[0] == CE  # in the order of the plan
    counts = paper.set_index("config")
    assert (counts.run[CE], counts.planned[CE]) == (2, 3)
    assert counts.run.sum() == found.run.sum() == 2


def test_without_records_the_plans_are_there_and_nothing_is_run(tmp_path):
    assert results.runs([Store(tmp_path)]).empty
    found = results.planned([Store(tmp_path)])
    assert len(found) > 50 and set(found.run) == {0}
