"""What names a run: keys that stay the same, and change with everything that matters."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from ecgadv.errors import EcgadvError
from ecgadv.experiments import suites
from ecgadv.experiments.config import (
    Attack,
    Defense,
    as_dict,
    essence,
    from_dict,
    run_key,
    training_key,
)
from ecgadv.training import Schedule

FINGERPRINT = "f" * 64
ALL = [
    pytest.param(config, id=f"{suite}-{profile}-{config.label}")
    for suite, profile in suites.SUITES
    for config, _ in suites.plan(suite, profile)
]
RELEASED = sorted((Path(__file__).parents[1] / "book" / "records").glob("[!.]*/run.json"))


def sixteen(parts):
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_run_key_is_the_hash_of_what_differs_from_the_defaults():
    config = tiny.NSR
    attacks = [
        {"name": "noise", "method": "uniform-noise", "eps": [0.05, 0.1]},
        {
            "name": "pgd-100",
            "method": "adamax-pgd",
            "eps": [0.05, 0.1],
            "options": {"steps": 2, "step_size": 0.05},
        },
    ]
    wanted = {
        "config": {
            "experiment": "tiny",
            "profile": "demo",
            "label": "beatwise/mlp/nsr-0.4/faithful",
            "dataset": "synthetic",
            "split": "beatwise",
            "model": "beat-mlp",
            "model_options": {"width": 16},
            "defense": {"name": "nsr", "options": {"beta": 0.4}},
            "schedule": {
                "epochs": 2,
                "batch_size": 32,
                "learning_rate": 0.01,
                "normalize": True,
                "redraw_dead": True,
            },
            "attacks": attacks,
        },
        "seed": 3,
        "data": FINGERPRINT,
        "versions": [1, 1],
    }
    found = run_key(replace(config, attacks=config.attacks[:2]), 3, FINGERPRINT)
    assert found == sixteen(wanted) == "9d8cf4cea8ffcde2"


def test_training_key_is_the_hash_of_what_the_weights_depend_on():
    wanted = {
        "training": {
            "dataset": "synthetic",
            "split": "beatwise",
            "model": "beat-mlp",
            "model_options": {"width": 16},
            "defense": {"name": "cross-entropy"},
            "schedule": {"epochs": 4, "batch_size": 32, "learning_rate": 0.01},
        },
        "seed": 0,
        "data": FINGERPRINT,
        "version": 1,
    }
    found = training_key(tiny.PLAIN, 0, FINGERPRINT)
    assert found == sixteen(wanted) == "30e83d41f9db9280"


def variations():
    config, attack = tiny.PLAIN, tiny.ATTACKS[1]

    def attacks(**changes):
        return replace(config, attacks=(replace(attack, **changes),))

    return {
        "experiment": replace(config, experiment="paper-c"),
        "profile": replace(config, profile="paper"),
        "label": replace(config, label="other"),
        "dataset": replace(config, dataset="mitdb"),
        "split": replace(config, split="interpatient"),
        "model": replace(config, model="beat-cnn"),
        "width": replace(config, model_options={"width": 17}),
        "defense": replace(config, defense=Defense("nsr", options={"beta": 0.4})),
        "strength": replace(config, defense=Defense("nsr", options={"beta": 0.5})),
        "variant": replace(config, defense=Defense("cross-entropy", "corrected")),
        "epochs": replace(config, schedule=replace(config.schedule, epochs=5)),
        "decay": replace(config, schedule=replace(config.schedule, decay=0.01)),
        "attacks": replace(config, attacks=config.attacks[:1]),
        "eps": attacks(eps=(0.05, 0.2)),
        "fewer eps": attacks(eps=(0.05,)),
        "steps": attacks(options={"steps": 3, "step_size": 0.05}),
        "method": attacks(method="pgd"),
        "bounded": attacks(bounded=False),
        "masked": attacks(masked=True),
        "per_class": attacks(per_class=3),
        "nested": attacks(nested=True),
    }


def test_run_key_changes_with_all_that_matters_and_with_nothing_else():
    config = tiny.PLAIN
    key = run_key(config, 0, FINGERPRINT)
    others = [run_key(other, 0, FINGERPRINT) for other in variations().values()]
    others += [run_key(config, 1, FINGERPRINT), run_key(config, 0, "e" * 64)]
    assert len({key, *others}) == 1 + len(others)
    for same in (
        replace(config, differs=("in a word",)),
        replace(config, together=8),
        from_dict(as_dict(config)),
    ):
        assert run_key(same, 0, FINGERPRINT) == key


def test_training_key_ignores_names_and_attacks():
    key = training_key(tiny.PLAIN, 0, FINGERPRINT)
    other_weights = {"dataset", "split", "model", "width", "defense", "strength", "variant"}
    other_weights |= {"epochs", "decay"}
    for name, config in variations().items():
        changed = training_key(config, 0, FINGERPRINT) != key
        assert changed == (name in other_weights), name
    assert training_key(tiny.PLAIN, 1, FINGERPRINT) != key


def test_essence_drops_defaults_all_the_way_down():
    assert essence(Schedule()) == {}
    assert essence(Schedule(epochs=50, decay=0.01)) == {"decay": 0.01}
    assert essence(Defense("nsr", "faithful", {})) == {"name": "nsr"}
    attack = Attack("a", "pgd", (0.1,), {"steps": 1}, bounded=True, per_class=None)
    assert essence((attack,)) == [
        {"name": "a", "method": "pgd", "eps": [0.1], "options": {"steps": 1}}
    ]


@pytest.mark.parametrize("config", ALL)
def test_configs_of_the_suites_survive_json(config):
    again = from_dict(json.loads(json.dumps(as_dict(config))))
    assert again == config
    assert run_key(again, 0, FINGERPRINT) == run_key(config, 0, FINGERPRINT)


@pytest.mark.parametrize("pair", suites.SUITES)
def test_every_label_and_key_of_a_suite_is_its_own(pair):
    configs = [config for config, _ in suites.plan(*pair)]
    assert len({config.label for config in configs}) == len(configs)
    assert len({run_key(config, 0, FINGERPRINT) for config in configs}) == len(configs)
    assert {(config.experiment, config.profile) for config in configs} == {pair}
    for config in configs:
        for attack in config.attacks:
            assert list(attack.eps) == sorted(attack.eps), "nested attacks take eps in order"


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.parent.name)
def test_released_records_keep_their_keys(path):
    run = json.loads(path.read_text())
    assert run_key(from_dict(run["config"]), run["seed"], run["data"]["fingerprint"]) == (
        path.parent.name
    )


def test_a_config_of_another_version_is_told_in_one_line():
    value = as_dict(tiny.PLAIN)
    with pytest.raises(EcgadvError, match=r"not of this version of ecgadv .*'pupil'"):
        from_dict({**value, "pupil": "resnet"})
    with pytest.raises(EcgadvError, match=r"not of this version of ecgadv .*'schedule'"):
        from_dict({name: item for name, item in value.items() if name != "schedule"})
