"""What the chapter on paper A reads off its records: which networks, scores, and boundary walks."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import scores
from ecgadv.evaluation.intervals import Interval, seed_interval
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.evaluation.scores import Share
from ecgadv.experiments import suites
from ecgadv.experiments.evaluate import HAN_CLASSES
from ecgadv.results.estimate import Estimate
from ecgadv.results.names import plain, rank
from ecgadv.results.records import Results
from ecgadv.results.result import WORST, Result

EXPERIMENT, NETWORK = "paper-a", "han"
NAMES = {
    "sap": "SAP 20 + 20",
    "sap-40": "SAP 20 + 40",
    "pgd": "PGD",
    "pgd-authors": "authors' PGD",
    "transfer-sap": "SAP 20 + 20, transferred",
    "transfer-pgd": "PGD, transferred",
    WORST: "worst case of all",
}
OF_THE_PAPER = ("faithful", "retuned", "rescaled")
Chosen = Mapping[tuple[str, str], Result | None]  # by defense and variant; None is not run


def planned(profile: str) -> dict[tuple[str, str], int]:
    """Return the defenses and variants of a profile with their numbers of seeds."""
    if ("paper-a", profile) not in suites.SUITES:
        raise EcgadvError(f"paper A has no profile {profile!r}; see `ecgadv status`")
    plan = {_parts(c.label): seeds for c, seeds in suites.plan("paper-a", profile)}
    return dict(sorted(plan.items(), key=lambda item: rank(item[0][0], "paper-a")))


def chosen(results: Results) -> Chosen:
    """Return every network of the profile's plan, and None for what was not run."""
    found = {(r.defense, r.variant): r for r in results.pick(network=NETWORK)}
    return {which: found.get(which) for which in planned(results.profile)}


def of_the_paper(every: Chosen) -> Chosen:
    """Return the networks that the paper compares, with our scale of two penalties beside."""
    return {w: r for w, r in every.items() if w[1] in OF_THE_PAPER}


def temperatures(every: Chosen) -> Chosen:
    """Return ADT at every temperature."""
    kept = ("faithful", "ours")
    return {w: r for w, r in every.items() if w[0].startswith("adt-") and w[1] in kept}


def name(which: tuple[str, str], *, unit: str = "uV") -> str:
    """Return a defense and variant in words."""
    return plain(which[0], "paper-a", variant=which[1], unit=unit)


def level(result: Result) -> float:
    """Return the eps of SAP, at which all attacks can be compared."""
    return result.own_attacks["sap"][0]


def in_unit(result: Result, eps: float) -> str:
    """Return a noise level with its unit."""
    return f"{eps:g} µV" if result.unit == "uV" else f"{eps:g} of the beat's range"


def predicted(result: Result, attack: str, eps: float) -> np.ndarray:
    """Return the classes under an attack (S, N), 255 where not attacked; eps 0 is no attack."""
    return result.predictions if eps == 0 else result.arrays(f"predicted/{attack}/{eps:g}")


def f1(result: Result, attack: str, eps: float, *, han: bool = False) -> Estimate:
    """Return macro-F1 over all classes, or Han's over all but the last, noise (row A19)."""
    return _f1(result, attack, eps, han)


@cache
def _f1(result: Result, attack: str, eps: float, han: bool) -> Estimate:
    k = len(result.classes)
    about = (predicted(result, attack, eps), result.y, k, range(HAN_CLASSES if han else k))
    return Estimate(seed_interval(scores.macro_f1(*about)), scores.f1_interval(*about))


def sensitivity(result: Result, attack: str, eps: float) -> list[Share]:
    """Return for every class the share of its test records that hold."""
    held = result.held(attack, eps)
    return [scores.share(held[:, result.y == c]) for c in range(len(result.classes))]


def walked(result: Result) -> bool:
    """Return whether the boundary attack was run."""
    return bool(result.config.get("boundary"))


def walked_pairs(found: Sequence[Result], walk: str = "distance") -> tuple[int, int, int]:
    """Return how many pairs were drawn, and the fewest and most that were walked in a seed.

    Args:
        found: results that were put through the boundary attack.
        walk: "distance" for the walks on each network itself, "transfer-distance" for those on
            the undefended one.
    """
    flags = [~np.isnan(r.arrays(f"boundary/{walk}")) for r in found]
    counts = [int(n) for rows in flags for n in rows.sum(axis=1)]
    return flags[0].shape[1], min(counts), max(counts)


def authors_iterations() -> int:
    """Return how many iterations the authors' boundary attack has."""
    (first, _), *_ = suites.plan(EXPERIMENT, "paper")
    return first.boundary["steps"]


def distances(result: Result) -> np.ndarray:
    """Return how far the boundary attack stayed from each original, RMS (S, P), NaN: skipped."""
    return result.arrays("boundary/distance").astype(float)


def most_frequent(result: Result) -> tuple[str, float]:
    """Return the most frequent class of the test part, and the share that always saying it gets."""
    counts = np.bincount(result.y)
    return result.classes[int(counts.argmax())], float(counts.max() / counts.sum())


def queries(result: Result) -> float:
    """Return the median number of queries of a pair that was walked."""
    asked = result.arrays("boundary/queries")
    return float(np.median(asked[asked > 0])) if (asked > 0).any() else float("nan")


def median_distance(result: Result) -> Interval | None:
    """Return the median distance over seeds and pairs, None if every pair was skipped."""
    found = distances(result)
    return None if np.isnan(found).all() else scores.median_interval(found)


def transferred(result: Result) -> Share:
    """Return the share of the boundary attack's examples, found on the undefended network of the
    same seed, that this network reads as the original's class.

    Seeds have different undefended networks, so a pair counts in the seeds that walked it.
    """
    ends = result.arrays("boundary/transfer")
    right = ends == result.y[result.arrays("boundary/original")]
    flags = np.where(ends == NOT_ATTACKED, NOT_ATTACKED, right).astype(np.uint8)
    by_seed = [scores.share(row[None]) for row in flags]
    seen = [found for found in by_seed if found.n]
    if not seen:
        return Share(float("nan"), float("nan"), float("nan"), 0)
    value = float(np.mean([found.value for found in seen]))
    low, high = min(found.low for found in seen), max(found.high for found in seen)
    return Share(value, low, high, min(found.n for found in seen))


def _parts(label: str) -> tuple[str, str]:
    _, _, defense, variant = label.split("/")
    return defense, variant
