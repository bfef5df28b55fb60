"""What the oddities of paper B's code change, as far as its records tell."""

import numpy as np

from ecgadv.evaluation.intervals import Interval
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments.suites.paper_b import defenses_of
from ecgadv.pages.effects import Effect, figure
from ecgadv.results.estimate import Estimate
from ecgadv.results.names import attack_name
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.records import Results
from ecgadv.results.result import AUTO, WORST, Result

ROWS = tuple(f"B{number}" for number in range(1, 21))
SHOWN_EPS = 0.1  # paper B sums its curves up to here
SHORT = {"cross-entropy": "ce", "adversarial": "at"}
AUTHORS, CLIPPED, OURS = "pgd-100", "pgd-100-clipped", "pgd-margin"
CHAPTER = "{doc}`/notebooks/does-nsr-hold`"


def effects(results: Results, network: str = "mlp") -> list[Effect]:
    """Return what the records of a network say of the rows of PROTOCOLS 3.7."""
    beatwise = chosen(results, network)
    found = []
    for result in filter(None, beatwise.values()):
        found += _stronger(result) + _natural(result) + _clipped(result)
    corrected = chosen(results, network, variant="corrected")
    people = chosen(results, network, split="interpatient")
    for defense, plain in beatwise.items():
        if plain:
            found += _corrected(plain, corrected[defense])
            found += _new_people(plain, people[defense])
    return found


def _stronger(result: Result) -> list[Effect]:
    """Return accuracy under the authors' PGD minus that under ours, row B2."""
    if not {AUTHORS, OURS} <= set(result.own_attacks):
        return []
    rows = np.stack([result.held(attack, SHOWN_EPS) for attack in (AUTHORS, OURS)], axis=1)
    gap = result.estimate(rows, lambda v: v[..., 0] - v[..., 1])
    compared = f"{attack_name(AUTHORS, 'paper-b')} minus {attack_name(OURS, 'paper-b')}"
    return [Effect("B2", compared, f"{result.name}, {_at()}", gap, figure("fig-b-strong"))]


def _clipped(result: Result) -> list[Effect]:
    """Return accuracy with the start of the authors' PGD clipped minus theirs, row B20."""
    if not {AUTHORS, CLIPPED} <= set(result.own_attacks):
        return []
    found = []
    for eps in (0.03, 0.05):
        if eps not in result.own_attacks[CLIPPED]:
            continue
        rows = np.stack([result.held(attack, eps) for attack in (CLIPPED, AUTHORS)], axis=1)
        gap = result.estimate(rows, lambda v: v[..., 0] - v[..., 1])
        compared = "random start clipped to [0, 1] minus the authors'"
        measure = f"{result.name}, {attack_name(AUTHORS, 'paper-b')}, eps {eps:g}"
        found.append(Effect("B20", compared, measure, gap, CHAPTER))
    return found


def _natural(result: Result) -> list[Effect]:
    """Return natural minus class-balanced accuracy, row B3."""
    found = []
    for attack, eps in ((WORST, 0.0), (AUTHORS, SHOWN_EPS)):
        measure = f"{result.name}, {_measure(attack, eps)}"
        gap = balance(result, result.held(attack, eps))
        found.append(Effect("B3", "natural minus class-balanced accuracy", measure, gap, CHAPTER))
    return found


def balance(result: Result, held: np.ndarray) -> Estimate:
    """Return natural minus class-balanced accuracy of flags (S, N), on the same examples."""
    k = len(result.classes)
    shares = np.bincount(result.y, minlength=k) / len(result.y)
    present = shares > 0
    # Flags with all other classes set to 0: their balanced accuracy is that of one class over the
    # number of classes, so that both means are sums of such rows.
    rows = [
        np.where((result.y == c) | (held == NOT_ATTACKED), held, 0) for c in np.flatnonzero(present)
    ]
    factors = shares[present] * present.sum() - 1
    return result.estimate(np.stack(rows, axis=1), lambda v: (v * factors).sum(axis=-1))


def _corrected(plain: Result, other: Result | None) -> list[Effect]:
    """Return the corrected protocol minus the authors', rows B4, B5 and B14 at once."""
    if other is None or not shared_seeds(other, plain):
        return []
    return [
        Effect(
            "B4",
            "corrected minus the authors' (with B5 and B14)",
            f"{plain.name}, {_measure(attack, eps)}",
            difference(other, plain, attack, eps=eps),
            figure("fig-b-variants"),
        )
        for attack, eps in ((WORST, 0.0), (AUTHORS, SHOWN_EPS), (AUTO, SHOWN_EPS))
    ]


def _new_people(known: Result, new: Result | None) -> list[Effect]:
    """Return accuracy on beats of known people minus that on beats of new ones, row B17."""
    if new is None:
        return []
    compared = "beatwise minus interpatient, on other beats"
    if new.patients is not None:
        compared += " (there the bootstrap draws patients)"
    return [
        Effect(
            "B17",
            compared,
            f"{known.name}, {_measure(attack, eps)}",
            apart(known.accuracy(attack, eps), new.accuracy(attack, eps)),
            figure("fig-b-interpatient"),
        )
        for attack, eps in ((WORST, 0.0), (AUTHORS, SHOWN_EPS))
    ]


def apart(a: Estimate, b: Estimate) -> Estimate:
    """Return a minus b for independent estimates: their distances to each end, squared and added.

    The method of variance estimates recovery: Zou and Donner, Statistics in Medicine 27 (2008)
    1693.
    """

    def joined(one: Interval, other: Interval) -> Interval:
        gap = one.estimate - other.estimate
        low = gap - np.hypot(one.estimate - one.low, other.high - other.estimate)
        high = gap + np.hypot(one.high - one.estimate, other.estimate - other.low)
        n = None
        if one.n_examples and other.n_examples:
            n = min(one.n_examples, other.n_examples)
        seeds = min(one.n_seeds, other.n_seeds)
        return Interval(gap, float(low), float(high), one.level, seeds, n)

    return Estimate(joined(a.seeds, b.seeds), joined(a.both, b.both))


def _measure(attack: str, eps: float) -> str:
    return f"{attack_name(attack, 'paper-b')}, {_at()}" if eps else "without an attack"


def _at() -> str:
    return f"eps {SHOWN_EPS:g}"


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


def _said(attack: str) -> str:
    return attack_name(attack, "paper-b")
