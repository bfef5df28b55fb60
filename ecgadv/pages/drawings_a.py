"""The figures of the chapter on paper A, drawn from results, and the sentences under them."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ecgadv.figures.panels import Dot, Drawing, Line, NotRun, dots, panels
from ecgadv.figures.strips import strips
from ecgadv.pages import chosen_a, tables_a
from ecgadv.pages.captions_a import (
    INTERVALS,
    WILSON,
    both_saps,
    dots_in_words,
    drawn_pairs,
    options_of,
    sample,
    walks,
)
from ecgadv.pages.cells import percent
from ecgadv.pages.chosen_a import NAMES, Chosen, in_unit, level
from ecgadv.pages.marks import dot, line, provenance
from ecgadv.results.estimate import Estimate
from ecgadv.results.names import rank
from ecgadv.results.paired import difference
from ecgadv.results.result import WORST, Result

# Looks from 7 on have the colours of those from 0 on: these stand beside 0, 3 and 6.
OTHER_LOOKS = {"nsr": 11, "retuned": 8, "rescaled": 9}
TRAINED_ON_ATTACKS = ("ce", "at", "adt", "initadt", "distadt")


def look_of(result: Result) -> int:
    """Return the number of a defense's look, the same in all figures."""
    kind = result.defense.split("-")[0]
    usual = OTHER_LOOKS.get(kind, rank(result.defense, "paper-a")[0])
    return OTHER_LOOKS.get(result.variant, usual)


def clean(every: Chosen) -> Drawing | NotRun:
    """Draw accuracy and both F1 scores without an attack."""
    measures = {
        "accuracy": lambda r: r.accuracy(WORST, 0, balanced=False),
        "macro-F1": lambda r: chosen_a.f1(r, WORST, 0),
        "Han's F1": lambda r: chosen_a.f1(r, WORST, 0, han=True),
    }
    what = "Accuracy and F1 scores without an attack, macro-F1 over all classes and Han's over all "
    return _rows(every, measures, f"{what}but noise", value="accuracy, or F1")


def white_box(every: Chosen) -> Drawing | NotRun:
    """Draw accuracy under both forms of SAP and in the worst case of all attacks."""
    found = _ran(every)
    eps = level(found[0]) if found else 0.0
    measures = {
        said: lambda r, attack=attack: r.accuracy(attack, eps, balanced=False)
        for attack, said in NAMES.items()
        if attack in ("sap", "sap-40", WORST)
    }
    if found:
        return _rows(
            every, measures, f"Accuracy at {in_unit(found[0], eps)} under {both_saps(found)}"
        )
    return NotRun("Accuracy under white-box SAP")


def transfer(every: Chosen) -> Drawing | NotRun:
    """Draw accuracy under attacks on the network itself and under those made on the undefended."""
    found = _ran(every)
    if not found:
        return NotRun("Accuracy under transferred attacks")
    eps = level(found[0])
    measures = {
        NAMES[attack]: lambda r, attack=attack: r.accuracy(attack, eps, balanced=False)
        for attack in ("sap", "transfer-sap", "pgd", "transfer-pgd")
    }
    what = (
        f"Accuracy at {in_unit(found[0], eps)} under {NAMES['sap']} and PGD, made on the network "
        "itself and transferred from the undefended one of the same seed"
    )
    return _rows(every, measures, what)


def sweep(every: Chosen) -> Drawing | NotRun:
    """Draw accuracy against PGD's eps, in two panels."""
    found = _ran(every)
    if not found:
        return NotRun("Accuracy under PGD against the noise level")
    parts: dict[str, dict[str, Line]] = {"trained on attacks": {}, "not": {}}
    for result in found:
        kind = result.defense.split("-")[0]
        if kind in TRAINED_ON_ATTACKS:
            parts["trained on attacks"][result.name] = _curve(result, "pgd")
        if kind == "ce" or kind not in TRAINED_ON_ATTACKS:
            parts["not"][result.name] = _curve(result, "pgd")
    fig, data = panels(parts, x="eps of PGD (µV)", y="accuracy", row=2.9)
    steps = options_of(found[0], "pgd")["steps"]
    caption = (
        f"Accuracy against the noise level under PGD with {steps} steps of at least 1 µV that can "
        f"cross the whole ball; {sample(found, 'pgd')}. Left the undefended network and those "
        "trained on attacks, right the undefended one and the others. Bands: 95 % two-level "
        "bootstrap over seeds and records."
    )
    largest = max(found[0].own_attacks["pgd"])
    said = "; ".join(
        f"{r.name} from {_percent(r, 'pgd', 0)} to {_percent(r, 'pgd', largest)}" for r in found
    )
    alt = f"Falling lines. Percent of accuracy from clean to {in_unit(found[0], largest)}: {said}."
    return Drawing(fig, data, caption, alt, provenance(found))


def distances(every: Chosen) -> Drawing | NotRun:
    """Draw how far the boundary attack on each network stayed from its originals."""
    found = [r for r in _ran(every) if chosen_a.walked(r)]
    values = {r.name: _walked(r) for r in found if len(_walked(r))}
    if not values:
        return NotRun("Distances of the boundary attack")
    shown = [r for r in found if r.name in values]
    fig, data = strips(values, value="RMS distance (µV)", looks=[look_of(r) for r in shown])
    middles = {name: float(np.median(row)) for name, row in values.items()}
    caption = (
        "How far from the original the boundary attack on each network itself stood when it was "
        "stopped, one mark a pair of records and seed, with the median. "
        f"Root mean square over the recording; {walks(shown)}; {drawn_pairs(shown)}."
    )
    said = ", ".join(f"{name} {middle:.0f}" for name, middle in middles.items())
    alt = f"Strips of marks. Median distance in microvolts: {said}."
    return Drawing(fig, data, caption, alt, provenance(shown))


def transferred_walks(every: Chosen) -> Drawing | NotRun:
    """Draw how many of the boundary attack's examples each defended network withstands."""
    found = [r for r in _ran(every) if chosen_a.walked(r) and r.defense != "ce"]
    shares = {r: chosen_a.transferred(r) for r in found}
    shown = [r for r, stood in shares.items() if stood.n]
    if not shown:
        return NotRun("Transferred examples of the boundary attack")
    rows = {r.name: {"withstood": _share(shares[r])} for r in shown}
    fig, data = dots(rows, value="transferred examples withstood", limits=(-0.03, 1.03))
    smallest = min(shares[r].n for r in shown)
    caption = (
        "Share of the boundary attack's examples, found on the undefended network of the same "
        f"seed, that each network reads as the original's class; {WILSON}; at least "
        f"{smallest} pairs a seed; {walks(shown)}; "
        f"{drawn_pairs(shown, 'transfer-distance')}."
    )
    return Drawing(fig, data, caption, dots_in_words(rows), provenance(shown))


def by_class(every: Chosen) -> Drawing | NotRun:
    """Draw the share of each class that holds under SAP, for the networks that matter most."""
    wanted = [(d, "faithful") for d in ("ce", "distillation-1", "at-10", "adt-1")]
    found = [every[which] for which in wanted if every.get(which)]
    if not found:
        return NotRun("Sensitivity of each class under SAP")
    eps = level(found[0])
    rows: dict[str, dict[str, Dot]] = {}
    for result in found:
        for c, held in enumerate(chosen_a.sensitivity(result, "sap", eps)):
            label = f"{result.classes[c]}, {held.n} records"
            rows.setdefault(label, {})[result.name] = _share(held)
    fig, data = dots(rows, value=f"sensitivity under {NAMES['sap']}", limits=(-0.03, 1.03))
    caption = (
        f"Share of each class that holds at {in_unit(found[0], eps)} under {NAMES['sap']}; "
        f"{WILSON}, wide where a class has few records. Drawn are the undefended network, each "
        "half of ADT alone, and ADT, so that the classes stay readable; the table has every "
        "network. "
        f"{sample(found, 'sap')}."
    )
    return Drawing(fig, data, caption, dots_in_words(rows), provenance(found))


def ablations(every: Chosen) -> Drawing | NotRun:
    """Draw what each switch changes, on the same records."""
    pairs = tables_a.paired(every)
    if not pairs:
        return NotRun("What each switch changes")
    eps = level(pairs[0][1])
    attacks = _three_attacks(eps)
    rows = {
        said: {
            name: dot(difference(a, b, attack, eps=at, balanced=False))
            for name, (attack, at) in attacks.items()
        }
        for said, a, b in pairs
    }
    ends = [abs(end) for _, a, b in pairs for end in _ends(a, b, attacks.values())]
    widest = 1.2 * max(0.05, *ends)
    fig, data = dots(rows, value="change (points)", change=True, limits=(-widest, widest))
    found = [result for _, a, b in pairs for result in (a, b)]
    caption = (
        "What one change does to accuracy, without an attack and at "
        f"{in_unit(found[0], eps)} under {NAMES['sap']} and PGD, on the same test records and "
        f"seeds; {INTERVALS}, cut where they leave the drawing; {sample(found, 'sap')}. The table "
        "names the two networks of each row."
    )
    gaps = "; ".join(
        f"{said}: " + ", ".join(f"{n} {100 * d.value:+.1f}" for n, d in cells.items())
        for said, cells in rows.items()
    )
    alt = f"Dots with whiskers about zero. Percentage points: {gaps}."
    return Drawing(fig, data, caption, alt, provenance(found))


def temperature(every: Chosen) -> Drawing | NotRun:
    """Draw accuracy against ADT's temperature."""
    found = {int(r.defense[4:]): r for r in chosen_a.temperatures(every).values() if r}
    if len(found) < 2:
        return NotRun("ADT's temperature")
    order = sorted(found)
    runs = [found[t] for t in order]
    eps = level(runs[0])
    lines = {}
    for number, (name, (attack, at)) in enumerate(_three_attacks(eps).items()):
        values = [r.accuracy(attack, at, balanced=False) for r in runs]
        lines[name] = line(order, values, number)
    fig, data = panels({"ADT": lines}, x="temperature T", y="accuracy", log=True)
    fig.axes[0].set_xticks(order, map(str, order))
    fig.axes[0].minorticks_off()
    caption = (
        "Accuracy of ADT against its temperature, without an attack and at "
        f"{in_unit(runs[0], eps)} under {NAMES['sap']} and PGD; {sample(runs, 'sap')}. The "
        "authors' code has T = 1 alone; the others are ours. Bands: 95 % two-level bootstrap over "
        "seeds and records."
    )
    said = "; ".join(
        f"{name} {', '.join(percent(v) for v in line.y)}" for name, line in lines.items()
    )
    alt = f"Three lines over T = {', '.join(map(str, order))}. Accuracy in percent: {said}."
    return Drawing(fig, data, caption, alt, provenance(runs))


def _three_attacks(eps: float) -> dict[str, tuple[str, float]]:
    """Return what a switch is looked at under: name, attack and level."""
    return {"without an attack": (WORST, 0.0), NAMES["sap"]: ("sap", eps), "PGD": ("pgd", eps)}


def _ends(a: Result, b: Result, attacks: Iterable[tuple[str, float]]) -> list[float]:
    """Return the ends of the bootstrap intervals of a minus b."""
    gaps = [difference(a, b, attack, eps=eps, balanced=False).both for attack, eps in attacks]
    return [end for gap in gaps for end in (gap.low, gap.high)]


def _rows(
    every: Chosen,
    measures: Mapping[str, Callable[[Result], Estimate]],
    what: str,
    *,
    value: str = "accuracy",
) -> Drawing | NotRun:
    """Draw one row a network and one dot a measure."""
    found = _ran(every)
    if not found:
        return NotRun(what)
    rows = {r.name: {name: dot(get(r)) for name, get in measures.items()} for r in found}
    fig, data = dots(rows, value=value, limits=(-0.03, 1.03))
    attacks = ("sap",) if value == "accuracy" else ()
    caption = f"{what}; {INTERVALS}; {sample(found, *attacks)}."
    return Drawing(fig, data, caption, dots_in_words(rows), provenance(found))


def _curve(result: Result, attack: str) -> Line:
    levels = [0.0, *result.own_attacks[attack]]
    values = [result.accuracy(attack, eps, balanced=False) for eps in levels]
    return line(levels, values, look_of(result))


def _walked(result: Result) -> np.ndarray:
    values = chosen_a.distances(result).ravel()
    return values[values > 0]  # NaN where a pair was skipped


def _share(found: chosen_a.Share) -> Dot:
    return Dot(found.value, found.low, found.high)


def _percent(result: Result, attack: str, eps: float) -> str:
    return percent(result.accuracy(attack, eps, balanced=False).value)


def _ran(every: Chosen) -> list[Result]:
    return [result for result in every.values() if result]
