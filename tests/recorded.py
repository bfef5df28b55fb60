"""Records written by hand, whose flags are known, for the tests of what pages say of them."""

import json

import numpy as np

from ecgadv.experiments.store import Store
from ecgadv.pages.results import load

LEVELS = (0.01, 0.05, 0.1)
OPTIONS = {
    "noise": {},
    "pgd-100": {"steps": 7, "step_size": 0.01},
    "sap": {"pgd_steps": 3, "smooth_steps": 4, "step_size": 0.01},
    "pgd-margin": {"steps": 7, "relative_step": 0.1, "restarts": 2},
    "apgd-t": {"steps": 7, "targets": 2, "restarts": 3},
}
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


def write(root, label, *, seed=0, shares=(1, 1, 1), clean=1.0, flags=None, **changes):
    """Write a record: under every attack `shares` of each class hold at the three levels.

    `flags` replaces single arrays, by name such as "held/sap/0.1".
    """
    key = f"{label.replace('/', '-')}-{seed}-{changes.get('profile', 'paper')}"
    folder = root / key
    folder.mkdir(parents=True)
    right = held(clean)
    arrays = {"id": np.arange(len(LABELS)), "label": LABELS.astype(np.uint8)}
    arrays["prediction"] = np.where(right, LABELS, (LABELS + 1) % 3).astype(np.uint8)
    for name in OPTIONS:
        for eps, share in zip(LEVELS, shares, strict=True):
            arrays[f"held/{name}/{eps:g}"] = np.minimum(held(share), right)
    arrays |= flags or {}
    np.savez(folder / "examples.npz", **arrays)
    attacks = [
        {"name": n, "eps": list(LEVELS), "options": OPTIONS[n], "bounded": n != "sap"}
        for n in OPTIONS
    ]
    config = {
        "experiment": "paper-b",
        "profile": "paper",
        "label": label,
        "dataset": "mitdb",
        "attacks": attacks,
        "differs": ["a difference"],
    }
    run = {
        "config": config | changes,
        "seed": seed,
        "command": "ecgadv run paper-b",
        **MADE,
        "data": {"name": "mitdb", "fingerprint": "f0", "labels": "1", "classes": ["N", "S", "V"]},
        "seconds": 2.0,
        "training": {"seconds": 10.0, "history": [{"loss": 2.0}, {"loss": 1.0}]},
    }
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def results(root, profile="paper"):
    """The results of the records in `root`, all of them local."""
    return load([Store(root), Store(root / "released")], "paper-b", profile)
