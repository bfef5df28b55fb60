"""The authors' protocol on CPSC2018, from raw records to verified ones, with few steps."""

from dataclasses import replace

import numpy as np
import pytest

from ecgadv import cli, data
from ecgadv.data import prepare as preparing
from ecgadv.experiments import runner, suites
from ecgadv.experiments.store import Store

DEFENSES = ("ce", "nsr-1", "jacobian-24", "at-0.01")


def plan():
    """Profile `paper`, each defense in its second epoch, both cut to a twentieth."""
    made = []
    for config, _ in suites.twelve_leads.paper():
        _, _, defense, variant = config.label.split("/")
        if defense in DEFENSES and variant == "faithful":
            schedule = replace(
                config.schedule,
                epochs=2,
                warmup=int(defense != "ce"),
                batch_size=4,
                epoch_share=0.05,
            )
            attacks = [
                replace(attack, eps=(0.01,), per_class=1, options=_few(attack.options))
                for attack in config.attacks
            ]
            changes = {"schedule": schedule, "attacks": tuple(attacks), "experiment": "real"}
            made.append((replace(config, **changes), 1))
    return made


def _few(options):
    steps = {name: 2 for name in ("steps", "pgd_steps", "smooth_steps") if name in options}
    return {**options, **steps}


@pytest.mark.long
def test_one_command_runs_the_authors_protocol(physionet, tmp_path, monkeypatch, capsys):
    if not (physionet / "challenge-2020").is_dir():
        pytest.skip("no records of CPSC2018")
    (tmp_path / "challenge-2020").symlink_to(physionet / "challenge-2020")
    preparing.prepare("cpsc2018", root=tmp_path)
    monkeypatch.setenv("ECGADV_DATA", str(tmp_path))
    monkeypatch.setattr(suites, "SUITES", {**suites.SUITES, ("real", "demo"): plan})
    runner.fingerprint.cache_clear()
    runs = tmp_path / "runs"
    command = ["run", "real", "--profile", "demo", "--runs", str(runs), "--processes", "1"]
    assert cli.main(command) == 0
    records = {r.config["label"].split("/")[2]: r for r in Store(runs).records()}
    assert set(records) == set(DEFENSES)
    dataset = data.load("cpsc2018", root=tmp_path)
    test = data.split(dataset, "authors").test
    for record in records.values():
        assert record.run["data"]["fingerprint"] == dataset.fingerprint
        examples = record.examples()
        assert np.array_equal(np.sort(examples["id"]), np.sort(test))
        attacked = examples["held/pgd-100/0.01"] != 255
        assert np.bincount(examples["label"][attacked], minlength=9).max() == 1
        assert record.weights.stat().st_size < 4_994_953 * 2.2  # in half precision
    capsys.readouterr()
    assert cli.main(["verify", records["nsr-1"].key, "--runs", str(runs)]) == 0
    runner.fingerprint.cache_clear()
