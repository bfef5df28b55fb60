"""The verdicts on claims B1 and B2, computed from results by the rules of book/claims.yml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecgadv.experiments.suites.paper_b import NSR_BETA
from ecgadv.figures import Table
from ecgadv.pages import judgements
from ecgadv.pages.judgements import NOT, OPEN, PARTLY, SUPPORTED, Finding, Judgement, within
from ecgadv.pages.markdown import Markdown
from ecgadv.results.paired import difference
from ecgadv.results.records import Results
from ecgadv.results.result import AREA_TO, WORST, Result

ATTACKS = {"pgd-100": "the authors' PGD", "sap": "SAP", WORST: "the worst case"}
DATASETS = {"mitdb": "MIT-BIH", "cpsc2018": "CPSC2018"}
SPLIT, VARIANT = "beatwise", "faithful"


@dataclass(frozen=True)
class Ruling(Judgement):
    """The verdict on a claim of paper B."""

    profile: str  # of the records behind it

    @property
    def not_run(self) -> str:
        """A sentence on what of the claim was not run in this profile, or nothing."""
        if not self.missing:
            return ""
        return f" Not run in profile `{self.profile}`: {', '.join(self.missing)}."

    @property
    def evidence(self) -> str:
        numbers = [
            f"* {f.network.upper()}, {f.what}: {within(f.estimate)}, "
            f"n = {f.estimate.both.n_examples:,} beats, {f.estimate.seeds.n_seeds} seeds"
            for f in self.findings
        ]
        lead = (
            f"On MIT-BIH, beatwise split: {self.on_data}.{self.not_run} NSR minus undefended in "
            "percentage points, with 95 % interval:"
        )
        return "\n".join([lead, "", *numbers])


def pairs(results: Results) -> list[tuple[Result, Result]]:
    """Return NSR at the authors' beta and the undefended network, for every network run.

    A network with a single seed of either is left out while another has more: one seed has no
    interval over seeds.
    """
    found = []
    for model, beta in NSR_BETA.items():
        where = {"split": SPLIT, "variant": VARIANT, "network": model.removeprefix("beat-")}
        nsr, undefended = (results.one(**where, defense=d) for d in (f"nsr-{beta:g}", "ce"))
        if nsr and undefended and set(nsr.seeds) & set(undefended.seeds):
            found.append((nsr, undefended))
    several = [pair for pair in found if len(set(pair[0].seeds) & set(pair[1].seeds)) > 1]
    return several or found


def robustness_gains(results: Results, margin: float) -> tuple[Finding, ...]:
    """Return NSR's gain in AUC(0.1) under every attack that B1 is judged by."""
    return tuple(
        Finding(
            f"AUC({AREA_TO:g}) under {name}", nsr.network, difference(nsr, plain, attack), margin
        )
        for nsr, plain in pairs(results)
        for attack, name in ATTACKS.items()
    )


def clean_changes(results: Results, margin: float) -> tuple[Finding, ...]:
    """Return NSR's change in clean accuracy, natural and class-balanced, for B2."""
    return tuple(
        Finding(
            f"{word} clean accuracy",
            nsr.network,
            difference(nsr, plain, WORST, eps=0, balanced=balanced),
            -margin,
        )
        for nsr, plain in pairs(results)
        for balanced, word in ((False, "natural"), (True, "class-balanced"))
    )


def judge(claim: dict, results: Results, others: Sequence[Results] = ()) -> Ruling | None:
    """Return the verdict on B1 or B2, or None where its networks were not run.

    Args:
        claim: the entry of claims.yml, with its rule.
        results: of paper B, in the profile that the rule asks for.
        others: of other profiles, which decide nothing and are named where a network was only run
            there.
    """
    rule = claim["rule"]
    measure = {"B1": robustness_gains, "B2": clean_changes}[claim["id"]]
    findings = measure(results, rule["margin"])
    if not findings:
        return None
    on_data = weigh(findings)
    ran = {nsr.config["dataset"] for nsr, _ in pairs(results)}
    networks = {nsr.network for nsr, _ in pairs(results)}
    missing = [_elsewhere(n, others) for n in ("mlp", "cnn") if n not in networks]
    missing += [DATASETS[name] for name in rule["datasets"] if name not in ran]
    verdict = PARTLY if on_data == SUPPORTED and missing else on_data
    return Ruling(claim["id"], verdict, on_data, findings, tuple(missing), results.profile)


def _elsewhere(network: str, others: Sequence[Results]) -> str:
    """Return a network by name, with the other profiles in which it was run."""
    ran = [f"`{r.profile}`" for r in others if r.pick(network=network)]
    return (
        f"{network.upper()} (profile {', '.join(ran)}: see the chapter)" if ran else network.upper()
    )


def weigh(findings: Sequence[Finding]) -> str:
    """Return the verdict that the findings give, as the rules of claims.yml word it."""
    if min(f.estimate.seeds.n_seeds for f in findings) < 2:
        return OPEN
    if all(f.above for f in findings):
        return SUPPORTED
    if all(f.below for f in findings):
        return NOT
    return PARTLY if any(f.above for f in findings) else OPEN


def statement(claim: Mapping, ruling: Ruling | None) -> Markdown:
    """Write a claim, its rule, what was found, and the verdict, for the chapter on paper B."""
    if ruling is None:
        return judgements.statement(claim, None, "")
    verdict = f"{ruling.verdict}.** On MIT-BIH, where it was run: {ruling.on_data}.{ruling.not_run}"
    found = ruling.findings
    table = Table(
        {
            "network": [f.network.upper() for f in found],
            "NSR minus undefended": [f.what for f in found],
            **judgements.columns(found),
        }
    )
    return judgements.statement(claim, table, verdict)
