"""The rows of tables: what each is about, how its number is computed, and where it comes from."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ecgadv.evaluation import scores
from ecgadv.evaluation.scores import Share
from ecgadv.results import smoothed, walks
from ecgadv.results.estimate import Estimate
from ecgadv.results.result import AREA_TO, Result

CLEAN = "none"  # the attack of an estimate without one
PROVED = "proved"  # in the place of an attack: a lower bound of what any attack leaves
CERTIFIED = "certified"  # likewise, of the smoothed network
NATURAL, BALANCED = "natural", "class-balanced"
ALL = "all"  # in the place of a class
IDENTITY = (
    *("experiment", "profile", "dataset", "split", "network", "defense", "strength", "variant"),
    *("attack", "eps", "unit", "masked", "metric", "weighting", "class"),
)
NUMBERS = ("value", "t_low", "t_high", "low", "high", "n")
ORIGIN = ("seeds", "keys")
Found = Estimate | Share
Rows = Iterator[tuple[dict[str, Any], Callable[[], Found]]]


def numbers(found: Found) -> dict[str, float]:
    """Return the columns of NUMBERS."""
    if isinstance(found, Estimate):
        ends = (found.seeds.low, found.seeds.high, found.both.low, found.both.high)
        values = (found.value, *ends, found.both.n_examples)
    else:
        values = (found.value, np.nan, np.nan, found.low, found.high, found.n)
    return dict(zip(NUMBERS, values, strict=True))


def origin(results: Sequence[Result]) -> dict[str, str]:
    """Return the columns of ORIGIN: the seeds that all have, and the records of these."""
    seeds = sorted(set.intersection(*(set(result.seeds) for result in results)))
    keys = [record.key for result in results for record in result.records if record.seed in seeds]
    return {"seeds": " ".join(map(str, seeds)), "keys": " ".join(keys)}


def of_network(result: Result) -> dict[str, Any]:
    """Return the columns of IDENTITY that say which network it is, and its name."""
    kind, _, strength = result.defense.partition("-")
    return {
        "experiment": result.experiment,
        "profile": result.profile,
        "dataset": result.config["dataset"],
        "split": result.split,
        "network": result.network,
        "defense": kind,
        "strength": float(strength) if strength else np.nan,
        "variant": result.variant,
        "unit": result.unit,
        "name": result.name,
    }


def under_attack(result: Result) -> Iterator[tuple[dict, str, float | None, bool]]:
    """Yield (row, attack, eps, balanced) of each accuracy; eps None is the area up to 0.1.

    At eps 0 of an attack stands the accuracy without it on the examples that it saw.
    """
    masked = {a["name"]: a["masked"] for a in result.config["attacks"]}
    same = len(set(masked.values())) == 1 and next(iter(masked.values()))
    for attack, levels in {CLEAN: [], **result.attacks}.items():
        network = {**of_network(result), "attack": attack, "masked": masked.get(attack, same)}
        network["class"] = ALL
        for balanced in (False, True):
            weighting = {"weighting": BALANCED if balanced else NATURAL}
            for eps in (0.0, *levels):
                row = {**network, "eps": eps, "metric": "accuracy", **weighting}
                yield row, attack, eps, balanced
        if attack != CLEAN and AREA_TO in levels:  # paper B's summaries are class-balanced
            for metric in ("auc", "acc_robust"):
                row = {**network, "eps": np.nan, "metric": metric, "weighting": BALANCED}
                yield row, attack, None, True


def of_result(result: Result) -> Rows:
    """Yield each row with the function that computes its number."""
    for row, attack, eps, balanced in under_attack(result):
        if row["metric"] == "auc":
            yield row, lambda a=attack: result.area(a)
        elif row["metric"] == "acc_robust":
            yield row, lambda a=attack: result.acc_robust(a)
        elif eps == 0 and attack != CLEAN:
            yield row, lambda a=attack, b=balanced: result.accuracy_before(a, balanced=b)
        else:
            yield row, lambda a=attack, e=eps, b=balanced: result.accuracy(a, e, balanced=b)
    network = {**of_network(result), "masked": False, "class": ALL}
    for eps in result.proof:
        row = network | {"attack": PROVED, "eps": eps, "metric": "accuracy", "weighting": BALANCED}
        yield row, lambda e=eps: result.accuracy_proved(e)
    for eps in smoothed.levels(result):
        row = network | {"attack": CERTIFIED, "eps": eps, "masked": smoothed.masked(result)}
        row |= {"metric": "accuracy", "weighting": BALANCED}
        yield row, lambda e=eps: smoothed.accuracy(result, e)
    yield from _classes(result)
    yield from _f1(result)
    yield from _walks(result, network)


def _natural(result: Result) -> Iterator[tuple[dict, str, float]]:
    """Yield each row of natural accuracy with its attack and level, the clean one once."""
    for row, attack, eps, balanced in under_attack(result):
        if not balanced and row["metric"] == "accuracy" and (eps != 0 or attack == CLEAN):
            yield row, attack, eps


def _classes(result: Result) -> Rows:
    """Yield the share of each class that holds, with Wilson's interval: classes can be small."""
    for row, attack, eps in _natural(result):
        held = result.held(attack, eps)
        for c, name in enumerate(result.classes):
            own = row | {"metric": "sensitivity", "class": name}
            yield own, lambda h=held, c=c: scores.share(h[:, result.y == c])


def _f1(result: Result) -> Rows:
    """Yield macro-F1 over all classes, and over those that Han used, where classes were kept."""
    for row, attack, eps in _natural(result):
        if not result.has_predictions(attack, eps):
            continue
        for metric in ("macro_f1", "han_f1"):
            if metric == "macro_f1" or result.network == "han":
                own = row | {"metric": metric, "weighting": BALANCED}
                yield own, lambda a=attack, e=eps, m=metric: result.f1(a, e, han=m == "han_f1")


def _walks(result: Result, network: dict[str, Any]) -> Rows:
    """Yield what the boundary attack reached, where it was run."""
    if not walks.walked(result):
        return
    row = network | {"eps": np.nan, "weighting": NATURAL, "masked": True}
    near = row | {"attack": "boundary", "metric": "median_distance"}
    stood = row | {"attack": "transfer-boundary", "metric": "accuracy"}
    if (found := walks.median_distance(result)) is not None:
        yield near, lambda: Estimate(found, found)
    yield stood, lambda: walks.transferred(result)
