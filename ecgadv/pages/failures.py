"""Attack-failure indicators of records: which must hold for a page to show them, and which inform.

The numbers that claims rest on are the worst case of all attacks, example by example. Where one
attack alone misses what another finds, the worst case has it; that is told, not refused. What is
refused is a sign that the attacks as a whole, or the strongest single one, did not work.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ecgadv.claims import NOT_RUN
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.indicators import (
    Indicator,
    beaten_by,
    contradicted,
    large_budget_holds,
    not_monotone,
)
from ecgadv.figures import Table
from ecgadv.pages.chosen_b import NAMES, STRONGEST
from ecgadv.results.result import IN_RANGE, WORST, Result

# An attack, one that should find nothing it misses, and whether a page depends on that.
COMPARED = (
    *((STRONGEST, other, False) for other in ("pgd-100", "sap", "pgd-margin", "spsa")),
    (STRONGEST, "noise", True),
    *(("pgd-100", other, False) for other in ("noise", "pgd-margin", STRONGEST)),
)


class AttackFailedError(EcgadvError):
    """A result that a page was about to show rests on attacks that did not work."""


@dataclass(frozen=True)
class Sign:
    """One indicator of one config, the worst of its seeds."""

    result: Result
    indicator: Indicator
    must_hold: bool

    @property
    def failed(self) -> bool:
        return self.indicator.failed


def signs(result: Result) -> list[Sign]:
    """Return the indicators that the flags of a record allow.

    An undefended network must fall to the largest budget; for a defended one the same number only
    informs, because at 0.3 of a beat's range it may rightly hold.
    """
    largest, undefended = result.attacks[WORST][-1], result.defense == "ce"
    worst = result.held(WORST, largest)
    found = [(_worst_seed(result, lambda s: large_budget_holds(worst[s])), undefended)]
    for attack, other, must_hold in COMPARED:
        if {attack, other} <= set(result.attacks):
            found.append((_beaten(result, attack, other), must_hold))
    if result.proof:
        found.append((_contradicted(result), True))
    for attack in (a for a in ("pgd-100", "sap") if a in result.own_attacks):
        flags = {eps: result.held(attack, eps) for eps in result.attacks[attack]}
        shown = _worst_seed(
            result, lambda s, f=flags: not_monotone({e: h[s] for e, h in f.items()})
        )
        name = f"{NAMES[attack]}: {shown.name}"
        found.append((replace(shown, name=name), False))
    return [Sign(result, indicator, must) for indicator, must in found]


def _beaten(result: Result, attack: str, other: str) -> Indicator:
    """Return the worst share, over noise levels and seeds, that `other` breaks and `attack` not."""
    every = [
        beaten_by(a, b, name=NAMES[other])
        for eps in result.attacks[WORST]
        for a, b in zip(result.held(attack, eps), result.held(other, eps), strict=True)
    ]
    worst = max(every, key=lambda indicator: indicator.value)
    return replace(worst, name=f"{NAMES[attack]}: {worst.name}")


def _contradicted(result: Result) -> Indicator:
    """Return the worst share, over levels and seeds, of beats proved to hold yet broken.

    SAP, which may leave the bounds of the signal, is outside what is proved.
    """
    every = [
        contradicted(proved, held)
        for eps in result.proof
        for proved, held in zip(result.proved(eps), result.held(IN_RANGE, eps), strict=True)
    ]
    return max(every, key=lambda indicator: indicator.value)


def _worst_seed(result: Result, measure) -> Indicator:
    every = [measure(seed) for seed in range(len(result.records))]
    return max(every, key=lambda indicator: indicator.value)


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


def refuse(found: Sequence[Sign]) -> None:
    """Raise AttackFailedError, and so stop the build, if an indicator that must hold failed."""
    broken = [sign for sign in found if sign.must_hold and sign.failed]
    if broken:
        worst = broken[0]
        raise AttackFailedError(
            f"{len(broken)} indicators of failed attacks on shown results, first "
            f"{worst.indicator.name!r} of {worst.result.label}: {worst.indicator.value:.4f}, "
            f"allowed {worst.indicator.threshold:g}; mend the attack and run it again, or drop "
            "the record"
        )
