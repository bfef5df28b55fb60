"""Tidy tables of results: one row an estimate, a paired difference, or an example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments import suites
from ecgadv.experiments.store import Record, Store, find, folders_at_hand, stores_at_hand
from ecgadv.results import smoothed
from ecgadv.results.kept import Kept
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.records import load
from ecgadv.results.result import Result
from ecgadv.results.rows import (
    ALL,
    BALANCED,
    CERTIFIED,
    CLEAN,
    IDENTITY,
    NATURAL,
    NUMBERS,
    ORIGIN,
    PROVED,
    Rows,
    numbers,
    of_network,
    of_result,
    origin,
    under_attack,
)

if TYPE_CHECKING:
    from pandas import DataFrame


def estimates(stores: Sequence[Store] | None = None, **wanted: Any) -> DataFrame:
    """Return every estimate of the records at hand, a mean over seeds, with both 95 % intervals.

    Args:
        stores: where records are; the local `runs` and the released ones if None. The first store
            with a key wins.
        wanted: what to keep, by column: `profile="paper"`, `attack=["pgd-100", "worst-case"]`.
            Only what is asked for is computed.

    Returns:
        One row for each of the columns of IDENTITY. `strength` is NaN without one; `attack` is
        "none" without an attack, "proved" for the bound and "certified" for that of the smoothed
        network; `eps` is in `unit`, 0 without an attack, and NaN for "auc" and "acc_robust", paper
        B's summaries up to 0.1; at eps 0 of an attack stands the accuracy without it on the
        examples that it saw, and at eps 0 of "certified" that of the smoothed network; `masked`
        says whether the padding was left alone; `class` is "all" but for "sensitivity". Beside
        them the defense in words, `name`; `value`, the ends `t_low`, `t_high` of Student's interval
        over seeds (NaN for one) and `low`, `high` of the two-level bootstrap (of Wilson's interval
        for shares of few examples), `n` examples, `seeds` and the `keys` of the records, both
        joined by blanks. Values are fractions, the "median_distance" of the boundary attack is in
        `unit`.

    Raises:
        EcgadvError: there is no such column.
    """
    from pandas import DataFrame

    _check(wanted, IDENTITY)
    rows = []
    for result in _results(stores, wanted):
        found = ((row, make) for row, make in of_result(result) if _fits(row, wanted))
        rows += _computed("estimates", found, [result])
    return DataFrame(rows, columns=[*IDENTITY, "name", *NUMBERS, *ORIGIN])


def differences(
    stores: Sequence[Store] | None = None, *, reference: str = "ce", **wanted: Any
) -> DataFrame:
    """Return each defense minus a reference on the same examples and seeds, with both intervals.

    Args:
        stores: as in `estimates`.
        reference: a defense with its strength, as labels name it: "ce" is the undefended network.
        wanted: as in `estimates`.

    Returns:
        The columns of `estimates`, those of IDENTITY being the defense's, and `reference`. A pair
        is compared within its experiment, profile, data set, split, network and variant, where
        both were attacked in the same way. Metrics are "accuracy" and "auc".
    """
    from pandas import DataFrame

    _check(wanted, IDENTITY)
    every = list(_results(stores, wanted | {"defense": None, "strength": None}))
    others = {_family(r): r for r in every if r.defense == reference}
    rows = []
    for result in every:
        other = others.get(_family(result))
        if other is None or other is result or not shared_seeds(result, other):
            continue
        found = ((row, make) for row, make in _differences(result, other) if _fits(row, wanted))
        rows += [
            {**row, "reference": reference}
            for row in _computed("differences", found, [result, other])
        ]
    return DataFrame(rows, columns=[*IDENTITY, "name", *NUMBERS, "reference", *ORIGIN])


def compared(
    pairs: Mapping[str, tuple[Result, Result]],
    attacks: Mapping[str, float],
    *,
    balanced: bool = True,
) -> DataFrame:
    """Return the first network of each pair minus the second, with the columns of `differences`.

    Args:
        pairs: what a pair shows, in words, which stand as `name`, to its two results.
        attacks: names with the level at which each is compared; "none" at 0 is no attack.
        balanced: average the classes equally.
    """
    from pandas import DataFrame

    weighting = BALANCED if balanced else NATURAL
    rows = []
    for said, (a, b) in pairs.items():
        for attack, eps in attacks.items():
            about = {"attack": attack, "eps": eps, "metric": "accuracy", "weighting": weighting}
            gap = difference(a, b, attack, eps=eps, balanced=balanced)
            shared = {"reference": b.defense, **origin([a, b])}
            own = {**of_network(a), "name": said, **about, "class": ALL}
            rows.append({**own, **numbers(gap), **shared})
    return DataFrame(rows, columns=[*IDENTITY, "name", *NUMBERS, "reference", *ORIGIN])


def examples(record: Record | str | Path, **wanted: Any) -> DataFrame:
    """Return one row for each example, attack and eps of one record.

    Args:
        record: a Record, its key or its folder.
        wanted: which attacks or noise levels to keep: `attack="sap"`, `eps=[0.0, 0.1]`.

    Returns:
        `id` in the data set, `record` (the recording), `label`, `prediction` without an attack,
        `attack`, `eps`, and `held`: 1.0, 0.0, or NaN where the example was not attacked. Attacks
        are called as in `estimates`: "none" at eps 0, the worst cases, "proved" for the bound, and
        "certified" for the smoothed network's, at eps 0 whether it reads the label.

    Raises:
        EcgadvError: no such record, or no such column to choose by.
    """
    from pandas import DataFrame, concat

    _check(wanted, ("attack", "eps"))
    if not isinstance(record, Record):
        record = find(str(record), folders_at_hand())
    net, arrays = Result((record,)), record.examples()
    classes = np.array(net.classes)
    shared = {"id": arrays["id"], "record": arrays.get("record", "")}
    shared |= {name: classes[arrays[name]] for name in ("label", "prediction")}
    parts = [DataFrame({**shared, "attack": "", "eps": np.nan, "held": np.nan})[:0]]
    bounds = {PROVED: net.proof, CERTIFIED: smoothed.levels(net)}
    flags = {PROVED: net.proved, CERTIFIED: partial(smoothed.certified, net)}
    for attack, levels in {CLEAN: [0.0], **net.attacks, **bounds}.items():
        for eps in levels:
            if _fits({"attack": attack, "eps": eps}, wanted):
                values = flags.get(attack, partial(net.held, attack))(eps)[0]
                held = np.where(values == NOT_ATTACKED, np.nan, values)
                parts.append(DataFrame({**shared, "attack": attack, "eps": eps, "held": held}))
    return concat(parts, ignore_index=True)


def _check(wanted: dict, columns: Iterable[str]) -> None:
    odd = [name for name in wanted if name not in columns]
    if odd:
        raise EcgadvError(f"no column {odd[0]!r}; choose among {', '.join(columns)}")


def _results(stores: Sequence[Store] | None, wanted: dict) -> Iterator[Result]:
    """Yield the results of all suites that may have what is wanted."""
    stores = stores_at_hand(stores)
    for experiment, profile in suites.known():
        if _fits({"experiment": experiment, "profile": profile}, wanted):
            for result in load(stores, experiment, profile).all:
                if _fits(of_network(result), wanted):
                    yield result


def _fits(row: dict, wanted: dict) -> bool:
    """Say whether a row, perhaps still without some columns, has what is wanted."""
    for name, value in wanted.items():
        if value is not None and name in row:
            allowed = (
                [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
            )
            if row[name] not in allowed:
                return False
    return True


def _family(result: Result) -> tuple:
    """Return what two networks must share to be compared."""
    own = of_network(result)
    return tuple(
        value for name, value in own.items() if name not in ("defense", "strength", "name")
    )


def _differences(result: Result, other: Result) -> Iterator[tuple[dict, Any]]:
    for row, attack, eps, balanced in under_attack(result):
        if row["metric"] == "acc_robust" or (attack != CLEAN and eps == 0):
            continue
        if attack != CLEAN and other.attacks.get(attack) != result.attacks[attack]:
            continue
        yield (
            row,
            lambda a=attack, e=eps, b=balanced: difference(result, other, a, eps=e, balanced=b),
        )


def _computed(kind: str, rows: Rows, results: Sequence[Result]) -> list[dict]:
    """Return the rows with their numbers, computed or kept, and with the records behind them."""
    kept = Kept(kind, [record for result in results for record in result.records])
    shared, found = origin(results), []
    for row, make in rows:
        name = " ".join(str(row[column]) for column in IDENTITY)
        told = kept.get(name, lambda make=make: numbers(make()))
        found.append({**row, **told, **shared})
    kept.save()
    return found
