"""What paper B's networks withstand where the padding is left alone (row B14)."""

from collections.abc import Mapping

from ecgadv.claims import NOT_RUN
from ecgadv.figures import Table
from ecgadv.pages.cells import bounds, of_rows, percent
from ecgadv.pages.chosen_b import NAMES, PROTOCOLS, SHOWN_EPS, STRONGEST, chosen
from ecgadv.pages.markdown import Markdown
from ecgadv.pages.result import Result
from ecgadv.pages.results import Results

# A defense by protocol and name: attacked everywhere, and with the padding left alone.
Pairs = Mapping[tuple[str, str], tuple[Result, Result]]


def pairs(results: Results, network: str = "mlp") -> Pairs:
    """Return the defenses that were run both ways, of the authors' protocol and the corrected."""
    found = {}
    for variant in PROTOCOLS:
        whole = chosen(results, network, variant=variant)
        bare = chosen(results, network, variant=f"{variant}-masked")
        both = {d: (whole[d], bare[d]) for d in whole if whole[d] and bare[d]}
        found |= {(variant, defense): pair for defense, pair in both.items()}
    return found


def table(found: Pairs) -> Table:
    """Return accuracy under the strongest attack, with the padding attacked and left alone."""
    head = ("protocol", "defense", "clean, %")
    ways = ("all attacked", "padding left alone")
    head += tuple(f"eps {SHOWN_EPS:g}, {way}, %" for way in ways)
    head += tuple(f"AUC, {way}, %" for way in ways)
    head += ("of the last, t over seeds", "of the last, bootstrap", "n", "seeds")
    rows = []
    for (variant, _), pair in found.items():
        whole, bare = pair
        area = bare.area(STRONGEST)
        rows.append(
            (
                variant,
                bare.name,
                percent(bare.accuracy(STRONGEST, 0).value),
                *(percent(r.accuracy(STRONGEST, SHOWN_EPS).value) for r in pair),
                percent(whole.area(STRONGEST).value),
                percent(area.value),
                bounds(area.seeds),
                bounds(area.both),
                f"{bare.attacked(STRONGEST):,}",
                f"{len(whole.seeds)} and {len(bare.seeds)}",
            )
        )
    return of_rows(head, rows or [(NOT_RUN, *[""] * (len(head) - 1))])


def most(found: Pairs) -> Markdown:
    """Say which defense of either protocol holds most once the padding is left alone."""
    lines = []
    for variant in PROTOCOLS:
        areas = {
            bare.name: (whole.area(STRONGEST).value, bare.area(STRONGEST).value)
            for (protocol, _), (whole, bare) in found.items()
            if protocol == variant
        }
        if not areas:
            lines.append(f"* Protocol {variant}: {NOT_RUN}.")
            continue
        best = max(areas, key=lambda name: areas[name][1])
        gained = max(areas, key=lambda name: areas[name][1] - areas[name][0])
        before, after = (percent(value) for value in areas[gained])
        lines.append(
            f"* Protocol {variant}, under {NAMES[STRONGEST]} with the padding left alone: {best} "
            f"has the largest AUC(0.1), {percent(areas[best][1])} %. The padding costs most to "
            f"{gained}: {before} % with it attacked, {after} % without."
        )
    return Markdown("\n".join(lines))
