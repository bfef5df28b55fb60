"""Which runs there are: where each comes from, on what it was made, and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ecgadv.experiments.store import Record, Store, stores_at_hand
from ecgadv.results.records import current, names

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("key", "experiment", "profile", "config", "seed", "dataset", "labels", "fingerprint")
COLUMNS += ("commit", "dirty", "training_seconds", "attack_seconds", "untimed", "device")
COLUMNS += ("threads", "torch", "weights")


def runs(stores: Sequence[Store] | None = None) -> DataFrame:
    """Return one row for each record of what the suites plan now.

    Args:
        stores: as in `estimates`.

    Returns:
        The record's `key`; `experiment`, `profile`, `config` (the label,
        split/network/defense/variant) and `seed`; of the data `dataset`, the version of its
        `labels` and its `fingerprint`; the `commit` that it was made at, and whether the code had
        changes beside it, `dirty`; `training_seconds` and `attack_seconds`, and whether these
        leave out attacks of which nobody knows what they took, `untimed`; `device`, `threads` and
        the version of `torch`; and whether it has its `weights`. Ordered by experiment, profile,
        config and seed.
    """
    from pandas import DataFrame

    stores = reversed(stores_at_hand(stores))
    found = {r.key: r for store in stores for r in store.records()}  # the first wins
    rows = DataFrame(map(_row, current(found.values())), columns=COLUMNS)
    return rows.sort_values(["experiment", "profile", "config", "seed"], ignore_index=True)


def _row(record: Record) -> dict[str, Any]:
    made, about = record.run, record.run["data"]
    return {
        "key": record.key,
        **dict(zip(("experiment", "profile", "config"), names(record), strict=True)),
        "seed": record.seed,
        "dataset": about["name"],
        "labels": about.get("labels"),
        "fingerprint": about["fingerprint"],
        "commit": made["commit"],
        "dirty": made["dirty"],
        "training_seconds": made["training"]["seconds"],
        "attack_seconds": record.attack_seconds,
        "untimed": record.untimed,
        "device": made["device"],
        "threads": made.get("threads"),
        "torch": made["versions"]["torch"],
        "weights": record.weights.exists(),
    }
