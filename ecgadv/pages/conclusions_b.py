"""What the chapter on paper B found, in sentences that follow from paired differences.

Two networks differ only if the interval of their difference leaves out 0; else the sentence says
"no clear difference", however far apart the means are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ecgadv.pages import padding_b
from ecgadv.pages.captions_b import drawn
from ecgadv.pages.cells import percent
from ecgadv.pages.chosen_b import NAMES, SHOWN_EPS, STRONGEST
from ecgadv.pages.judgements import Judgement, within
from ecgadv.pages.markdown import Markdown
from ecgadv.pages.sentences_b import in_log
from ecgadv.results.estimate import Estimate
from ecgadv.results.paired import difference
from ecgadv.results.result import AREA_TO, IN_RANGE, WORST, Result

Chosen = Mapping[str, Result | None]
NO_DIFFERENCE = "no clear difference"


def in_short(
    results: Chosen,
    judgements: Sequence[Judgement],
    *,
    between: Chosen,
    cnn: Chosen,
    log: Result | None,
    reported_path: str | Path,
) -> Markdown:
    """Open the chapter with what was found.

    Args:
        results: the MLP's by defense, None where not run.
        judgements: the verdicts on the claims.
        between: the MLP's on the split between patients.
        cnn: the CNN's, of the first profile that has any.
        log: the network of the authors' log under that log's attack, None where not run.
        reported_path: reported.yml, which has the log.
    """
    nsr, plain = nsr_and_undefended(results)
    if not nsr or not plain:
        return Markdown("*The comparison of NSR with the undefended network: not run.*")
    lines = [
        gained(nsr, plain),
        taken(nsr, plain),
        repeated(log, reported_path),
        weakest_class(nsr),
        beside_others(nsr, results),
        cost(nsr, plain),
        new_people(nsr, between),
        residual(cnn),
    ]
    lines += [f"Claim {j.claim}: **{j.verdict}** (on MIT-BIH: {j.on_data})." for j in judgements]
    return Markdown("\n".join(f"* {line}" for line in lines))


def stands_out(
    results: Chosen, alone: padding_b.Pairs, log: Result | None, reported_path: str | Path
) -> Markdown:
    """Return what the front page says of paper B: what stronger attacks take of NSR's gain.

    Args:
        results, log, reported_path: as for `in_short`.
        alone: the defenses with the padding attacked and left alone.
    """
    nsr, plain = nsr_and_undefended(results)
    if not nsr or not plain:
        return Markdown("*The comparison of NSR with the undefended network: not run.*")
    lines = [taken(nsr, plain), repeated(log, reported_path), beside_others(nsr, results)]
    return Markdown("\n".join([*(f"* {line}" for line in lines), padding_b.order(alone)]))


def nsr_and_undefended(results: Chosen) -> tuple[Result | None, Result | None]:
    """Return NSR at the authors' strength and the undefended network, None where not run."""
    nsr = next((r for d, r in results.items() if r and d.startswith("nsr")), None)
    return nsr, results.get("ce")


def told(gap: Estimate, more: str, less: str) -> str:
    """Return the words for a difference that its interval allows."""
    if gap.low > 0:
        return more
    return less if gap.high < 0 else NO_DIFFERENCE


def gained(nsr: Result, plain: Result) -> str:
    """Say what NSR gains in AUC over the undefended network."""
    worst, pgd = (difference(nsr, plain, attack) for attack in (WORST, "pgd-100"))
    return (
        f"**Against no defense: {told(worst, 'NSR holds more', 'NSR holds less')}.** AUC("
        f"{AREA_TO:g}) of {nsr.name} minus that of the undefended network, class means on the same "
        f"beats: {within(worst)} points in the worst case of all attacks "
        f"(n = {worst.both.n_examples:,}), {within(pgd)} under the authors' PGD "
        f"(n = {pgd.both.n_examples:,}); {worst.seeds.n_seeds} seeds, 95 % intervals in brackets."
    )


def taken(nsr: Result, plain: Result) -> str:
    """Say how much of the protection against the authors' PGD stronger attacks take."""
    before, after = (difference(nsr, plain, a, eps=SHOWN_EPS) for a in ("pgd-100", WORST))
    held = [
        f"{percent(r.accuracy(attack, SHOWN_EPS).value)} %"
        for attack in ("pgd-100", WORST)
        for r in (nsr, plain)
    ]
    text = (
        f"**Under stronger attacks.** At eps {SHOWN_EPS:g} the class mean under the authors' PGD "
        f"is {held[0]} with NSR and {held[1]} without a defense, in the worst case of all attacks "
        f"{held[2]} and {held[3]}. NSR's gain goes from {within(before)} to {within(after)} points"
    )
    if before.value <= 0:
        return f"{text}."
    return f"{text}: the stronger attacks take {percent(1 - after.value / before.value)} % of it."


def repeated(log: Result | None, path: str | Path) -> str:
    """Set the one accuracy under attack that is known of the authors beside ours."""
    theirs = in_log(path, attack="spsa", eps=SHOWN_EPS)
    if log is None or isinstance(theirs, str):
        return "**The authors' log, repeated:** not run."
    ours, stronger = (log.accuracy(attack, SHOWN_EPS) for attack in ("spsa", STRONGEST))
    return (
        f"**The authors' log, repeated.** The log's SPSA left {percent(theirs)} % at eps "
        f"{SHOWN_EPS:g}, ours leaves {percent(ours.value)} % [{percent(ours.low)}, "
        f"{percent(ours.high)}] of {ours.both.n_examples} beats with {log.name} "
        f"({_seeds(log)}). Under {NAMES[STRONGEST]} {percent(stronger.value)} % "
        f"[{percent(stronger.low)}, {percent(stronger.high)}] of the same beats hold."
    )


def _seeds(result: Result) -> str:
    number = len(result.seeds)
    return "one seed" if number == 1 else f"{number} seeds"


def weakest_class(nsr: Result) -> str:
    """Name the class that NSR protects least, which a class mean hides."""
    held = nsr.sensitivity(WORST, SHOWN_EPS)
    c = int(np.argmin(held))
    return (
        f"**The worst class** is {nsr.classes[c]}: with NSR {percent(held[c])} % of its beats hold "
        f"at eps {SHOWN_EPS:g} in the worst case of all attacks, where the class mean is "
        f"{percent(nsr.accuracy(WORST, SHOWN_EPS).value)} %."
    )


def beside_others(nsr: Result, results: Chosen) -> str:
    """Compare NSR with every other defense by the worst-case AUC."""
    others = [r for r in results.values() if r and r.label != nsr.label and r.defense != "ce"]
    if not others:
        return "**Beside the other defenses:** not run."
    said = {attack: _beside(nsr, others, attack) for attack in (WORST, IN_RANGE)}
    listed = "; ".join(f"{name} {gap}, {word}" for name, (gap, word) in said[WORST].items())
    text = (
        f"**Beside the other defenses**, AUC({AREA_TO:g}) in the worst case of all attacks, "
        f"{nsr.name} minus each, in points: {listed}."
    )
    other_word = [
        f"{name} {gap}, {word}"
        for name, (gap, word) in said[IN_RANGE].items()
        if word != said[WORST][name][1]
    ]
    if not other_word:
        return f"{text} Without SAP, which may leave [0, 1], the words stay the same."
    return f"{text} Without SAP, which may leave [0, 1]: {'; '.join(other_word)}."


def _beside(nsr: Result, others: Sequence[Result], attack: str) -> dict[str, tuple[str, str]]:
    """Return NSR minus every other defense, with its interval, and the words for it."""
    gaps = {other.name: difference(nsr, other, attack) for other in others}
    return {
        name: (within(gap), told(gap, "NSR holds more", "NSR holds less"))
        for name, gap in gaps.items()
    }


def cost(nsr: Result, plain: Result) -> str:
    """Say what NSR costs in clean accuracy."""
    mean, natural = (
        difference(nsr, plain, WORST, eps=0, balanced=balanced) for balanced in (True, False)
    )
    return (
        f"**Cost without an attack: {told(mean, 'a gain', 'a loss')} in the class mean**, "
        f"{percent(plain.accuracy(WORST, 0).value)} % undefended and "
        f"{percent(nsr.accuracy(WORST, 0).value)} % with NSR ({within(mean)} points); in natural "
        f"accuracy {within(natural)} points, {told(natural, 'a gain', 'a loss')}."
    )


def new_people(nsr: Result, between: Chosen) -> str:
    """Say what is left of NSR's gain on people whom the network has not seen."""
    own, plain = nsr_and_undefended(between)
    if not own or not plain:
        return "**Between patients:** not run."
    gap = difference(own, plain, WORST)
    return (
        f"**Between patients: {told(gap, 'NSR holds more', 'NSR holds less')}.** Worst-case "
        f"AUC({AREA_TO:g}), NSR minus undefended: {within(gap)} points (class means, "
        f"n = {gap.both.n_examples:,}, bootstrap over {drawn([own, plain])}, "
        f"{gap.seeds.n_seeds} seeds). Without an attack NSR's class mean is "
        f"{percent(own.accuracy(WORST, 0).value)} % there and "
        f"{percent(nsr.accuracy(WORST, 0).value)} % on the beatwise split; at eps {SHOWN_EPS:g} in "
        f"the worst case {percent(own.accuracy(WORST, SHOWN_EPS).value)} % and "
        f"{percent(nsr.accuracy(WORST, SHOWN_EPS).value)} %."
    )


def residual(cnn: Chosen) -> str:
    """Say where NSR stands among the defenses of the CNN."""
    nsr, plain = nsr_and_undefended(cnn)
    if not nsr or not plain:
        return "**The CNN:** not run."
    others = [r for d, r in cnn.items() if r and d != "ce" and r.label != nsr.label]
    gaps = {r.name: difference(nsr, r, WORST) for r in others}
    weakest = gaps and all(gap.high < 0 for gap in gaps.values())
    place = "NSR is the weakest of its defenses" if weakest else "NSR among its defenses"
    gaps = {plain.name: difference(nsr, plain, WORST), **gaps}
    listed = "; ".join(f"{name} {within(gap)}" for name, gap in gaps.items())
    fewest = min(gap.seeds.n_seeds for gap in gaps.values())
    note = "; one seed, so these intervals speak of the trained networks only" * (fewest == 1)
    return (
        f"**The CNN, profile `{nsr.profile}`: {place}.** Worst-case AUC({AREA_TO:g}), {nsr.name} "
        f"minus each, in points: {listed} (class means, "
        f"n = {min(gap.both.n_examples for gap in gaps.values()):,}{note})."
    )
