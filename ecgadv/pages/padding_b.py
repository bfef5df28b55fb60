"""What paper B's networks withstand where the padding is left alone (row B14)."""

from collections.abc import Mapping

from ecgadv.claims import NOT_RUN
from ecgadv.figures import Table
from ecgadv.pages.cells import bounds, of_rows, percent
from ecgadv.pages.chosen_b import NAMES, PROTOCOLS, SHOWN_EPS, STRONGEST, chosen
from ecgadv.pages.markdown import Markdown
from ecgadv.results.records import Results
from ecgadv.results.result import Result

# A defense by protocol and name: attacked everywhere, and with the padding left alone.
Pairs = Mapping[tuple[str, str], tuple[Result, Result]]


def pairs(results: Results) -> Pairs:
    """Return the MLP's defenses that were run both ways, of either protocol."""
    found = {}
    for variant in PROTOCOLS:
        whole = chosen(results, "mlp", variant=variant)
        bare = chosen(results, "mlp", variant=f"{variant}-masked")
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


def order(found: Pairs) -> Markdown:
    """Say how much the defenses of either protocol hold once the padding is left alone."""
    return Markdown("\n".join(f"* {_order(found, variant)}" for variant in PROTOCOLS))


def _order(found: Pairs, variant: str) -> str:
    """Return the defenses of one protocol by their AUC, the largest first."""
    words = {"faithful": "trained by the authors' protocol", "corrected": "trained as corrected"}
    own = [bare for (protocol, _), (_, bare) in found.items() if protocol == variant]
    lead = f"**The recording alone, {words[variant]}**"
    if not own:
        return f"{lead}: {NOT_RUN}."
    own.sort(key=lambda r: -r.area(STRONGEST).value)
    told = [
        f"{r.name} {percent(area.value)} % [{percent(area.low)}, {percent(area.high)}]"
        for r, area in ((r, r.area(STRONGEST)) for r in own)
    ]
    seeds = sorted({len(r.seeds) for r in own})
    number = " or ".join(map(str, seeds)) + (" seed" if seeds == [1] else " seeds")
    return (
        f"{lead}: AUC(0.1) under {NAMES[STRONGEST]}, with the padding left alone, is "
        f"{'; '.join(told)} (n = {own[0].attacked(STRONGEST):,}, {number})."
    )
