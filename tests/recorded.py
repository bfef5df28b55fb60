"""Records written by hand, whose flags are known, for the tests of what pages say of them."""

import json
from dataclasses import replace

import numpy as np

from ecgadv.experiments import suites
from ecgadv.experiments.config import Attack, as_dict, run_key
from ecgadv.experiments.store import Store
from ecgadv.results.records import load

LEVELS = (0.01, 0.05, 0.1)
SAP = {"pgd_steps": 3, "smooth_steps": 4, "step_size": 0.01}
ATTACKS = (
    Attack("noise", "uniform-noise", LEVELS),
    Attack("pgd-100", "adamax-pgd", LEVELS, {"steps": 7, "step_size": 0.01}),
    Attack("pgd-100-clipped", "adamax-pgd", LEVELS, {"steps": 7, "step_size": 0.01}),
    Attack("sap", "sap", LEVELS, SAP, bounded=False),
    Attack("pgd-margin", "pgd", LEVELS, {"steps": 7, "relative_step": 0.1, "restarts": 2}),
    Attack("apgd-t", "apgd", LEVELS, {"steps": 7, "targets": 2, "restarts": 3}),
    Attack("apgd-dlr", "apgd", LEVELS, {"steps": 7, "targets": 2, "restarts": 3, "loss": "dlr"}),
)
LABELS = np.repeat([0, 1, 2], [6, 3, 3])
MADE = {
    "commit": "abc",
    "dirty": False,
    "device": "CPU",
    "threads": 1,
    "versions": {"torch": "2.13.0"},
}


def held(share, labels=LABELS):
    """Flags of which that share holds in every class, from its first example on."""
    flags = np.zeros(len(labels), np.uint8)
    for c in np.unique(labels):
        members = np.flatnonzero(c == labels)
        flags[members[: round(share * len(members))]] = 1
    return flags


def numbers(config, arrays):
    """What metrics.json says of arrays, as far as it is checked: from the definitions."""

    def accuracies(flags, y):
        seen = flags != 255
        shares = [(flags == 1)[seen & (y == c)].mean() for c in np.unique(y)]
        return np.average(shares, weights=np.unique(y, return_counts=True)[1]), np.mean(shares)

    def curve(prefix, levels):
        found = [accuracies(arrays[f"{prefix}/{eps:g}"], arrays["label"]) for eps in levels]
        plain, balanced = zip(*found, strict=True)
        return {"eps": list(levels), "accuracy": plain, "balanced_accuracy": balanced}

    right = (arrays["prediction"] == arrays["label"]).astype(np.uint8)
    clean = dict(
        zip(("accuracy", "balanced_accuracy"), accuracies(right, arrays["label"]), strict=True)
    )
    found = {"clean": clean, "validation": clean, "attacks": {}}
    for attack in config.attacks:
        found["attacks"][attack.name] = curve(f"held/{attack.name}", attack.eps)
    if config.proof:
        found["proved"] = curve("proved", config.proof)
    if config.certificate:
        levels, radius = config.certificate["eps"], arrays["certified/rms"]
        beyond = {
            f"beyond/{eps:g}": np.where(np.isnan(radius), 255, radius > eps) for eps in levels
        }
        arrays = {**arrays, **beyond}
        found["certified"] = curve("beyond", levels)
    if config.boundary:
        found["boundary"] = {}
    return found


def install(experiment, set_attribute, **changes):
    """Let the suites of an experiment plan their networks with `changes`, for what is written."""
    plans = {
        pair: [(replace(config, **changes), seeds) for config, seeds in suites.plan(*pair)]
        for pair in suites.known(experiment)
    }
    made = {pair: lambda plan=plan: plan for pair, plan in plans.items()}
    set_attribute(suites, "SUITES", {**suites.SUITES, **made})


def planned(experiment, profile, label):
    """The config of that label as its suite plans it."""
    return next(c for c, _ in suites.plan(experiment, profile) if c.label == label)


def write(root, label, *, profile="paper", **given):
    """Write a record of paper B's config with that label; `given` as `write_record` takes it."""
    return write_record(root, planned("paper-b", profile, label), **given)


def write_record(
    root, config, *, seed=0, fingerprint="f0", shares=(1, 1, 1), clean=1.0, flags=None
):
    """Write a record: under every attack `shares` of each class hold at the three levels.

    `flags` replaces single arrays, by name such as "held/sap/0.1".
    """
    folder = root / run_key(config, seed, fingerprint)
    folder.mkdir(parents=True)
    right = held(clean)
    arrays = {"id": np.arange(len(LABELS)), "label": LABELS.astype(np.uint8)}
    arrays["prediction"] = np.where(right, LABELS, (LABELS + 1) % 3).astype(np.uint8)
    for attack in ATTACKS:
        for eps, share in zip(LEVELS, shares, strict=True):
            arrays[f"held/{attack.name}/{eps:g}"] = np.minimum(held(share), right)
    for eps in config.proof:
        arrays[f"proved/{eps:g}"] = np.zeros(len(LABELS), np.uint8)
    arrays |= flags or {}
    arrays["logits"] = np.zeros((len(LABELS), 3), np.float16)
    np.savez(folder / "examples.npz", **arrays)
    (folder / "metrics.json").write_text(json.dumps(numbers(config, arrays)))
    run = {
        "config": as_dict(config),
        "seed": seed,
        "command": f"ecgadv run {config.experiment}",
        **MADE,
        "data": {
            "name": config.dataset,
            "fingerprint": fingerprint,
            "labels": "1",
            "classes": ["N", "S", "V"],
        },
        "seconds": 2.0,
        "training": {
            "seeds_together": [seed],
            "seconds": 10.0,
            "history": [{"loss": 2.0}, {"loss": 1.0}],
        },
    }
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def results(root, profile="paper"):
    """The results of the records in `root`, all of them local."""
    return load([Store(root), Store(root / "released")], "paper-b", profile)
