"""Signs of failed attacks in records: which must hold for a page to show them, and which inform.

The numbers that claims rest on are the worst case of all attacks, example by example. Where one
attack alone misses what another finds, the worst case has it; that is told, not refused. What is
refused is a sign that the attacks as a whole, or the strongest single one, did not work.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.indicators import (
    Indicator,
    beaten_by,
    contradicted,
    large_budget_holds,
    not_monotone,
)
from ecgadv.results.names import attack_name, level
from ecgadv.results.result import AUTO, IN_RANGE, WORST, Result

# An attack, one that should find nothing it misses, and whether a page depends on that. Auto-PGD
# finds most without the help of others. SAP's smooth changes lie in the ball of PGD, and what was
# made on another network should turn no more than what was made on the network itself.
COMPARED = (
    *((AUTO, other, False) for other in ("pgd-100", "sap", "pgd-margin", "spsa")),
    (AUTO, "noise", True),
    *(("pgd-100", other, False) for other in ("noise", "pgd-margin", AUTO)),
    ("sap", "transfer-sap", False),
    ("pgd", "transfer-pgd", False),
    ("pgd", "sap", False),
)
MONOTONE = ("pgd-100", "sap", "pgd")  # with a larger eps they should lose nothing again


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
    informs, because it may rightly hold there.
    """
    found = [(_largest(result), result.defense == "ce")]
    for attack, other, must_hold in COMPARED:
        if {attack, other} <= set(result.attacks):
            found.append((_beaten(result, attack, other), must_hold))
    if result.proof:
        found.append((_contradicted(result), True))
    for attack in MONOTONE:
        levels = result.own_attacks.get(attack, [])
        if len(levels) > 1:
            flags = {eps: result.held(attack, eps) for eps in levels}
            shown = _worst_seed(
                result, lambda s, f=flags: not_monotone({e: h[s] for e, h in f.items()})
            )
            found.append((_of_attack(result, attack, shown), False))
    return [Sign(result, indicator, must) for indicator, must in found]


def _largest(result: Result) -> Indicator:
    """Return the worst share that holds at the largest eps of the attacks on the network itself.

    White noise seeks nothing, so that what holds under it says nothing of an attack.
    """
    own = [
        attack
        for attack in result.config["attacks"]
        if not attack.get("transfer") and attack["method"] != "uniform-noise"
    ]
    attack, largest = WORST, result.attacks[WORST][-1]
    if widest := [a["name"] for a in own if max(a["eps"]) > largest]:
        attack, largest = widest[0], max(result.own_attacks[widest[0]])
    flags = result.held(attack, largest)
    found = _worst_seed(result, lambda s: large_budget_holds(flags[s]))
    name = f"{attack_name(attack, result.experiment)}: {level(largest, result.unit)} holds"
    return replace(found, name=name)


def _of_attack(result: Result, attack: str, indicator: Indicator) -> Indicator:
    return replace(indicator, name=f"{attack_name(attack, result.experiment)}: {indicator.name}")


def _beaten(result: Result, attack: str, other: str) -> Indicator:
    """Return the worst share, over noise levels and seeds, that `other` breaks and `attack` not."""
    every = [
        beaten_by(a, b, name=attack_name(other, result.experiment))
        for eps in result.attacks[WORST]
        for a, b in zip(result.held(attack, eps), result.held(other, eps), strict=True)
    ]
    return _of_attack(result, attack, max(every, key=lambda indicator: indicator.value))


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


def refuse(results: Iterable[Result]) -> None:
    """Raise AttackFailedError, and so stop a page, if an indicator that must hold failed."""
    found = [sign for result in results for sign in signs(result)]
    broken = [sign for sign in found if sign.must_hold and sign.failed]
    if broken:
        worst = broken[0]
        raise AttackFailedError(
            f"{len(broken)} indicators of failed attacks on shown results, first "
            f"{worst.indicator.name!r} of {worst.result.label}: {worst.indicator.value:.4f}, "
            f"allowed {worst.indicator.threshold:g}; mend the attack and run it again, or drop "
            "the record"
        )
