"""What the captions of the chapter on paper B say of data, attacks and intervals."""

from collections.abc import Sequence

import numpy as np

from ecgadv.pages.cells import percent
from ecgadv.pages.chosen_b import NAMES, SHOWN_EPS
from ecgadv.results.result import AUTO, IN_RANGE, WORST, Result


def whiskers(results: Sequence[Result]) -> str:
    """Return what the whiskers of these results are."""
    return (
        f"thick whiskers: {bootstrap(results)}; thin ones: on to the 95 % interval of Student's t "
        "over seeds, where it reaches further"
    )


def bands(results: Sequence[Result]) -> str:
    """Return what the bands of these results are."""
    return f"Bands: {bootstrap(results)}"


def bootstrap(results: Sequence[Result]) -> str:
    """Return the bootstrap of these results in words, with what it takes as independent."""
    text = f"95 % two-level bootstrap over {drawn(results)}"
    if any(result.patients is None for result in results):
        text += ", where beats drawn singly count as independent though those of one person are not"
    return text


def drawn(results: Sequence[Result]) -> str:
    """Return what the bootstrap of these results draws, such as "patients and seeds"."""
    splits: dict[str, list[str]] = {}
    for result in results:
        what = "beats and seeds" if result.patients is None else "patients and seeds"
        splits.setdefault(what, []).append(result.split)
    if len(splits) < 2:
        return next(iter(splits), "beats and seeds")
    return " or ".join(f"{what} ({', '.join(dict.fromkeys(of))})" for what, of in splits.items())


def describe(results: Sequence[Result], attack: str) -> str:
    """Return an attack with its settings in words, as the records hold them."""
    if attack == AUTO:
        losses = [a for a in results[0].config["attacks"] if a["method"] == "apgd"]
        told = [describe(results, a["name"]) for a in losses]
        return f"{told[0]}, or {told[1]}" if len(told) > 1 else told[0]
    if attack in (WORST, IN_RANGE):
        ran = [a for a in results[0].config["attacks"] if attack == WORST or a["bounded"]]
        names = [NAMES[a["name"]] for a in ran]
        return f"the worst case, beat by beat, of {', '.join(names[:-1])} and {names[-1]}"
    settings = {a["name"]: a for a in results[0].config["attacks"]}[attack]
    options = settings["options"]
    if attack == "spsa":
        return (
            f"SPSA ({options['steps']} steps of Adamax on the sign of a gradient estimated from "
            f"{options['samples']:,} directions, no gradient asked for)"
        )
    if attack == "noise":
        return "uniform white noise, one draw a beat"
    if attack.startswith("pgd-100"):
        return (
            f"the authors' PGD ({options['steps']} steps of Adamax on gradient signs, learning "
            f"rate {options['step_size']:g}, random start)"
        )
    if attack == "sap":
        return (
            f"smooth adversarial perturbations ({options['pgd_steps']} + "
            f"{options['smooth_steps']} steps of {options['step_size']:g})"
        )
    if settings["method"] == "apgd":
        loss = {"margin": "margin loss", "dlr": "DLR loss"}[options.get("loss", "margin")]
        return (
            f"Auto-PGD aimed at each of {options['targets']} wrong classes in turn "
            f"({options['steps']} steps each, {loss}, {options['restarts']} random starts)"
        )
    return (
        f"our PGD ({options['steps']} sign steps of {options['relative_step']:g} eps, margin loss, "
        f"{options['restarts']} random starts)"
    )


def sample(results: Sequence[Result], *attacks: str, clean: bool = False) -> str:
    """Return n, seeds and profile in words.

    Args:
        results: what is shown.
        attacks: which of their attacks are shown.
        clean: accuracy without an attack is shown beside them, of all test beats.
    """
    sizes = {"without an attack": {len(r.y) for r in results}} if clean else {}
    sizes |= {NAMES[a]: {r.attacked(a) for r in results if a in r.attacks} for a in attacks}
    counts = {
        name: " to ".join(f"{n:,}" for n in dict.fromkeys((min(found), max(found))))
        for name, found in sizes.items()
    }
    if len(set(counts.values())) == 1:
        n = f"n = {next(iter(counts.values()))} test beats"
    else:
        n = ", ".join(f"n = {count} test beats ({name})" for name, count in counts.items())
    seeds = sorted({tuple(r.seeds) for r in results}, key=len)
    words = " or ".join(", ".join(map(str, group)) for group in seeds)
    first = results[0]
    data = "synthetic beats" if first.config["dataset"] == "synthetic" else "MIT-BIH"
    known = first.patients
    people = "" if known is None else f" with {len(np.unique(known))} test patients"
    return f"{data}, {first.split} split{people}, {n}, seeds {words}, profile {first.profile}"


def fall(found: Sequence[Result], attack: str) -> str:
    """Return what a figure of falling curves shows, for those who cannot see it."""
    parts = [
        f"{r.name} from {percent(r.accuracy(attack, 0).value)} to "
        f"{percent(r.accuracy(attack, SHOWN_EPS).value)}"
        for r in found
    ]
    return (
        f"Falling lines. Percent of accuracy from clean to eps {SHOWN_EPS:g}: {'; '.join(parts)}."
    )
