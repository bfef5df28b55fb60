"""What the chapter on paper B reads off its records: which networks, and how they rank."""

from collections.abc import Sequence

import numpy as np

from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments.suites.paper_b import defenses_of
from ecgadv.results.records import Results
from ecgadv.results.result import AUTO, IN_RANGE, WORST, Result

ATTACK_NAMES = {
    "noise": "white noise",
    "pgd-100": "authors' PGD",
    "sap": "SAP",
    "pgd-margin": "PGD, margin loss",
    "apgd-t": "Auto-PGD, margin",
    "apgd-dlr": "Auto-PGD, DLR",
    IN_RANGE: "worst case within [0, 1]",
    WORST: "worst case of all",
}
# With what has no column of its own in the tables of all attacks.
NAMES = {
    **ATTACK_NAMES,
    AUTO: "Auto-PGD with either loss",
    "pgd-100-clipped": "authors' PGD, start clipped",
    "spsa": "SPSA",
}
LOG = "log"  # the variant of that network
PROTOCOLS = ("faithful", "corrected")  # the variants that are put through all attacks
STRONGEST = AUTO  # what finds most without the help of the others
SHOWN_EPS = 0.1  # paper B sums its curves up to here
SHORT = {"cross-entropy": "ce", "adversarial": "at"}


def authors_defenses(network: str) -> list[str]:
    """Return paper B's defenses of a network at the authors' strengths, as labels name them."""
    return [
        SHORT.get(name, name) + ("" if strength is None else f"-{strength:g}")
        for name, strength in defenses_of(f"beat-{network}")
    ]


def chosen(
    results: Results, network: str, *, split: str = "beatwise", variant: str = "faithful"
) -> dict[str, Result | None]:
    """Return paper B's defenses of a network by label; None is not run."""
    where = {"network": network, "split": split, "variant": variant}
    return {d: results.one(**where, defense=d) for d in authors_defenses(network)}


def of_log(results: Results) -> Result | None:
    """Return the network of the authors' log under that log's attack, or None."""
    return results.one(split="beatwise", network="mlp", variant=LOG)


def area_on_common(result: Result, attack: str) -> float:
    """Return AUC(0.1), mean over seeds, on the examples that every attack saw."""
    levels, rows = result.area_rows(attack)
    seen = (result.held(WORST, levels[-1]) != NOT_ATTACKED).all(axis=0)
    kept = np.where(seen, rows, NOT_ATTACKED)
    k = len(result.classes)
    curves = [
        [metrics.robust_accuracy(row, result.y, k, balanced=True) for row in seed] for seed in kept
    ]
    return float(np.mean(metrics.auc(levels, np.array(curves))))


def ranks(values: Sequence[float]) -> list[int]:
    """Return the place of every value, 1 for the largest; equal ones share the better place."""
    return [1 + sum(other > value for other in values) for value in values]
