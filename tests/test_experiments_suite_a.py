"""Paper A's plan: the numbers of the paper, one budget for all, and teachers that are in it."""

from dataclasses import replace

import pytest

from ecgadv.experiments import suites
from ecgadv.experiments.evaluate import ATTACKS

PROFILES = ("paper", "short", "compact", "demo")
REAL = PROFILES[:3]
EIGHT = (  # PROTOCOLS 2.4
    *("ce/faithful", "at-10/faithful", "adt-1/faithful", "distillation-1/faithful"),
    *("initadt-1/faithful", "distadt-1/faithful", "jacobian-44/faithful", "nsr-1/faithful"),
)
OURS = (
    *(f"adt-{t}/ours" for t in (2, 5, 10, 20)),
    *("nsr-1/rescaled", "adt-1/eval-labels", "adt-1/eval-attack"),
)


def configs(profile):
    """All but those of the standard cascade, which are tested for all suites together."""
    every = [config for config, _ in suites.plan("paper-a", profile)]
    return [config for config in every if not config.label.endswith("-standard")]


def by_name(profile):
    """Configs by defense and variant, without the split."""
    return {config.label.split("/", 2)[2]: config for config in configs(profile)}


@pytest.mark.parametrize("profile", PROFILES)
def test_labels_say_split_network_defense_and_variant_and_are_unique(profile):
    found = configs(profile)
    assert len({config.label for config in found}) == len(found) == len(by_name(profile))
    for config in found:
        split, network, _, variant = config.label.split("/")
        assert (split, network, variant) == (config.split, "han", config.defense.variant)
        assert config.model == "han-cnn"
        assert (config.experiment, config.profile) == ("paper-a", profile)


@pytest.mark.parametrize("profile", REAL)
def test_the_eight_networks_of_the_paper_and_ours(profile):
    names = by_name(profile)
    assert names.keys() >= {*EIGHT, *OURS}
    assert len([name for name in names if name.endswith("/retuned")]) == 1
    rest = names.keys() - {*EIGHT, *OURS}
    ablations = {name.split("/")[1] for name in rest} - {"retuned"}
    wanted = {"paper": {"last-epoch"}, "short": {"selected-on-test"}, "compact": set()}
    assert ablations == wanted[profile]
    split = "han" if profile == "paper" else "han-validated"
    assert {names[name].split for name in (*EIGHT, *OURS)} == {split}
    assert {config.dataset for config in names.values()} == {"challenge-2017"}
    # The choice of the epoch differs from the network it is compared with, and nothing else.
    for name in rest:
        variant = name.split("/")[1]
        if variant in {"last-epoch", "selected-on-test"}:
            usual = names[name.replace(variant, "faithful")]
            chosen = "han" if variant == "last-epoch" else "han-selected"
            assert names[name].split == chosen
            assert names[name].teacher == usual.teacher
            assert replace(names[name].schedule, keep="last") == replace(
                usual.schedule, keep="last"
            )


def test_the_demo_has_adt_and_what_it_is_made_of():
    names = by_name("demo")
    assert names.keys() == {
        *("ce/faithful", "at-0.1/faithful", "adt-1/faithful", "distillation-1/faithful")
    }
    assert {(config.dataset, config.split) for config in names.values()} == {
        ("synthetic", "beatwise")
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_all_networks_share_one_budget(profile):
    names = by_name(profile)
    schedules = {
        name: replace(config.schedule, warmup=0, keep="last")
        for name, config in names.items()
        if not (profile == "compact" and name == "ce/faithful")
    }
    assert len({repr(schedule) for schedule in schedules.values()}) == 1
    epochs = {"paper": 100, "short": 10, "compact": 1, "demo": 4}[profile]
    for name, config in names.items():
        if name in schedules:
            assert config.schedule.epochs == epochs
        penalty = name.startswith(("jacobian", "nsr")) and profile != "compact"
        # Epochs 0 to 9 of 100 go without the penalty (PROTOCOLS 2.4).
        assert config.schedule.warmup == (epochs // 10 if penalty else 0)
        kept = config.schedule.keep
        if name.endswith(("last-epoch", "selected-on-test")):
            assert kept == ("last" if profile == "paper" else "best")
        else:
            assert kept == ("best" if profile == "paper" else "last")
    shared = ("attacks", "boundary", "model_options", "precision", "half", "together", "dataset")
    for field in shared:
        assert len({repr(getattr(config, field)) for config in names.values()}) == 1, field


def test_the_papers_schedule():
    schedule = by_name("paper")["at-10/faithful"].schedule
    assert (schedule.optimizer, schedule.learning_rate, schedule.rate) == ("adam", 1e-3, "constant")
    assert (schedule.epochs, schedule.batch_size, schedule.sampler) == (100, 16, "natural")
    assert {seeds for _, seeds in suites.plan("paper-a", "paper")} == {3}
    for profile in REAL:
        assert {config.schedule.copies for config in configs(profile)} == {(1, 2, 1, 6)}
    for profile in ("paper", "short"):
        assert {repr(config.model_options) for config in configs(profile)} == {"{}"}


@pytest.mark.parametrize("profile", PROFILES)
def test_teachers_and_surrogates_are_networks_of_the_plan(profile):
    names = by_name(profile)
    hardened = next(config for name, config in names.items() if name.startswith("at-"))
    parts = {
        "hardened": hardened.training_part(),
        "undefended": names["ce/faithful"].training_part(),
    }
    teachers = {
        **{n: "hardened" for n in names if n.startswith(("adt-", "initadt-"))},
        **{n: "undefended" for n in names if n.startswith(("distillation-", "distadt-"))},
    }
    for name, config in names.items():
        assert config.surrogate.training_part() == parts["undefended"]
        assert (config.teacher is None) == (name not in teachers)
        if config.teacher is not None:
            assert config.teacher.config.training_part() == parts[teachers[name]]
            assert config.teacher.train_mode == (not name.endswith("eval-labels"))
            assert config.teacher.temperature == float(name.split("/")[0].split("-")[1])
        if profile == "compact" and name != "ce/faithful":
            assert config.initial.training_part() == parts["undefended"]
        else:
            assert config.initial is None
        for other in config.builds_on().values():
            assert other.attacks == () and other.surrogate is None and other.boundary == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_who_meets_adversarial_examples_in_training(profile):
    for name, config in by_name(profile).items():
        attacked = name.startswith(("at-", "adt-", "distadt-"))
        assert (config.defense.name == "adversarial") == attacked
        if name.startswith(("distillation-", "initadt-")):
            assert config.defense.name == "cross-entropy"
            assert config.defense.options == {"summed": True}
        if not attacked:
            continue
        options = config.defense.options
        assert config.defense.masked and not options["mask_inside"]  # the padding is restored
        assert options["attack"] == "sap" and options["summed"]
        assert options["train_mode"] == (not name.endswith("eval-attack"))
        if profile in ("paper", "short"):
            steps = options["pgd_steps"], options["smooth_steps"], options["step_size"]
            assert (*steps, options["eps"]) == (5, 5, 1.0, 10.0)
        if profile == "compact":
            reach = options["step_size"] * (options["pgd_steps"] + options["smooth_steps"])
            assert reach == options["eps"] == 10.0  # as in the paper


@pytest.mark.parametrize("profile", REAL)
def test_the_penalties_of_the_paper(profile):
    names = by_name(profile)
    assert names["jacobian-44/faithful"].defense.options == {
        "beta": 44.0,
        "norm": "l2",
        "divisor": 1,
        "own_pass": True,
    }
    faithful = {"beta": 1.0, "per_class_pass": True}
    assert names["nsr-1/faithful"].defense.options == faithful
    # A variant of ours changes one thing.
    assert names["nsr-1/rescaled"].defense.options == {**faithful, "max_noise": 1000.0}
    retuned = next(config for name, config in names.items() if name.endswith("/retuned"))
    own = dict(retuned.defense.options)
    assert own.pop("beta") > 44
    assert {**own, "beta": 44.0} == names["jacobian-44/faithful"].defense.options


@pytest.mark.parametrize("profile", REAL)
def test_the_attacks_of_the_paper(profile):
    attacks = {attack.name: attack for attack in configs(profile)[0].attacks}
    wanted = ["sap", "sap-40", "pgd", "transfer-sap", "transfer-pgd"]
    authors = [] if profile == "compact" else ["pgd-authors"]
    assert sorted(attacks) == sorted(wanted + authors)
    sap = {"pgd_steps": 20, "smooth_steps": 20, "step_size": 1.0}
    assert attacks["sap"].options == {**sap, "keep": "last", "mask_inside": False}  # row A11
    assert attacks["sap-40"].options == {**sap, "smooth_steps": 40}
    assert attacks["transfer-sap"].options == {**sap, "keep": "last"}
    for name in ("sap", "sap-40", "transfer-sap"):
        assert attacks[name].eps == (10.0,)
    pgd = attacks["pgd"]
    assert pgd.eps == (1.0, 2.0, 5.0, 10.0, 15.0, 25.0) and pgd.nested
    assert attacks["transfer-pgd"].eps == (10.0, 15.0, 25.0)
    for name in ("pgd", "transfer-pgd"):
        options = attacks[name].options
        for eps in attacks[name].eps:  # row A10
            step = max(options["least_step"], options["relative_step"] * eps)
            assert step == pytest.approx(max(1.0, 2.5 * eps / 20))
            assert step * options["steps"] >= eps
        assert options["steps"] == 20 and not options["random_start"]
    if authors:
        own = attacks["pgd-authors"]
        assert own.eps == (25.0,) and (own.options["steps"], own.options["step_size"]) == (20, 1.0)
    for name, attack in attacks.items():
        assert attack.masked and attack.predictions and attack.method in ATTACKS
        assert attack.transfer == name.startswith("transfer-")
        assert attack.per_class == (100 if profile == "compact" else None)


def test_the_boundary_attack_of_the_paper():
    assert {repr(c.boundary) for c in configs("paper")} == {"{'pairs': 50, 'steps': 8000}"}
    for profile in ("short", "compact"):
        config = configs(profile)[0]
        said = (
            f"the boundary attack: {config.boundary['pairs']} pairs of each ordered pair of "
            f"classes and {config.boundary['steps']:,} iterations instead of 50 and 8,000"
        )
        assert said in config.differs


@pytest.mark.parametrize("profile", ["short", "compact"])
def test_what_differs_is_said(profile):
    for config in configs(profile):
        text = " ".join(config.differs)
        assert f"{config.schedule.epochs} epochs" in text or "for one epoch" in text
        assert set(configs("paper")[0].differs) - set(config.differs) <= {
            line for line in configs("paper")[0].differs if "half precision" in line
        }
