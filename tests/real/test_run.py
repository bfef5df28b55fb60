"""From the real recordings to a verified record, with one small network."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ecgadv import cli
from ecgadv.experiments import runner, suites
from ecgadv.experiments.config import Attack
from ecgadv.experiments.store import Store

FEW = (
    Attack("noise", "uniform-noise", (0.1,)),
    Attack("pgd-100", "adamax-pgd", (0.1,), {"steps": 5, "step_size": 0.02}, per_class=20),
)


def plan():
    """Two of paper B's configs, cut down to a tenth of an epoch, two attacks and a small proof."""
    short = {"attacks": FEW, "epochs": 1, "epoch_share": 0.1}
    proof = {"proof": (0.01,), "proof_per_class": 20}
    made = [
        suites.paper_b.config_of("demo", "beat-mlp", "nsr", 0.4, **short),
        suites.paper_b.config_of(
            "demo", "beat-mlp", "cross-entropy", split="interpatient", **short
        ),
    ]
    return [(replace(config, experiment="real", **proof), 1) for config in made]


@pytest.fixture
def runs(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("ECGADV_DATA", str(prepared[0]))
    monkeypatch.setattr(suites, "SUITES", {**suites.SUITES, ("real", "demo"): plan})
    runner.fingerprint.cache_clear()
    yield tmp_path / "runs"
    runner.fingerprint.cache_clear()


def test_run_and_verify_on_the_real_beats(runs, mitdb, capsys):
    command = ["run", "real", "--profile", "demo", "--runs", str(runs), "--processes", "1"]
    assert cli.main(command) == 0
    # Interpatient tests on de Chazal's DS2 without the last beat of its 22 records.
    between, beatwise = sorted(Store(runs).records(), key=lambda r: r.config["split"] == "beatwise")
    for record, n in ((beatwise, 21_892), (between, 49_712 - 22)):
        assert record.run["data"]["fingerprint"] == mitdb.fingerprint
        assert record.metrics["clean"]["n"] == n
        examples = record.examples()
        assert np.array_equal(mitdb.y[examples["id"]], examples["label"])
        attacked = examples["label"][examples["held/pgd-100/0.1"] != 255]
        counts = np.bincount(attacked, minlength=5)
        assert counts.tolist() == np.minimum(np.bincount(examples["label"]), 20).tolist()
    # A tenth of an epoch is enough to tell most beats apart.
    assert beatwise.metrics["clean"]["balanced_accuracy"] > 0.6
    assert not set(mitdb.record[between.examples()["id"]]) & {"101", "106", "201"}
    capsys.readouterr()
    assert cli.main(["verify", beatwise.key, "--runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"agrees within 0\.002$", printed.strip())
