"""What the oddities of paper A's code change, as far as its records tell."""

from collections.abc import Mapping
from inspect import signature

import numpy as np

from ecgadv import attacks
from ecgadv.evaluation.intervals import Interval, seed_interval
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments import suites
from ecgadv.experiments.evaluate import HAN_CLASSES
from ecgadv.pages.effects import Effect, figure
from ecgadv.results.estimate import Estimate
from ecgadv.results.names import attack_name, level, rank
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.records import Results
from ecgadv.results.result import WORST, Result

ROWS = tuple(f"A{number}" for number in range(1, 23))
PLAIN, ADT = ("ce", "faithful"), ("adt-1", "faithful")
RESAMPLES, LEVEL = 2000, 0.95


Chosen = Mapping[tuple[str, str], Result | None]  # by defense and variant; None is not run
# What is compared with what, and what that shows; rows as in PROTOCOLS 2.7.
PAIRS = (
    (("adt-1", "faithful"), ("at-10", "faithful"), "distillation added"),
    (("adt-1", "eval-labels"), ("adt-1", "faithful"), "labels in eval mode, row A4"),
    (("adt-1", "eval-attack"), ("adt-1", "faithful"), "attack in eval mode, row A3"),
    (("adt-1", "selected-on-test"), ("adt-1", "faithful"), "epoch chosen on test part, row A7"),
    (("adt-1", "last-epoch"), ("adt-1", "faithful"), "last epoch, row A7"),
    (("ce", "selected-on-test"), ("ce", "faithful"), "undefended, epoch chosen on test part"),
    (("ce", "last-epoch"), ("ce", "faithful"), "undefended, last epoch"),
    (("initadt-1", "faithful"), ("adt-1", "faithful"), "attacks for teacher only, Init-ADT"),
    (("distadt-1", "faithful"), ("adt-1", "faithful"), "attacks for student only, Dist-ADT"),
    (("distillation-1", "faithful"), ("ce", "faithful"), "distillation, no attacks"),
    (("nsr-1", "rescaled"), ("nsr-1", "faithful"), "NSR per millivolt, row A17"),
)


def chosen(results: Results) -> Chosen:
    """Return every network of the profile's plan, and None for what was not run."""
    found = {(r.defense, r.variant): r for r in results.all}
    planned = [c.label.split("/")[2:] for c, _ in suites.plan("paper-a", results.profile)]
    order = sorted(map(tuple, planned), key=lambda which: rank(which[0], "paper-a"))
    return {which: found.get(which) for which in order}


def temperatures(every: Chosen) -> Chosen:
    """Return ADT at every temperature."""
    kept = ("faithful", "ours")
    return {w: r for w, r in every.items() if w[0].startswith("adt-") and w[1] in kept}


def effects(every: Chosen) -> list[Effect]:
    """Return what the records of a profile say of the rows of PROTOCOLS 2.7."""
    plain, adt = every.get(PLAIN), every.get(ADT)
    found = _switches(every)
    for result in filter(None, (every.get(("at-10", "faithful")), adt)):
        found += _transferred(result)
    if plain:
        # What is transferred to the network that it was made on is a white box without row A11.
        found += _attacks("A11", plain, "sap", "transfer-sap")
        found += _attacks("A9", plain, "transfer-sap", "sap-40")
        found += _f1_scores(plain)
    if adt:
        found += _attacks("A9", adt, "sap", "sap-40")
    return found


def _switches(every: Chosen) -> list[Effect]:
    """Return the differences of the networks that one row sets apart; A5 is the temperature."""
    found, plain = [], every.get(ADT)
    for said, a, b in paired(every):
        changed, _, row = said.rpartition(", row ")
        if changed:
            found += _networks(row, a, b, "fig-a-ablations")
    for which, other in temperatures(every).items():
        if plain and other and which != ADT and shared_seeds(other, plain):
            found += _networks("A5", other, plain, "fig-a-temperature")
    return found


def _networks(row: str, a: Result, b: Result, drawn: str) -> list[Effect]:
    """Return a minus b without an attack, under SAP and under PGD."""
    eps, found = _sap_level(a), []
    for attack, at in ((WORST, 0.0), ("sap", eps), ("pgd", eps)):
        gap = difference(a, b, attack, eps=at, balanced=False)
        compared = f"{a.name} minus {b.name}"
        found.append(Effect(row, compared, _measure(a, attack, at), gap, figure(drawn)))
    return found


def _transferred(result: Result) -> list[Effect]:
    """Return what PGD in the place of SAP changes when examples are transferred, row A8."""
    eps = _sap_level(result)
    levels = result.own_attacks.get("transfer-pgd", [])
    found = []
    for at in levels if "transfer-sap" in result.own_attacks else []:
        sides = ("transfer-pgd", at), ("transfer-sap", eps)
        compared = " minus ".join(f"{_said(name)} at {level(e, result.unit)}" for name, e in sides)
        gap = _gap(result, *sides)
        found.append(
            Effect("A8", compared, f"accuracy of {result.name}", gap, figure("fig-a-transfer"))
        )
    return found


def _attacks(row: str, result: Result, one: str, other: str) -> list[Effect]:
    """Return the accuracy under one attack minus that under another, with what sets them apart."""
    eps = _sap_level(result)
    if not {one, other} <= set(result.own_attacks):
        return []
    a, b = options_of(result, one), options_of(result, other)
    usual = signature(attacks.sap).parameters
    keys = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
    compared = "SAP with " + " minus SAP with ".join(
        ", ".join(f"`{key}` {options.get(key, usual[key].default)}" for key in keys)
        for options in (a, b)
    )
    measure = f"accuracy of {result.name}, {level(eps, result.unit)}"
    return [
        Effect(row, compared, measure, _gap(result, (one, eps), (other, eps)), figure("fig-a-sap"))
    ]


def _f1_scores(result: Result) -> list[Effect]:
    """Return macro-F1 over all classes minus Han's, without an attack and under SAP, row A19."""
    compared = "macro-F1 over all classes minus Han's F1, which leaves noise out"
    found = []
    for attack, eps in ((WORST, 0.0), ("sap", _sap_level(result))):
        gap, measure = _f1_gap(result, attack, eps), _measure(result, attack, eps)
        said = f"{result.name}, {measure}"
        found.append(Effect("A19", compared, said, gap, figure("fig-a-clean")))
    return found


def _f1_gap(result: Result, attack: str, eps: float) -> Estimate:
    """Return macro-F1 over all classes minus Han's, with a bootstrap of both at once."""
    predicted, y, k = result.read(attack, eps), result.y, len(result.classes)
    common = (predicted != NOT_ATTACKED).all(axis=0)
    every, rng, n_seeds = np.bincount(y, minlength=k), np.random.default_rng(0), len(predicted)
    # Shares of each true class that are read as each class, of all records (first) and resampled.
    read = np.zeros((n_seeds, 1 + RESAMPLES, k, k))
    for c in np.flatnonzero(every):
        members = predicted[:, common & (y == c)]
        n = members.shape[1]
        drawn = np.concatenate([np.arange(n)[None], rng.integers(n, size=(RESAMPLES, n))])
        for other in range(k):
            read[:, :, c, other] = (members == other)[:, drawn].mean(axis=-1)
    counts = read * every[:, None]
    f1 = 2 * np.diagonal(counts, axis1=2, axis2=3) / (counts.sum(axis=2) + counts.sum(axis=3))
    gaps = f1.mean(axis=-1) - f1[..., :HAN_CLASSES].mean(axis=-1)  # (S, 1 + R)
    shares = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=RESAMPLES) / n_seeds
    values = (gaps[:, 1:].T * shares).sum(axis=1)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    seeds = seed_interval(gaps[:, 0], level=LEVEL)
    both = Interval(seeds.estimate, low, high, LEVEL, n_seeds, int(common.sum()))
    return Estimate(seeds, both)


def _gap(result: Result, one: tuple[str, float], other: tuple[str, float]) -> Estimate:
    """Return a network's natural accuracy under one attack minus that under another."""
    rows = np.stack([result.held(attack, eps) for attack, eps in (one, other)], axis=1)
    return result.estimate(rows, lambda v: v[..., 0] - v[..., 1], balanced=False)


def _sap_level(result: Result) -> float:
    """Return the eps of SAP, at which all attacks can be compared."""
    return result.own_attacks["sap"][0]


def _said(attack: str) -> str:
    return attack_name(attack, "paper-a")


def _measure(result: Result, attack: str, eps: float) -> str:
    return f"{_said(attack)}, {level(eps, result.unit)}" if eps else "without an attack"


def paired(every: Chosen) -> list[tuple[str, Result, Result]]:
    """Return what is compared, in words, with the two results, for all pairs that were run."""
    pairs = [(said, every.get(a), every.get(b)) for a, b, said in (*PAIRS, _retuned(every))]
    return [
        (said, a, b)
        for said, a, b in pairs
        if a and b and set(a.seeds) & set(b.seeds) and np.array_equal(a.ids, b.ids)
    ]


def _retuned(every: Chosen) -> tuple:
    """Return the pair of Jacobian penalties, whose second weight depends on the profile."""
    ours = next((w for w in every if w[1] == "retuned"), ("jacobian", "retuned"))
    return ours, ("jacobian-44", "faithful"), "Jacobian re-tuned, row A15"


def options_of(result: Result, attack: str) -> dict:
    """Return the settings of an attack as the record holds them."""
    return {a["name"]: a["options"] for a in result.config["attacks"]}[attack]
