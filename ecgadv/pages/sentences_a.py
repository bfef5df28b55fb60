"""Sentences of the chapter on paper A, with numbers from records and none typed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import NormalDist

import numpy as np

from ecgadv.claims import NOT_RUN, reported
from ecgadv.evaluation.intervals import t_quantile
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.pages import chosen_a
from ecgadv.pages.cells import bounds, percent
from ecgadv.pages.chosen_a import NAMES, Chosen, name
from ecgadv.pages.failures import Sign
from ecgadv.pages.judgements import Finding, within
from ecgadv.pages.markdown import Markdown, used
from ecgadv.pages.rulings_a import Ruling
from ecgadv.pages.tables_a import at
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.records import Results
from ecgadv.results.result import WORST, Result


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
    adt, plain, hardened = found["adt"], found["ce"], found["at"]
    eps = chosen_a.level(adt)
    at_eps = f"at {chosen_a.in_unit(adt, eps)}"
    label, share = chosen_a.most_frequent(adt)

    def each(attack: str, level: float) -> str:
        values = (f"{r.name} **{at(r, attack, level)} %**" for r in found.values())
        return "; ".join(values)

    gains = ", ".join(
        f"{said} {gain(adt, hardened, attack, level)}"
        for said, attack, level in (
            (f"under {NAMES['sap']}", "sap", eps),
            ("under PGD", "pgd", eps),
            ("without an attack", WORST, 0),
        )
    )
    lines = [
        f"* Read right without an attack: {each(WORST, 0)} (profile `{adt.profile}`); always "
        f"answering {label}, the most frequent class, is right for {percent(share)} %.",
        f"* Under {NAMES['sap']} {at_eps}: {each('sap', eps)}. {_highest(every, eps)}",
        f"* Under PGD {at_eps}: {each('pgd', eps)}.",
        f"* **Is ADT better than no defense?** Under {NAMES['sap']} {at_eps}, ADT minus "
        f"{plain.name}: {gain(adt, plain, 'sap', eps)}.",
        f"* **Does it gain over plain adversarial training?** ADT minus {hardened.name}, {at_eps}: "
        f"{gains}.",
    ]
    verdicts = [f"{r.claim} **{r.verdict}**" for r in rulings if r]
    lines += [f"* Claims: {', '.join(verdicts)}."] if verdicts else []
    return Markdown("\n".join(lines))


def gain(a: Result, b: Result, attack: str, eps: float) -> str:
    """Return a minus b in points with its interval, and in words whether they differ clearly."""
    if not shared_seeds(a, b):
        return "not compared, for they share no seed"
    gap = difference(a, b, attack, eps=eps, balanced=False)
    if gap.low > 0 or gap.high < 0:
        said = "clearly more" if gap.low > 0 else "clearly less"
    elif gap.both.low > 0 or gap.both.high < 0:
        side = "above" if gap.both.low > 0 else "below"
        said = f"no clear difference, though the bootstrap alone lies {side} 0"
    else:
        said = "no clear difference"
    return f"{within(gap)} points ({said})"


def _highest(every: Chosen, eps: float) -> str:
    """Say which network has the highest accuracy under SAP, and which are not clearly below."""
    ran = [r for r in chosen_a.of_the_paper(every).values() if r]
    best = max(ran, key=lambda r: r.accuracy("sap", eps, balanced=False).value)
    others = [r for r in ran if r is not best and shared_seeds(best, r)]
    gaps = {r.name: difference(best, r, "sap", eps=eps, balanced=False) for r in others}
    close = [name for name, gap in gaps.items() if gap.low <= 0]
    text = f"Of the {len(ran)} networks compared {best.name} has the highest accuracy"
    return f"{text}, with no clear difference from {'; '.join(close)}." if close else f"{text}."


def beside_han(plain: Result | None, path: str | Path) -> Markdown:
    """Set what SAP turned in our undefended network beside what Han et al. report."""
    said = reported(path, paper="han2020", attack="sap-20-40", metric="success")
    if plain is None or isinstance(said, str):
        return Markdown(f"*Han's own SAP result beside ours: {NOT_RUN}.*")
    eps = chosen_a.level(plain)
    held = plain.held("sap-40", eps)
    calm = np.where(held == NOT_ATTACKED, NOT_ATTACKED, plain.clean).astype(np.uint8)
    turned = plain.estimate(
        np.stack([held, calm], axis=1), lambda v: 1 - v[..., 0] / v[..., 1], balanced=False
    )
    return Markdown(
        f"{{cite:t}}`han2020` report for {NAMES['sap-40']} that it turned **{percent(said)} %** of "
        f"the records that their network read right (`book/reported.yml`). Of those that our "
        f"undefended network of profile `{plain.profile}` reads right it turned "
        f"**{percent(turned.value)} %** (bootstrap {bounds(turned.both)}, "
        f"{turned.both.n_examples} records attacked, {len(plain.seeds)} seeds)."
    )


def walks(every: Chosen) -> Markdown:
    """Say which pairs the boundary attack walked, and how far its walks are from their end."""
    found = [r for r in every.values() if r and chosen_a.walked(r)]
    if not found:
        return Markdown(f"*The boundary attack: {NOT_RUN}.*")
    options, theirs = found[0].config["boundary"], chosen_a.authors_iterations()
    drawn, *ends = chosen_a.walked_pairs(found)
    walked = " to ".join(map(str, dict.fromkeys(ends)))
    text = (
        f"{drawn} pairs of records were drawn, {options['pairs']} for each ordered pair of "
        f"classes, the same for all networks. Of these {walked} were walked, by network "
        "and seed: a pair is skipped if the network misreads its original or its start. The "
        "verdicts compare two networks on the pairs that all seeds of both walked."
    )
    if options["steps"] < theirs:
        text += (
            f" A walk has {options['steps']:,} iterations, the authors' {theirs:,}. These walks "
            "are **unfinished**: their distances compare where they stood when they were stopped, "
            "not how near the attack can come, and a network that is slow to walk on looks robust. "
            "The records do not hold how far apart the pairs were at the start."
        )
    return Markdown(text)


def limits(results: Results, rulings: Iterable[Ruling | None]) -> Markdown:
    """Say before the verdicts what the profile and the number of seeds keep them from deciding."""
    found = results.pick(network=chosen_a.NETWORK, variant="faithful")
    judged = [f for ruling in rulings if ruling for f in ruling.counted]
    if not found or not judged:
        return Markdown("")
    lines = []
    if all(r.config["model_options"].get("dropout") == 0 for r in found):
        lines.append(
            f"* **No dropout.** The network of profile `{results.profile}` has none. In the "
            "authors' code the teacher's active dropout is what softens its labels at temperature "
            "1 (row A4). That mechanism is absent here, so A4, and ADT against adversarial "
            "training throughout, are tested without it."
        )
    n = min(f.estimate.seeds.n_seeds for f in judged)
    if n > 1:
        factor = t_quantile(0.975, n - 1)
        decided = sum(f.above or f.below for f in judged)
        alone = sum(_decided_by_bootstrap(f) for f in judged)
        lines.append(
            f"* **{n} seeds.** Student's interval then reaches {factor:.1f} standard errors to "
            f"each side, with many seeds it would be {NormalDist().inv_cdf(0.975):.1f}. Of the "
            f"{len(judged)} numbers that count below, {decided} are decided by both intervals; by "
            f"the bootstrap alone {alone} would be."
        )
    return Markdown("\n".join(lines))


def _decided_by_bootstrap(finding: Finding) -> bool:
    ends = finding.estimate.both
    return ends.low > finding.threshold or ends.high < finding.threshold


def bound(signs: Iterable[Sign]) -> Markdown:
    """Say which of the signs of failed attacks would have stopped the page."""
    must = [sign for sign in signs if sign.must_hold]
    if not must:
        return Markdown("The undefended network was not run: the checks here only inform.")
    held = ", ".join(
        f"{sign.indicator.name} for {percent(sign.indicator.value)} %, at most "
        f"{100 * sign.indicator.threshold:g} % allowed"
        for sign in must
    )
    return Markdown(
        f"One check is binding, the undefended network at the largest eps ({held}): beyond it this "
        "page would not exist. All others only inform."
    )
