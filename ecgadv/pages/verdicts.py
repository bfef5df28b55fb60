"""The verdicts on claims B1 and B2, computed from results by the rules of book/claims.yml."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgadv.claims import save_verdict
from ecgadv.experiments.suites import NSR_BETA
from ecgadv.pages.estimates import Estimate
from ecgadv.pages.paired import difference
from ecgadv.pages.result import AREA_TO, WORST, Result
from ecgadv.pages.results import Results

SUPPORTED, PARTLY, NOT, OPEN = "supported", "partly supported", "not supported", "inconclusive"
ATTACKS = {"pgd-100": "the authors' PGD", "sap": "SAP", WORST: "the worst case"}
DATASETS = {"mitdb": "MIT-BIH", "cpsc2018": "CPSC2018"}
SPLIT, VARIANT = "beatwise", "faithful"


@dataclass(frozen=True)
class Finding:
    """One number that a claim stands or falls by.

    Args:
        what: the number in words.
        network: mlp or cnn.
        estimate: NSR minus undefended, with its intervals.
        threshold: what it is compared with.
    """

    what: str
    network: str
    estimate: Estimate
    threshold: float

    @property
    def above(self) -> bool:
        return self.estimate.low > self.threshold

    @property
    def below(self) -> bool:
        return self.estimate.high < self.threshold


@dataclass(frozen=True)
class Judgement:
    """The verdict on one claim and what it rests on."""

    claim: str
    verdict: str  # one of ecgadv.claims.VERDICTS
    on_data: str  # the verdict on the data set that was run, before any cap
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]  # networks and data sets of the claim that were not run

    @property
    def evidence(self) -> str:
        """The numbers in one line (MyST markdown)."""
        numbers = "; ".join(
            f"{f.network.upper()}, {f.what} {points(f.estimate.value)} "
            f"[{points(f.estimate.low)}, {points(f.estimate.high)}], "
            f"n = {f.estimate.both.n_examples:,} beats, {f.estimate.seeds.n_seeds} seeds"
            for f in self.findings
        )
        rest = f" Not run: {', '.join(self.missing)}." if self.missing else ""
        return (
            f"MIT-BIH, beatwise: {self.on_data}. NSR minus undefended in percentage points with "
            f"95 % interval: {numbers}.{rest}"
        )


def points(value: float) -> str:
    """Return a difference in percentage points, with its sign."""
    return f"{100 * value:+.1f}"


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


def judge(claim: dict, results: Results) -> Judgement | None:
    """Return the verdict on B1 or B2, or None where its networks were not run.

    Args:
        claim: the entry of claims.yml, with its rule.
        results: of paper B, in the profile that the rule asks for.
    """
    rule = claim["rule"]
    measure = {"B1": robustness_gains, "B2": clean_changes}[claim["id"]]
    findings = measure(results, rule["margin"])
    if not findings:
        return None
    on_data = weigh(findings)
    ran = {nsr.config["dataset"] for nsr, _ in pairs(results)}
    networks = {nsr.network for nsr, _ in pairs(results)}
    missing = [n.upper() for n in ("mlp", "cnn") if n not in networks]
    missing += [DATASETS[name] for name in rule["datasets"] if name not in ran]
    verdict = PARTLY if on_data == SUPPORTED and missing else on_data
    return Judgement(claim["id"], verdict, on_data, findings, tuple(missing))


def weigh(findings: Sequence[Finding]) -> str:
    """Return the verdict that the findings give, as the rules of claims.yml word it."""
    if min(f.estimate.seeds.n_seeds for f in findings) < 2:
        return OPEN
    if all(f.above for f in findings):
        return SUPPORTED
    if all(f.below for f in findings):
        return NOT
    return PARTLY if any(f.above for f in findings) else OPEN


def publish(
    judgements: Iterable[Judgement | None], *, profile: str, page: str, out: str | Path
) -> None:
    """Save the verdicts for the front page; a claim that was not run has none.

    Args:
        judgements: of `judge`.
        profile: of the records behind them.
        page: the page that shows the evidence.
        out: the notebook's output folder.
    """
    for judgement in filter(None, judgements):
        save_verdict(
            judgement.claim,
            verdict=judgement.verdict,
            evidence=judgement.evidence,
            page=page,
            profile=profile,
            out=out,
        )
