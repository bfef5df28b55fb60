"""Sentences of the chapter on paper A, with numbers from records and none typed."""

from collections.abc import Iterable, Mapping

import numpy as np

from ecgadv.claims import NOT_RUN
from ecgadv.pages import chosen_a
from ecgadv.pages.chosen_a import Chosen, name
from ecgadv.pages.markdown import Markdown, used
from ecgadv.pages.result import WORST
from ecgadv.pages.results import Results
from ecgadv.pages.tables_a import at
from ecgadv.pages.verdicts_a import Ruling


def preferred(every: Mapping[str, Results], evidence: Results) -> Results:
    """Return what the verdicts rest on; without such, the first profile with any record."""
    return next((r for r in (evidence, *every.values()) if r.all), evidence)


def shown(results: Results) -> Markdown:
    """Say which records the chapter shows, and how their runs differ from the paper's."""
    found, sample = results.pick(network=chosen_a.NETWORK), ""
    if found:
        counts = np.bincount(found[0].y, minlength=len(found[0].classes))
        classes = ", ".join(f"{n} {c}" for c, n in zip(found[0].classes, counts, strict=True))
        labels = found[0].records[0].run["data"]["labels"]
        sample = f", labels {labels}; {len(found[0].y)} test records ({classes})"
    return used(results, found, f"Profile `{results.profile}`", "paper-a", sample)


def in_short(every: Chosen, rulings: Iterable[Ruling | None]) -> Markdown:
    """Open the chapter with what was found."""
    keys = {"ce": "ce", "at": "at-10", "adt": "adt-1"}
    found = {short: every.get((defense, "faithful")) for short, defense in keys.items()}
    if not all(found.values()):
        missing = [name((keys[s], "faithful")) for s, result in found.items() if not result]
        return Markdown(
            f"*The comparison of ADT with the others lacks {', '.join(missing)}: {NOT_RUN}.*"
        )
    eps = chosen_a.level(found["ce"])

    def each(attack: str, level: float) -> str:
        values = (f"{r.name} **{at(r, attack, level)} %**" for r in found.values())
        return "; ".join(values)

    ran = [r for r in chosen_a.of_the_paper(every).values() if r]
    best = max(ran, key=lambda r: r.accuracy("sap", eps, balanced=False).value)
    least = min(found["ce"].own_attacks["pgd"])
    lines = [
        f"* Read right without an attack: {each(WORST, 0)} (profile `{best.profile}`).",
        f"* Under SAP at {chosen_a.in_unit(best, eps)}: {each('sap', eps)}. "
        f"Of the {len(ran)} networks compared, {best.name} keeps most.",
        f"* Under PGD at {chosen_a.in_unit(best, least)}: {each('pgd', least)}; "
        f"at {chosen_a.in_unit(best, eps)}: {each('pgd', eps)}.",
    ]
    verdicts = [f"{r.claim} **{r.verdict}**" for r in rulings if r]
    lines += [f"* Claims: {', '.join(verdicts)}."] if verdicts else []
    return Markdown("\n".join(lines))
