"""Which strength of a defense to take: chosen on the validation part, by a rule written before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ecgadv.errors import EcgadvError

if TYPE_CHECKING:
    from pandas import DataFrame


def chosen(frame: DataFrame, planned: Mapping[str, Sequence[float]]) -> DataFrame:
    """Return the score of every strength, and which one the rule takes.

    The rule: of each defense's strengths that with the largest accuracy, averaged over no attack
    and all noise levels; of equal ones the smallest. It is applied once all strengths were run.

    Args:
        frame: rows of `estimates` of one attack, with those at eps 0, of one metric.
        planned: defense to the strengths that the rule compares.

    Returns:
        One row a defense and strength, with `defense`, `strength`, `name`, `score`, `keys`, and
        `chosen`, which is None until all strengths of the defense have their score.

    Raises:
        EcgadvError: the rows are of several attacks or seeds, or lack a noise level.
    """
    one_each = frame.groupby(["defense", "strength"], dropna=False).eps
    if frame.attack.nunique() > 1 or frame.seeds.nunique() > 1 or one_each.nunique().nunique() > 1:
        raise EcgadvError(
            "a strength is chosen by one attack, the same seeds and noise levels for all: leave "
            "other rows out"
        )
    about = frame[frame.defense.isin(planned)]
    columns = ["defense", "strength", "name", "keys"]
    table = about.groupby(columns, sort=False).value.mean().rename("score").reset_index()
    table["chosen"] = None
    for defense, rows in table.groupby("defense"):
        if set(rows.strength) >= set(planned[defense]):
            best = rows.sort_values(["score", "strength"], ascending=[False, True]).index[0]
            table.loc[rows.index, "chosen"] = rows.index == best
    return table
