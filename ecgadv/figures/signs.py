"""Signs of failed attacks as a table: one row each, one column a network."""

from collections.abc import Sequence

from ecgadv.claims import NOT_RUN
from ecgadv.figures.tables import Table
from ecgadv.results.signs import Sign


def table(found: Sequence[Sign]) -> Table:
    """Return the indicators, one row each, one column a defense, the failed ones in bold."""
    if not found:
        return Table({"indicator": [NOT_RUN]})
    results = {sign.result.label: sign.result.name for sign in found}
    rows: dict[str, dict[str, Sign]] = {}
    for sign in found:
        rows.setdefault(sign.indicator.name, {})[sign.result.label] = sign
    first = [next(iter(cells.values())) for cells in rows.values()]
    columns = {
        "indicator": list(rows),
        "largest that passes, %": [f"{100 * s.indicator.threshold:g}" for s in first],
        "must hold": [_duty(list(cells.values())) for cells in rows.values()],
    }
    for label, name in results.items():
        columns[name] = [_cell(cells.get(label)) for cells in rows.values()]
    return Table(columns)


def _duty(signs: Sequence[Sign]) -> str:
    duties = {sign.must_hold for sign in signs}
    return {True: "yes", False: "no"}[duties.pop()] if len(duties) == 1 else "if undefended"


def _cell(sign: Sign | None) -> str:
    if sign is None:
        return ""
    text = f"{100 * sign.indicator.value:.2f}"
    return f"**{text}**" if sign.failed else text
