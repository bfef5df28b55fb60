"""Sentences of the chapter on paper B, with numbers from records and none typed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecgadv.claims import reported
from ecgadv.data.splits import DS_NOTE
from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import BROKEN, NOT_ATTACKED
from ecgadv.figures import Table
from ecgadv.pages.cells import of_rows, percent
from ecgadv.pages.chosen_b import ATTACK_NAMES, NAMES, SHOWN_EPS, STRONGEST, area_on_common, ranks
from ecgadv.pages.failures import Sign
from ecgadv.pages.judgements import within
from ecgadv.pages.markdown import Markdown, used
from ecgadv.pages.tables_b import rarest
from ecgadv.results.paired import difference
from ecgadv.results.records import Results
from ecgadv.results.result import IN_RANGE, WORST, Result

LOG_LEVELS = (("spsa", 0.0), ("spsa", SHOWN_EPS), (STRONGEST, SHOWN_EPS))


def shown(results: Results, network: str) -> Markdown:
    """Say which records a section on paper B shows, and how their runs differ from the paper's."""
    found = results.pick(network=network)
    return used(results, found, f"{network.upper()}, profile `{results.profile}`", "paper-b")


def order(results: Mapping[str, Result | None]) -> Markdown:
    """Say whether the worst cases rank the defenses as the authors' PGD does."""
    found = [result for result in results.values() if result]
    if len(found) < 2:
        return Markdown("The ranking needs two defenses at least: not run.")
    theirs = [area_on_common(r, "pgd-100") for r in found]
    lines = []
    for attack in (IN_RANGE, WORST):
        worst = [area_on_common(r, attack) for r in found]
        places = zip(found, ranks(theirs), ranks(worst), strict=True)
        moved = [f"{r.name} from {a} to {b}" for r, a, b in places if a != b]
        says = f"changes the rank of {', '.join(moved)}" if moved else "leaves the order as it is"
        lost = {r.name: a - b for r, a, b in zip(found, theirs, worst, strict=True)}
        most = max(lost, key=lost.__getitem__)
        lines.append(
            f"* Counting the {ATTACK_NAMES[attack]} instead of the authors' PGD {says}. The most "
            f"is lost by {most}: {100 * lost[most]:.1f} points of AUC(0.1)."
        )
    lines.append(f"* All on the same {found[0].area(WORST).both.n_examples:,} beats.")
    return Markdown("\n".join(lines))


def who_breaks(results: Mapping[str, Result | None], eps: float = SHOWN_EPS) -> Table:
    """Return how many beats at eps only one of the attacks broke, summed over seeds, by defense.

    Beats that were misread without an attack are left out.
    """
    names = [name for name in ATTACK_NAMES if name not in (WORST, IN_RANGE)]
    head = ["defense", "attacked", "broken by any"]
    head += [f"only by {ATTACK_NAMES[name]}" for name in names]
    rows = []
    for result in filter(None, results.values()):
        seen = (result.held(WORST, eps) != NOT_ATTACKED) & (result.clean == 1)
        broken = {name: (result.held(name, eps) == BROKEN) & seen for name in names}
        total = sum(flags.astype(int) for flags in broken.values())
        alone = [int((broken[name] & (total == 1)).sum()) for name in names]
        rows.append((result.name, int(seen.sum()), int((total > 0).sum()), *alone))
    return of_rows(head, rows)


def missed(signs: Sequence[Sign]) -> Markdown:
    """Say of which networks single attacks miss much, from the checks that only inform."""
    failed = [sign for sign in signs if sign.failed and not sign.must_hold]
    if not failed:
        return Markdown("No check that only informs failed on the networks shown here.")
    worst = max(failed, key=lambda sign: sign.indicator.value)
    by_name: dict[str, int] = {}
    for sign in failed:
        by_name[sign.result.name] = by_name.get(sign.result.name, 0) + 1
    listed = ", ".join(f"{name} ({number})" for name, number in by_name.items())
    return Markdown(
        f"Checks that only inform and that failed, by network: {listed}. The largest is "
        f"{percent(worst.indicator.value)} % of beats, of {worst.result.name}, for "
        f"“{worst.indicator.name}”. Where an attack "
        "misses what another one finds, or loses at a larger eps what it found at a smaller one, "
        "its accuracy overstates the defense, and the worst case of all attacks is itself only an "
        "upper bound: a better attack would find more."
    )


def beside_log(log: Result | None, nsr: Result | None, path: str | Path) -> Markdown:
    """Compare the mean sensitivity of the authors' log with ours, clean and attacked.

    Args:
        log: our network under the log's attack.
        nsr: NSR at the authors' strength, which stands in where that was not run.
        path: reported.yml.
    """
    if log is None and nsr is None:
        return Markdown("*Our side of the comparison: not run.*")
    clean, spsa = in_log(path, attack="none"), in_log(path, attack="spsa", eps=SHOWN_EPS)
    if isinstance(clean, str) or isinstance(spsa, str):
        return Markdown("*The authors' log: not transcribed.*")
    theirs = (
        f"In the log {percent(clean)} % are right without an attack, and SPSA left "
        f"{percent(spsa)} % at eps {SHOWN_EPS:g}. "
    )
    if log is not None:
        return Markdown(theirs + _by_the_log(log))
    flags = nsr.held("pgd-100", SHOWN_EPS)
    k = len(nsr.classes)
    pgd = [metrics.robust_accuracy(seed, nsr.y, k, balanced=True) for seed in flags]
    at_all, at_worst = (percent(nsr.accuracy(WORST, eps).value) for eps in (0, SHOWN_EPS))
    return Markdown(
        f"{theirs}Our {nsr.name} has {at_all} % clean; our run of the authors' PGD left between "
        f"{percent(min(pgd))} and {percent(max(pgd))} % over seeds, the worst case of all attacks "
        f"{at_worst} %. Network, beta and beats differ, so this neither confirms nor refutes their "
        "PGD; the table of attack checks does that."
    )


def in_log(path: str | Path, **which) -> float | str:
    """Return an accuracy of the authors' log, or "not transcribed"."""
    where = {"paper": "ma2022", "network": "mlp", "defense": "nsr-0.5", "metric": "accuracy"}
    return reported(path, dataset="mitdb", **where, **which)


def _by_the_log(log: Result) -> str:
    """Say what our network holds under the log's attack and under a stronger one."""
    clean, left, ours = (
        f"{percent(e.value)} % [{percent(e.low)}, {percent(e.high)}]"
        for e in (log.accuracy(attack, eps) for attack, eps in LOG_LEVELS)
    )
    return (
        f"Our {log.name}, trained by the authors' protocol and attacked in the same way on "
        f"{log.attacked('spsa')} beats, has {clean} clean, and SPSA leaves {left} "
        f"(seeds {', '.join(map(str, log.seeds))}, 95 % intervals). Under {NAMES[STRONGEST]}, "
        f"which sees gradients, {ours} of the same beats hold. That the log is of this network and "
        "this beta is inferred, and its beats are not known."
    )


def below_undefended(results: Mapping[str, Result | None]) -> Markdown:
    """Name the defenses that a small perturbation turns more often than no defense at all."""
    plain = results.get("ce")
    others = [r for d, r in results.items() if r and d != "ce"]
    if not plain or not others:
        return Markdown("*Defenses beside the undefended network at the smallest eps: not run.*")
    eps = plain.attacks[WORST][0]
    gaps = {r.name: (r, difference(r, plain, WORST, eps=eps)) for r in others}
    below = [
        f"{name} {percent(r.accuracy(WORST, eps).value)} % ({within(gap)} points)"
        for name, (r, gap) in gaps.items()
        if gap.high < 0
    ]
    text = (
        f"At eps {eps:g} in the worst case of all attacks the undefended network holds "
        f"{percent(plain.accuracy(WORST, eps).value)} % (class mean, "
        f"n = {plain.attacked(WORST):,} beats)."
    )
    if not below:
        return Markdown(f"{text} No defense lies clearly below it.")
    return Markdown(f"{text} **Below it**, on the same beats: {'; '.join(below)}.")


def people(between: Mapping[str, Result | None]) -> Markdown:
    """Say who stands in the split between patients, and which class mean to read with care."""
    text = f"The split: {DS_NOTE}"
    first = next((result for result in between.values() if result), None)
    if first is None:
        return Markdown(text)
    rare = rarest(first)
    return Markdown(
        f"{text}\n\nClass {first.classes[rare]} has {int((first.y == rare).sum())} test beats "
        f"there and weighs one part in {len(first.classes)} of each class mean; the last table "
        "gives the mean without it, too."
    )
