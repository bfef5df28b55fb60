"""Signs of failed attacks in the records of paper A; `failures` shows them and refuses by them."""

from dataclasses import replace

from ecgadv.evaluation.indicators import beaten_by, large_budget_holds
from ecgadv.pages import chosen_a
from ecgadv.pages.chosen_a import NAMES
from ecgadv.pages.failures import Sign
from ecgadv.results.result import Result


def signs(result: Result) -> list[Sign]:
    """Return signs of failed attacks on a network.

    The undefended network must fall at the largest eps of the sweep; a defended one may hold
    there, because unlike a beat's range in paper B that is still a small signal. That what was made
    on another network turns no more records than what was made on this one informs only.
    """
    eps, largest = chosen_a.level(result), max(result.own_attacks["pgd"])
    wide = [large_budget_holds(flags) for flags in result.held("pgd", largest)]
    worst = max(wide, key=lambda sign: sign.value)
    said = f"PGD: {chosen_a.in_unit(result, largest)} holds"
    found = [Sign(result, replace(worst, name=said), result.defense == "ce")]
    pairs = [("sap", "transfer-sap"), ("pgd", "transfer-pgd"), ("pgd", "sap")]
    for attack, other in pairs:
        each = [
            beaten_by(a, b, name=NAMES[other])
            for a, b in zip(result.held(attack, eps), result.held(other, eps), strict=True)
        ]
        worst = max(each, key=lambda sign: sign.value)
        told = replace(worst, name=f"{NAMES[attack]}: {worst.name}")
        found.append(Sign(result, told, False))
    return found
