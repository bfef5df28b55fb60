"""A suite that trains and attacks in a fraction of a second, for the tests of experiments."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecgadv import data
from ecgadv.data.dataset import Dataset
from ecgadv.experiments import session, suites
from ecgadv.experiments.config import Attack, Config, Defense, Teacher
from ecgadv.training import Schedule

EPS = (0.05, 0.1)
ATTACKS = (
    Attack("noise", "uniform-noise", EPS),
    Attack("pgd-100", "adamax-pgd", EPS, {"steps": 2, "step_size": 0.05}),
    Attack(
        "sap",
        "sap",
        EPS,
        {"pgd_steps": 1, "smooth_steps": 2, "step_size": 0.05},
        bounded=False,
        per_class=4,
    ),
    Attack(
        "pgd-margin",
        "pgd",
        EPS,
        {"steps": 2, "relative_step": 0.5, "loss": "margin", "restarts": 2, "early_stop": True},
        masked=True,
        per_class=4,
        nested=True,
    ),
)
SCHEDULE = Schedule(epochs=4, batch_size=32, learning_rate=0.01)
AT = {
    "eps": 0.1,
    "steps": 2,
    "step_size": 0.05,
    "clean_weight": 0.5,
    "adversarial_weight": 0.5,
}
PLAIN = Config(
    experiment="tiny",
    profile="demo",
    label="beatwise/mlp/ce/faithful",
    dataset="synthetic",
    split="beatwise",
    model="beat-mlp",
    model_options={"width": 16},
    defense=Defense("cross-entropy"),
    schedule=SCHEDULE,
    attacks=ATTACKS,
    differs=("tiny",),
)
NSR = replace(
    PLAIN,
    label="beatwise/mlp/nsr-0.4/faithful",
    defense=Defense("nsr", options={"beta": 0.4}),
    schedule=replace(SCHEDULE, epochs=2, normalize=True, redraw_dead=True),
)
# Two seeds side by side, with randomness in the training.
ADVERSARIAL = replace(
    PLAIN,
    label="beatwise/mlp/at-0.1/corrected",
    defense=Defense("adversarial", "corrected", AT),
    schedule=replace(SCHEDULE, epochs=3),
    together=2,
)
CNN = replace(
    PLAIN,
    label="beatwise/cnn/jacobian-0.7/faithful",
    model="beat-cnn",
    model_options={"width": 4},
    defense=Defense("jacobian", options={"beta": 0.7, "norm": "l1", "divisor": 187}),
    schedule=replace(SCHEDULE, epochs=1, decay=0.01, epoch_share=0.5),
    attacks=ATTACKS[:1],
)

# Paper A's: an undefended network, a teacher that goes on from it, and a student of both.
UNDEFENDED = replace(
    PLAIN,
    label="beatwise/han/ce/faithful",
    model="han-cnn",
    model_options={"width": 1 / 64, "fewest": 8, "dropout": 0.1},
    schedule=Schedule(
        epochs=4,
        batch_size=32,
        learning_rate=0.02,
        optimizer="adam",
        rate="one-cycle",
        sampler="natural",
        copies=(1, 1, 1, 1, 1),
    ),
    attacks=(),
)
SAP_AT = {"attack": "sap", "eps": 0.1, "pgd_steps": 1, "smooth_steps": 1, "step_size": 0.05}
HARDENED = replace(
    UNDEFENDED,
    label="beatwise/han/at-0.1/faithful",
    defense=Defense("adversarial", options={**SAP_AT, "train_mode": True, "mask_inside": False}),
    schedule=replace(UNDEFENDED.schedule, epochs=1, learning_rate=0.005, epoch_share=0.3),
    initial=UNDEFENDED,
)
STUDENT = replace(
    HARDENED,
    label="beatwise/han/adt-2/faithful",
    teacher=Teacher(HARDENED, temperature=2.0),
    initial=UNDEFENDED,
    surrogate=UNDEFENDED,
    attacks=(
        Attack("pgd", "pgd", EPS, {"steps": 1, "step_size": 0.1}, per_class=4, predictions=True),
        Attack(
            "transfer-pgd",
            "pgd",
            EPS[1:],
            {"steps": 1, "step_size": 0.1, "random_start": False},
            masked=True,
            per_class=4,
            transfer=True,
            predictions=True,
        ),
    ),
    boundary={"pairs": 1, "steps": 10, "candidates": 3, "window": 5, "source_step": 0.1},
)


def plan():
    return [(PLAIN, 2), (ADVERSARIAL, 2)]


@functools.cache
def dataset():
    """A hundred synthetic beats of each class: 20 of them to test, 64 or so to train."""
    whole = data.load("synthetic")
    index = np.concatenate([np.flatnonzero(whole.y == label)[:100] for label in range(5)])
    arrays = ("x", "y", "length", "record", "onset", "unit_mv")
    others = ("name", "classes", "fs", "unit", "labels", "note")
    return Dataset(
        **{name: getattr(whole, name)[index] for name in arrays},
        **{name: getattr(whole, name) for name in others},
    )


def install(beats, set_attribute=setattr):
    """Let `ecgadv run tiny --profile demo` run the plan on `beats`, without released records."""

    def load(name, *, root=None):
        return beats if name == "synthetic" else original(name, root=root)

    original = data.load
    set_attribute(data, "load", load)
    set_attribute(suites, "SUITES", {**suites.SUITES, ("tiny", "demo"): plan})
    # To read the hundreds of them takes as long as a tiny training.
    set_attribute(session, "released_folder", lambda: Path("none"))
