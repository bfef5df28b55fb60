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
    Config,
    Defense,
    Teacher,
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
        "transfer": attacks(transfer=True),
        "predictions": attacks(predictions=True),
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


def retrained(config):
    """The same under the same label, trained longer."""
    return replace(config, schedule=replace(config.schedule, epochs=99))


def renamed(config):
    """The same training under another label, with other attacks."""
    return replace(config, label="other", profile="other", attacks=tiny.ATTACKS, differs=("x",))


BUILT = {
    "teacher": lambda other: replace(tiny.PLAIN, teacher=Teacher(other, 2.0)),
    "initial": lambda other: replace(tiny.PLAIN, initial=other),
    "surrogate": lambda other: replace(tiny.PLAIN, surrogate=other),
}


@pytest.mark.parametrize("role", BUILT)
def test_keys_change_with_the_training_of_what_a_config_builds_on_and_no_more(role):
    make = BUILT[role]
    config = make(tiny.NSR)
    changed, same = make(retrained(tiny.NSR)), make(renamed(tiny.NSR))
    for key, counts in ((training_key, role != "surrogate"), (run_key, True)):
        keys = [key(c, 0, FINGERPRINT) for c in (tiny.PLAIN, config, changed, same)]
        assert keys[3] == keys[1]
        assert len(set(keys)) == (3 if counts else 1)
    assert config.builds_on() == {role: tiny.NSR}
    assert tiny.PLAIN.builds_on() == {}


@pytest.mark.parametrize("role", BUILT)
def test_keys_change_with_a_network_two_steps_back(role):
    near, far = (
        BUILT[role](replace(tiny.NSR, initial=other))
        for other in (tiny.PLAIN, retrained(tiny.PLAIN))
    )
    assert run_key(near, 0, FINGERPRINT) != run_key(far, 0, FINGERPRINT)
    through = replace(tiny.NSR, surrogate=tiny.PLAIN)  # where its own examples are crafted
    assert run_key(BUILT[role](through), 0, FINGERPRINT) == (
        run_key(BUILT[role](tiny.NSR), 0, FINGERPRINT)
    )


def test_roles_are_told_apart():
    keys = [run_key(make(tiny.NSR), 0, FINGERPRINT) for make in BUILT.values()]
    assert len(set(keys)) == 3
    teachers = [Teacher(tiny.NSR), Teacher(tiny.NSR, 2.0), Teacher(tiny.NSR, train_mode=False)]
    for key in (training_key, run_key):
        found = {key(replace(tiny.PLAIN, teacher=t), 0, FINGERPRINT) for t in teachers}
        assert len(found) == 3


def test_what_comes_with_paper_a_enters_the_keys():
    def both(**changes):
        config = replace(tiny.PLAIN, **changes)
        return training_key(config, 0, FINGERPRINT), run_key(config, 0, FINGERPRINT)

    plain = both()
    for change in ({"boundary": {"pairs": 2}}, {"precision": "tf32"}):
        found = both(**change)
        assert found[0] == plain[0] and found[1] != plain[1]
    for change in (
        {"half": True},
        {"schedule": replace(tiny.SCHEDULE, optimizer="adam")},
        {"schedule": replace(tiny.SCHEDULE, sampler="natural", copies=(1, 2, 1, 6, 1))},
        {"schedule": replace(tiny.SCHEDULE, precision="bf16")},
        {"schedule": replace(tiny.SCHEDULE, keep="best")},
        {"schedule": replace(tiny.SCHEDULE, warmup=1)},
        {"schedule": replace(tiny.SCHEDULE, rate="one-cycle")},
    ):
        found = both(**change)
        assert found[0] != plain[0] and found[1] != plain[1]


def test_a_chain_of_configs_survives_json():
    again = from_dict(json.loads(json.dumps(as_dict(tiny.STUDENT))))
    assert again == tiny.STUDENT
    assert isinstance(again.teacher, Teacher)
    assert isinstance(again.teacher.config.initial, Config)
    assert again.schedule.copies == (1, 1, 1, 1, 1)
    assert as_dict(again) == as_dict(tiny.STUDENT)
    with pytest.raises(EcgadvError, match=r"not of this version of ecgadv .*'pupil'"):
        from_dict({**as_dict(again), "teacher": {**as_dict(again)["teacher"], "pupil": 1}})


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
