"""What a claim is judged by: grids of findings, one for each measure and each subject.

The subjects are the rivals of adversarial distillation training (ADT), the defenses that are
judged, or the networks. What was not run is a gap.
"""

from collections.abc import Mapping

from ecgadv.claims import measures, reasons
from ecgadv.claims.finding import Finding, Grid
from ecgadv.claims.measures import Measure
from ecgadv.experiments.suites.paper_b import NSR_BETA
from ecgadv.results.paired import shared_seeds
from ecgadv.results.records import Results
from ecgadv.results.result import WORST, Result

ADT, PLAIN, HARDENED = "adt-1", "ce", "at-10"
UNDEFENDED = "the undefended network"
RESNET = "residual network"
DEFENSES = {
    HARDENED: "adversarial training",
    "distillation-1": "defensive distillation",
    "jacobian-44": "Jacobian regularization",
    "nsr-1": "NSR regularization",
}
# Variants shown beside the defenses; the claims are about the authors' settings.
BESIDE = ("retuned", "rescaled")
WHITE = {"sap": reasons.SAP, "sap-40": reasons.SAP_40}
SAP_EPS = 10.0  # uV
LOW_EPS = (1.0, 2.0, 5.0, 10.0)  # uV
CLEAN = {reasons.NATURAL: False, reasons.BALANCED: True}
AREA = {"pgd-100": reasons.AREA_PGD, "sap": reasons.AREA_SAP, WORST: reasons.AREA_ALL}

Pairs = Mapping[str, tuple[Result | None, Result | None]]  # what is compared, by subject


def robustness(results: Results, margin: float) -> Grid:
    """Return ADT minus each defense by the four measures of A1."""
    found = {name: measures.accuracy_gain(sap, (SAP_EPS,)) for sap, name in WHITE.items()}
    found[reasons.TRANSFERRED] = measures.transfer_gain
    found[reasons.DIRECT] = measures.distance_gain
    return _grid(_rivals(results), found, margin)


def low_noise(results: Results, margin: float) -> Grid:
    """Return ADT minus the undefended network and each defense under PGD at low eps, for A2."""
    pairs = {UNDEFENDED: (han(results, ADT), han(results, PLAIN)), **_rivals(results)}
    return _grid(pairs, {reasons.LOW_PGD: measures.accuracy_gain("pgd", LOW_EPS)}, margin)


def doing_well(results: Results, margin: float) -> Grid:
    """Return each defense's accuracy under attack minus what counts as well, for A3.

    That is c + margin (a - c), where always giving the most frequent class is right for a share c
    and the undefended network without an attack for a share a.
    """
    plain = han(results, PLAIN)
    pairs = {name: (defense, plain) for name, defense in _defenses(results).items()}

    def made(part: float | None) -> dict[str, Measure]:
        found = {name: measures.kept(sap, SAP_EPS, part) for sap, name in WHITE.items()}
        return {**found, reasons.TRANSFERRED: measures.transfer_kept(part)}

    return _grid(pairs, made(margin), 0.0, reached=made(None))


def clean_gain(results: Results, margin: float) -> Grid:
    """Return ADT minus adversarial training without an attack, for A4."""
    pairs = {DEFENSES[HARDENED]: (han(results, ADT), han(results, HARDENED))}
    return _grid(pairs, _clean(), margin)


def area_gain(results: Results, margin: float) -> Grid:
    """Return NSR's gain in AUC(0.1) over the undefended network under every attack of B1."""
    return area_gain_of(networks(results), margin)


def area_gain_of(pairs: Pairs, margin: float) -> Grid:
    """Return the same of the pairs given."""
    found = {name: measures.area_gain(attack) for attack, name in AREA.items()}
    return _grid(pairs, found, margin)


def clean_cost(results: Results, margin: float) -> Grid:
    """Return NSR's change in clean accuracy, for B2."""
    return clean_cost_of(networks(results), margin)


def clean_cost_of(pairs: Pairs, margin: float) -> Grid:
    """Return the same of the pairs given."""
    return _grid(pairs, _clean(), -margin)


def _clean() -> dict[str, Measure]:
    return {name: measures.clean_change(balanced=balanced) for name, balanced in CLEAN.items()}


def han(results: Results, defense: str) -> Result | None:
    return results.one(network="han", defense=defense, variant="faithful")


def _defenses(results: Results) -> dict[str, Result | None]:
    """Return the four defenses with the authors' settings, then those shown beside."""
    found = {name: han(results, defense) for defense, name in DEFENSES.items()}
    beside = [r for variant in BESIDE for r in results.pick(network="han", variant=variant)]
    return found | {result.name: result for result in beside}


def _rivals(results: Results) -> Pairs:
    return {name: (han(results, ADT), other) for name, other in _defenses(results).items()}


def networks(results: Results) -> Pairs:
    """Return NSR at the authors' beta and the undefended network, for the MLP and the CNN.

    A network with a single seed of either is left out while another has more: one seed has no
    interval over seeds.
    """
    found: dict[str, tuple[Result | None, Result | None]] = {}
    for model, beta in NSR_BETA.items():
        network = model.removeprefix("beat-")
        where = {"split": "beatwise", "variant": "faithful", "network": network}
        nsr, plain = (results.one(**where, defense=d) for d in (f"nsr-{beta:g}", PLAIN))
        found[network.upper()] = (nsr, plain)
    number = {name: len(shared_seeds(*pair)) if all(pair) else 0 for name, pair in found.items()}
    most = max(number.values())
    return {n: p if number[n] > 1 or most < 2 else (None, None) for n, p in found.items()}


def _grid(
    pairs: Pairs,
    found: Mapping[str, Measure],
    threshold: float,
    reached: Mapping[str, Measure] | None = None,
) -> Grid:
    """Return every measure of every pair of networks; what is shown beside leaves no gap.

    Args:
        pairs: by subject.
        found: the measures by name.
        threshold: what they are compared with.
        reached: the measures of what a subject itself reached.
    """
    grid: dict[tuple[str, str], Finding | None] = {}
    for what, measure in found.items():
        for subject, pair in pairs.items():
            value = measure(*pair) if all(pair) and shared_seeds(*pair) else None
            counts = subject in (UNDEFENDED, *DEFENSES.values(), "MLP", "CNN", RESNET)
            if value is not None:
                own = reached and reached[what](*pair).value
                data = pair[0].config["dataset"]
                grid[what, subject] = Finding(what, subject, data, value, threshold, counts, own)
            elif counts:
                grid[what, subject] = None
    return grid
