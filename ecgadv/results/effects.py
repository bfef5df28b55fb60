"""What single oddities of the authors' code change: the comparisons of oddities.yml, computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.evaluation.intervals import RESAMPLES, over_seeds, seed_interval
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments.scores import HAN_CLASSES
from ecgadv.experiments.store import Store, stores_at_hand
from ecgadv.results.estimate import Estimate
from ecgadv.results.paired import apart, difference
from ecgadv.results.records import Results, load
from ecgadv.results.result import Result
from ecgadv.results.rows import (
    ALL,
    BALANCED,
    IDENTITY,
    NATURAL,
    NUMBERS,
    ORIGIN,
    numbers,
    of_network,
    origin,
)

if TYPE_CHECKING:
    from pandas import DataFrame

NETWORK = ("network", "split", "defense", "variant")
Side = tuple[Result, str, float]  # a network, an attack and its level


def effects(
    listed: str | Path, experiment: str, profile: str, stores: Sequence[Store] | None = None
) -> DataFrame:
    """Return what each oddity changes, the first side minus the second.

    Args:
        listed: oddities.yml, which says what is compared.
        experiment, profile: as for `load`.
        stores: as in `estimates`.

    Returns:
        The columns of `differences`, those of IDENTITY being the first side's, with `oddity` (its
        name on the protocol page), `compared` (the two sides in words), `reference` (what the
        second has in the place of the first's, such as "attack sap-40") and `see`. An oddity that
        the records do not measure has one row without values.
    """
    import yaml
    from pandas import DataFrame

    about = yaml.safe_load(Path(listed).read_text(encoding="utf-8"))[experiment]
    results = load(stores_at_hand(stores), experiment, profile)
    rows = []
    for oddity, comparisons in about["rows"].items():
        own = [row for each in comparisons for row in _compared(results, each, about["weighting"])]
        rows += [{"oddity": oddity, **row} for row in own or [{}]]
    head = ("oddity", "compared", *IDENTITY, "name", *NUMBERS, "reference", *ORIGIN, "see")
    return DataFrame(rows, columns=head)


def _compared(results: Results, listed: Mapping, weighting: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one comparison, for each network and level that was run."""
    minus, (metric, first) = listed["minus"], ("accuracy", weighting)
    if "metric" in minus:
        metric, first = "macro_f1", BALANCED
    if "weighting" in minus:
        first = NATURAL
    for a, b in _pairs(results, listed["of"], minus):
        words = listed.get("words", "{first} minus {second}").format(first=a.name, second=b.name)
        shared = {
            **of_network(a),
            "metric": metric,
            "weighting": first,
            "class": ALL,
            "compared": words,
            "reference": ", ".join(f"{name} {value}" for name, value in minus.items()),
            "see": listed["see"],
            **origin([a] if a is b else [a, b]),
        }
        for attack, eps in _levels(listed["under"]):
            one, other = (a, attack, eps), (b, minus.get("attack", attack), minus.get("eps", eps))
            if all(_attacked(*side) for side in (one, other)):
                gap = _gap(one, other, minus, balanced=first == BALANCED)
                yield {**shared, "attack": attack, "eps": eps, **numbers(gap)}


def _levels(under: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield each attack with each of its levels."""
    for attack, levels in under.items():
        for eps in levels if isinstance(levels, list) else [levels]:
            yield attack, float(eps)


def _pairs(results: Results, of: Mapping, minus: Mapping) -> Iterator[tuple[Result, Result]]:
    """Yield each network with the one that it is compared with, perhaps itself."""
    changed = {name: value for name, value in minus.items() if name in NETWORK}
    for a in results.all:
        own = {name: getattr(a, name) for name in of}
        if all(own[n] in (v if isinstance(v, list) else [v]) for n, v in of.items()):
            b = results.one(**own | changed) if changed else a
            if b is not None and set(a.seeds) & set(b.seeds):
                yield a, b


def _attacked(result: Result, attack: str, eps: float) -> bool:
    return eps == 0 or eps in result.attacks.get(attack, [])


def _gap(one: Side, other: Side, minus: Mapping, *, balanced: bool) -> Estimate:
    """Return the first side minus the second."""
    a, attack, eps = one
    if "metric" in minus:
        return beyond_han(a, attack, eps)
    if "weighting" in minus:
        return unbalance(a, a.held(attack, eps))
    if "split" in minus:
        return apart(*(r.accuracy(name, at, balanced=balanced) for r, name, at in (one, other)))
    if other[0] is not a:
        return difference(a, other[0], attack, eps=eps, balanced=balanced)
    rows = np.stack([r.held(name, at) for r, name, at in (one, other)], axis=1)
    return a.estimate(rows, lambda v: v[..., 0] - v[..., 1], balanced=balanced)


def unbalance(result: Result, held: np.ndarray) -> Estimate:
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


def beyond_han(result: Result, attack: str, eps: float) -> Estimate:
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
    seeds = seed_interval(gaps[:, 0])
    return Estimate(seeds, over_seeds(gaps[:, 1:].T, seeds.estimate, int(common.sum()), rng))
