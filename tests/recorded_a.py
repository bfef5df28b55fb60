"""Records of paper A written by hand, whose flags are known, for the tests of its chapter."""

import json

import numpy as np
import recorded

from ecgadv.experiments import suites
from ecgadv.experiments.config import as_dict, run_key
from ecgadv.experiments.store import Store
from ecgadv.results.records import load

LABELS = np.repeat([0, 1, 2, 3], [20, 6, 10, 4]).astype(np.uint8)
CLASSES = ["N", "AF", "O", "~"]
PLAN = {c.label.split("/", 2)[2]: c for c, _ in suites.plan("paper-a", "compact")}
PAIRS = 6


def held(share):
    return recorded.held(share, LABELS)


def read(flags):
    """The classes read: where a flag is 0 the next class."""
    return np.where(flags == 1, LABELS, (LABELS + 1) % 4).astype(np.uint8)


def write(root, name, *, seed=0, share=0.5, clean=1.0, distance=5.0, withstood=3, **arrays):
    """Write the record of a config of the compact profile, such as "adt-1/faithful".

    `share` of each class holds under every attack; `withstood` of the transferred pairs are read
    right, the last is skipped; `arrays` replaces single ones, "/" written as "__".
    """
    config = PLAN[name]
    folder = root / run_key(config, seed, "f0")
    folder.mkdir(parents=True)
    right = held(clean)
    found = {"id": np.arange(len(LABELS)), "label": LABELS, "prediction": read(right)}
    for attack in config.attacks:
        for eps in attack.eps:
            flags = np.minimum(held(share), right)
            found[f"held/{attack.name}/{eps:g}"] = flags
            found[f"predicted/{attack.name}/{eps:g}"] = read(flags)
    transfer = np.where(np.arange(PAIRS) < withstood, 0, 1).astype(np.uint8)
    transfer[-1] = 255
    away = distance * np.arange(1, PAIRS + 1, dtype=np.float32)
    away[-1] = np.nan
    walks = {
        "original": np.zeros(PAIRS, int),
        "start": np.full(PAIRS, 20),
        "distance": away,
        "queries": np.arange(PAIRS),
        "transfer": transfer,
        "transfer-distance": away,
    }
    found |= {f"boundary/{key}": values for key, values in walks.items()}
    found |= {k.replace("__", "/"): v for k, v in arrays.items()}
    found["logits"] = np.zeros((len(LABELS), len(CLASSES)), np.float16)
    np.savez(folder / "examples.npz", **found)
    (folder / "metrics.json").write_text(json.dumps(recorded.numbers(config, found)))
    run = {
        "config": as_dict(config),
        "seed": seed,
        "command": "ecgadv run paper-a",
        **recorded.MADE,
        "data": {
            "name": "challenge-2017",
            "fingerprint": "f0",
            "labels": "v3",
            "unit": "uV",
            "classes": CLASSES,
        },
        "builds_on": {
            role: {"label": other.label, "training": "t"}
            for role, other in config.builds_on().items()
        },
        "seconds": 60.0,
        "training": {
            "seeds_together": [seed],
            "seconds": 120.0,
            "history": [{"loss": 2.0}, {"loss": 1.0}],
        },
    }
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def results(root):
    """The results of the records in `root`, all of them local."""
    return load([Store(root), Store(root / "released")], "paper-a", "compact")


def some_networks(root):
    """Five networks with two seeds; the others were not run."""
    for seed in range(2):
        write(root, "ce/faithful", seed=seed, share=0)
        write(root, "at-10/faithful", seed=seed, share=0.5)
        write(root, "adt-1/faithful", seed=seed, share=1, distance=10, withstood=5)
        write(root, "adt-1/eval-labels", seed=seed, share=0.5)
        write(root, "adt-5/ours", seed=seed, share=0.5)
    return {(r.defense, r.variant): r for r in results(root).all}


def rows(table):
    """The rows of a table."""
    return list(zip(*table.columns.values(), strict=True))
