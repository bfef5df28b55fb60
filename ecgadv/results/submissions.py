"""Submissions against released networks, as `ecgadv check --out` wrote them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ecgadv.experiments.released import name_of
from ecgadv.experiments.store import released_folder
from ecgadv.experiments.submission import Verdict, record_of
from ecgadv.repository import place

if TYPE_CHECKING:
    from pandas import DataFrame

FOLDER = "book/submissions"


def submissions(folder: Path | str = FOLDER) -> DataFrame:
    """Return every submission that was checked, a row each, network by network.

    Args:
        folder: of the JSON files; a relative one is of the repository.

    Returns:
        `network` and `seed` of the record, then the fields of a `Verdict`. Of one network and level
        the submission that leaves least comes first.

    Raises:
        EcgadvError: a file is no verdict, or its record is not released.
    """
    from pandas import DataFrame

    rows = []
    for path in sorted(place(folder).glob("*.json")):
        verdict = Verdict.load(path)
        record = record_of(verdict, [released_folder()])
        rows.append({"network": name_of(record), "seed": record.seed, **asdict(verdict)})
    columns = ["network", "seed", *Verdict.__dataclass_fields__]
    found = DataFrame(rows, columns=columns)
    return found.sort_values(["network", "seed", "eps", "after"], ignore_index=True)
