"""The figures of the chapter on paper B, drawn from results, and the sentences under them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ecgadv.claims import NOT_TRANSCRIBED, reported
from ecgadv.figures.panels import Dot, Drawing, Line, NotRun, dots, panels
from ecgadv.pages import units
from ecgadv.pages.captions_b import bands, describe, fall, sample, whiskers
from ecgadv.pages.cells import percent
from ecgadv.pages.chosen_b import ATTACK_NAMES, NAMES, SHOWN_EPS
from ecgadv.pages.marks import dot, line, provenance
from ecgadv.results.paired import difference
from ecgadv.results.records import Results
from ecgadv.results.result import AREA_TO, IN_RANGE, WORST, Result

EPS_AXIS = "eps (share of the beat's range)"
ACCURACY_AXIS = "class-balanced accuracy"
LOOKS = {"ce": 0, "nsr": 1, "jacobian": 2, "at-0.1": 3, "at-0.2": 4, "at-0.3": 5}


def curves(
    results: Mapping[str, Result | None], attack: str, facts: dict | None
) -> Drawing | NotRun:
    """Draw accuracy against noise level under one attack, one line a defense.

    Args:
        results: by defense, None where not run.
        attack: name of the attack, or the worst case.
        facts: what the noise level is in microvolts, see `ecgadv.pages.units`.
    """
    found = [result for result in results.values() if result]
    if not found:
        return NotRun(f"Accuracy under {ATTACK_NAMES[attack]}")
    lines = {result.name: curve(result, attack) for result in found}
    fig, data = panels({attack: lines}, x=EPS_AXIS, y=ACCURACY_AXIS, area_to=AREA_TO, root=True)
    caption = (
        f"Class-balanced accuracy of the {found[0].network.upper()} against the noise level under "
        f"{describe(found, attack)}; {sample(found, attack)}; "
        f"{units.in_words(facts, AREA_TO)}. Square-root axis; shaded: what AUC({AREA_TO:g}) "
        f"sums. {bands(found)}."
    )
    return Drawing(fig, data, caption, fall(found, attack), provenance(found))


def multiples(
    parts: Mapping[str, Sequence[tuple[Result, str]]], what: str, facts: dict | None
) -> Drawing | NotRun:
    """Draw several panels of accuracy against noise level, one line a result.

    Args:
        parts: heading of a panel to (result, attack) pairs.
        what: beginning of the caption.
        facts: as in `curves`.
    """
    found = [result for pairs in parts.values() for result, _ in pairs]
    if not found:
        return NotRun(what)
    drawn = {
        heading: {result.name: curve(result, attack) for result, attack in pairs}
        for heading, pairs in parts.items()
    }
    fig, data = panels(drawn, x=EPS_AXIS, y=ACCURACY_AXIS, area_to=AREA_TO, root=True)
    pairs = [pair for part in parts.values() for pair in part]
    caption = (
        f"{what}: {'; '.join(dict.fromkeys(describe([r], a) for r, a in pairs))}; "
        f"{sample(found, *dict.fromkeys(a for _, a in pairs))}; "
        f"{units.in_words(facts, AREA_TO)}. Square-root axis; shaded: what AUC({AREA_TO:g}) sums. "
        f"{bands(found)}."
    )
    alt = " ".join(
        f"Panel {heading}: {fall([r for r, _ in pairs], pairs[0][1])}"
        for heading, pairs in parts.items()
    )
    return Drawing(fig, data, caption, alt, provenance(found))


def all_attacks(
    results: Mapping[str, Result | None], what: str, facts: dict | None
) -> Drawing | NotRun:
    """Draw one panel an attack, and one for the worst case, with one line a defense."""
    found = [result for result in results.values() if result]
    names = ATTACK_NAMES.items() if found else ()
    return multiples({name: [(r, attack) for r in found] for attack, name in names}, what, facts)


def curve(result: Result, attack: str) -> Line:
    """Return accuracy against noise level from 0, with the ends of the two-level bootstrap."""
    levels = [0.0, *result.attacks[attack]]
    values = [result.accuracy(attack, eps) for eps in levels]
    return line(levels, values, look_of(result))


def brackets(results: Mapping[str, Result | None], facts: dict | None) -> Drawing | NotRun:
    """Draw what is certain: accuracy lies between what is proved and what attacks leave.

    One panel a defense, the band between the two lines being what neither settles. Attacks that may
    leave the range of the data are outside what is proved, and do not count.
    """
    found = [result for result in results.values() if result and result.proof]
    if not found:
        return NotRun("What is proved, and what attacks leave")
    parts, said = {}, []
    for result in found:
        levels = [0.0, *result.proof]
        proved = [result.accuracy_proved(eps).value for eps in levels]
        left = [result.accuracy(IN_RANGE, eps).value for eps in levels]
        parts[result.name] = {
            "worst case within [0, 1]": Line(levels, left, look=0),
            "proved": Line(levels, proved, proved, left, look=1),
        }
        low, high = percent(proved[1]), percent(left[1])
        said.append(f"{result.name} between {low} and {high}")
    fig, data = panels(parts, x=EPS_AXIS, y=ACCURACY_AXIS, area_to=AREA_TO, root=True)
    caption = (
        f"Class-balanced accuracy of the {found[0].network.upper()} that attacks leave (the worst "
        "case within [0, 1], so without SAP) and that is proved (backward linear bounds, "
        "alpha-CROWN): the true accuracy lies in the band between; "
        f"{sample(found, IN_RANGE)}; means over seeds; "
        f"{units.in_words(facts, AREA_TO)}. Square-root axis."
    )
    alt = f"Two falling lines a panel. Percent at eps {found[0].proof[0]:g}: {'; '.join(said)}."
    return Drawing(fig, data, caption, alt, provenance(found))


def look_of(result: Result) -> int:
    """Return the number of a defense's look, the same in all figures."""
    return LOOKS.get(result.defense, LOOKS.get(result.defense.split("-")[0], 6))


def beta_sweep(results: Results, facts: dict | None, *, network: str = "mlp") -> Drawing | NotRun:
    """Draw clean accuracy and AUC(0.1) against NSR's beta, for every beta that was run."""
    family = results.pick(split="beatwise", network=network, variant="faithful")
    found = {float(r.defense[4:]): r for r in family if r.defense.startswith("nsr-")}
    if len(found) < 2:
        return NotRun("The sweep of NSR's beta")
    betas = sorted(found)
    lines = {}
    for number, (name, measure) in enumerate(
        {
            "clean accuracy": lambda r: r.accuracy(WORST, 0),
            "AUC(0.1), white noise": lambda r: r.area("noise"),
            "AUC(0.1), SAP": lambda r: r.area("sap"),
            "AUC(0.1), authors' PGD": lambda r: r.area("pgd-100"),
            "AUC(0.1), worst case": lambda r: r.area(WORST),
        }.items()
    ):
        values = [measure(found[beta]) for beta in betas]
        lines[name] = line(betas, values, number)
    fig, data = panels({"NSR": lines}, x="beta of NSR", y="class-balanced")
    runs = [found[beta] for beta in betas]
    first, last = lines["AUC(0.1), worst case"].y[0], lines["AUC(0.1), worst case"].y[-1]
    caption = (
        f"Clean accuracy and AUC({AREA_TO:g}), class-balanced, of the {network.upper()} with NSR "
        "regularization against its strength beta; "
        f"{sample(runs, 'pgd-100', 'sap', WORST, clean=True)}; "
        f"{units.in_words(facts, AREA_TO)}. {bands(runs)}."
    )
    alt = (
        f"Lines over {len(betas)} values of beta from {betas[0]:g} to {betas[-1]:g}. The AUC in "
        f"the worst case goes from {percent(first)} to {percent(last)} percent."
    )
    return Drawing(fig, data, caption, alt, provenance(runs))


def by_class(nsr: Result | None, reported_path: str | Path) -> Drawing | NotRun:
    """Draw the sensitivity of every class, clean and attacked, beside the authors' log.

    The attack is the log's where the network was put through it, else the authors' PGD.
    """
    if nsr is None:
        return NotRun("Sensitivity of every class")
    attack = "spsa" if "spsa" in nsr.own_attacks else "pgd-100"
    rows = {}
    for c, name in enumerate(nsr.classes):
        cells = {
            f"{nsr.name}, clean": nsr.sensitivity(attack, 0)[c],
            f"{nsr.name}, {NAMES[attack]}": nsr.sensitivity(attack, SHOWN_EPS)[c],
            f"{nsr.name}, worst case": nsr.sensitivity(WORST, SHOWN_EPS)[c],
        }
        for word, theirs in (("clean", "none"), (f"SPSA {SHOWN_EPS:g}", "spsa")):
            said = log_sensitivity(reported_path, name, theirs)
            if said is not None:
                cells[f"authors' log, {word}"] = said
        rows[name] = {series: Dot(float(value)) for series, value in cells.items()}
    fig, data = dots(
        rows, value=f"sensitivity, clean or at eps {SHOWN_EPS:g}", limits=(-0.03, 1.03)
    )
    caption = (
        f"Sensitivity of each class, clean and under {describe([nsr], attack)}, and in the "
        f"worst case, at eps {SHOWN_EPS:g} of the beat's range, means over seeds; "
        f"{sample([nsr], attack, WORST, clean=True)}. The authors' log is of one network on 810 "
        "beats under SPSA, a gradient-free attack; network and beta are inferred."
    )
    worst = nsr.classes[int(np.argmin(nsr.sensitivity(WORST, SHOWN_EPS)))]
    alt = (
        f"Dots for the classes {', '.join(nsr.classes)}. With {nsr.name} the class {worst} loses "
        f"most: in the worst case {percent(float(nsr.sensitivity(WORST, SHOWN_EPS).min()))} "
        "percent of its beats hold."
    )
    return Drawing(fig, data, caption, alt, provenance([nsr]))


def log_sensitivity(path: str | Path, name: str, attack: str) -> float | None:
    """Return a class's sensitivity in the authors' log, or None."""
    where = {"eps": SHOWN_EPS} if attack != "none" else {}
    value = reported(
        path,
        paper="ma2022",
        network="mlp",
        defense="nsr-0.5",
        attack=attack,
        metric="sensitivity",
        **{"class": name},
        **where,
    )
    return None if value == NOT_TRANSCRIBED else float(value)


def against(results: Mapping[str, Result | None], reference: Result | None) -> Drawing | NotRun:
    """Draw every defense minus a reference on the same beats: clean, and AUC(0.1) by attack."""
    others = [r for r in results.values() if r and reference and r.label != reference.label]
    if reference is None or not others:
        return NotRun("The defenses compared on the same beats")
    rows = {
        other.name: {
            "clean accuracy": dot(difference(other, reference, WORST, eps=0)),
            "AUC(0.1), authors' PGD": dot(difference(other, reference, "pgd-100")),
            "AUC(0.1), SAP": dot(difference(other, reference, "sap")),
            "AUC(0.1), worst case in [0, 1]": dot(difference(other, reference, IN_RANGE)),
            "AUC(0.1), worst case": dot(difference(other, reference, WORST)),
        }
        for other in others
    }
    fig, data = dots(rows, value=f"minus {reference.name} (percentage points)", change=True)
    caption = (
        f"Each defense minus {reference.name} on the same test beats and seeds: class-balanced "
        f"clean accuracy and AUC({AREA_TO:g}) under each attack, {whiskers([reference, *others])}; "
        f"{sample([reference, *others], 'pgd-100', 'sap', WORST, clean=True)}; eps in shares of "
        "the beat's range."
    )
    gaps = ", ".join(
        f"{name} {100 * cells['AUC(0.1), worst case'].value:+.0f}" for name, cells in rows.items()
    )
    alt = f"Dots with whiskers; points of worst-case AUC against {reference.name}: {gaps}."
    return Drawing(fig, data, caption, alt, provenance([reference, *others]))


def settings(parts: Mapping[str, Mapping[str, Result | None]], what: str) -> Drawing | NotRun:
    """Draw clean accuracy and worst-case AUC(0.1) of the same defenses in several settings.

    Args:
        parts: name of a setting, such as beatwise, to results by defense.
        what: beginning of the caption.
    """
    first = next(iter(parts.values()))
    shared = [d for d in first if all(part.get(d) for part in parts.values())]
    if not shared:
        return NotRun(what)
    rows = {
        first[d].name: {
            f"{measure}, {name}": dot(get(part[d]))
            for name, part in parts.items()
            for measure, get in (
                ("clean", lambda r: r.accuracy(WORST, 0)),
                ("worst-case AUC", lambda r: r.area(WORST)),
            )
        }
        for d in shared
    }
    fig, data = dots(rows, value="class-balanced", limits=(-0.03, 1.03))
    runs = [part[d] for part in parts.values() for d in shared]
    spread = "; ".join(
        f"{name}: {sample([p[d] for d in shared], WORST, clean=True)}" for name, p in parts.items()
    )
    caption = (
        f"{what}: class-balanced clean accuracy and AUC({AREA_TO:g}) in the worst case of all "
        f"attacks, {whiskers(runs)}; {spread}; eps in shares of the beat's range."
    )
    said = "; ".join(
        f"{label}: " + ", ".join(f"{name} {percent(d.value)} %" for name, d in cells.items())
        for label, cells in rows.items()
    )
    alt = f"Dots with whiskers. {said}."
    return Drawing(fig, data, caption, alt, provenance(runs))
