"""Tables for the pages: columns in, MyST markdown out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecgadv.claims import NOT_RUN, NOT_TRANSCRIBED
from ecgadv.errors import EcgadvError

# Cells that say that there is no number; they leave a column of numbers to the right.
TOO_FEW = "too few"
NO_NUMBER = (None, "", "-", TOO_FEW, NOT_RUN, NOT_TRANSCRIBED)
_NUMBER = re.compile(r"[*<]*\s*[+-]?[\d,]*\.?\d+( %)?[*]*")


@dataclass(frozen=True)
class Table:
    """Named columns of equal length; a notebook cell that returns one shows it as a table.

    Args:
        columns: heading to cells; a float is printed with `digits` decimals, an integer with
            commas, None as an empty cell, anything else as it is (MyST markdown). Without cells
            there is one row, which says "not run".
        digits: decimals of floats.
    """

    columns: Mapping[str, Sequence[Any]]
    digits: int = 3

    def __post_init__(self) -> None:
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise EcgadvError(f"table with columns of lengths {lengths}: give them one length")

    def _repr_markdown_(self) -> str:
        """Return the table in markdown; numbers stand to the right."""
        right = [self._numeric(cells) for cells in self.columns.values()]
        rows = list(zip(*self.columns.values(), strict=True))
        rows = rows or [[NOT_RUN, *[""] * (len(self.columns) - 1)]]
        lines = [list(self.columns), ["--:" if numeric else "---" for numeric in right]]
        lines += [[self._text(cell) for cell in row] for row in rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def _text(self, cell: Any) -> str:
        if cell is None:
            return ""
        if isinstance(cell, float):
            return f"{cell:.{self.digits}f}"
        return f"{cell:,}" if isinstance(cell, int) else str(cell)

    @staticmethod
    def _numeric(cells: Sequence[Any]) -> bool:
        """Return whether a column holds numbers, as such or as text, beside words for none."""
        told = [cell for cell in cells if cell not in NO_NUMBER]
        numbers = [isinstance(cell, int | float) or bool(_NUMBER.fullmatch(cell)) for cell in told]
        return all(numbers) and (bool(told) or None in cells)
