"""Tables of the chapter on paper B: what was run, how accurate, how robust, how sure."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ecgadv.claims import NOT_RUN, NOT_TRANSCRIBED, reported
from ecgadv.evaluation import metrics
from ecgadv.evaluation.intervals import mcnemar
from ecgadv.experiments import suites
from ecgadv.figures import Table
from ecgadv.pages.captions_b import drawn
from ecgadv.pages.cells import bounds, of_rows, percent, points, signed_bounds
from ecgadv.pages.chosen_b import ATTACK_NAMES, SHOWN_EPS, area_on_common, ranks
from ecgadv.results.names import plain
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.records import Results
from ecgadv.results.result import IN_RANGE, WORST, Result


def planned(results: Results) -> Table:
    """Return what the suite holds in this profile, and of which of it there are how many seeds."""
    groups: dict[tuple[str, str, str], tuple[list[str], list[str]]] = {}
    for config, seeds in suites.plan("paper-b", results.profile):
        split, network, defense, variant = config.label.split("/")
        found = results.one(split=split, network=network, defense=defense, variant=variant)
        done, missing = groups.setdefault((split, network, variant), ([], []))
        if found is None:
            missing.append(plain(defense))
        else:
            done.append(f"{plain(defense)} ({len(found.seeds)} of {seeds} seeds)")
    rows = [
        (split, network.upper(), variant, "; ".join(done) or "nothing", "; ".join(missing) or "-")
        for (split, network, variant), (done, missing) in groups.items()
    ]
    return of_rows(("split", "network", "variant", "run", NOT_RUN), rows)


def clean(results: dict[str, Result | None], reported_path: str | Path | None = None) -> Table:
    """Return clean accuracy with its intervals and macro-F1.

    Args:
        results: by defense, None where not run.
        reported_path: reported.yml, to put what the paper reports beside it.
    """
    head = ["defense"]
    over = drawn([result for result in results.values() if result])
    for kind in ("natural", "class-balanced"):
        head += [f"{kind}, %", f"{kind}, t over seeds", f"{kind}, bootstrap over {over}"]
    head += ["macro-F1, %", "seeds"]
    head += ["reported"] * (reported_path is not None)
    rows = []
    for defense, result in results.items():
        if result is None:
            rows.append((plain(defense), *[NOT_RUN] * 8, NOT_TRANSCRIBED)[: len(head)])
            continue
        cells: list[Any] = [result.name]
        for balanced in (False, True):
            found = result.accuracy(WORST, 0, balanced=balanced)
            cells += [percent(found.value), bounds(found.seeds), bounds(found.both)]
        f1 = [metrics.macro_f1(p, result.y, len(result.classes)) for p in result.predictions]
        cells += [percent(float(np.mean(f1))), len(result.seeds)]
        if reported_path is not None:
            cells.append(paper_says(reported_path, result, attack="none", metric="accuracy"))
        rows.append(cells)
    return of_rows(head, rows)


def headline(results: dict[str, Result | None]) -> Table:
    """Return accuracy without an attack and under each at eps 0.1, means over seeds.

    The heads give the number of beats, because not every attack saw all of them.
    """
    ran = [result for result in results.values() if result]
    head = ["defense", f"clean, %{_n(len(result.y) for result in ran)}"]
    head += [
        f"{name} at eps {SHOWN_EPS:g}, %{_n(result.attacked(attack) for result in ran)}"
        for attack, name in ATTACK_NAMES.items()
    ]
    rows = []
    for defense, result in results.items():
        if result is None:
            rows.append((plain(defense), *[NOT_RUN] * (len(head) - 1)))
            continue
        values = [result.accuracy(WORST, 0).value]
        values += [result.accuracy(attack, SHOWN_EPS).value for attack in ATTACK_NAMES]
        rows.append((result.name, *map(percent, values)))
    return of_rows(head, rows)


def bracket(results: dict[str, Result | None]) -> Table:
    """Return the class-balanced accuracy that is proved, and that attacks leave, by noise level.

    Attacks that may leave the range of the data are outside what is proved, and do not count.
    """
    ran = [result for result in results.values() if result and result.proof]
    head = ["defense", f"clean, %{_n(result.attacked(WORST) for result in ran)}"]
    levels = ran[0].proof[:2] if ran else []
    head += [f"eps {eps:g}, {what}, %" for eps in levels for what in ("proved", "attacks leave")]
    rows = []
    for result in ran:
        cells = [percent(result.accuracy(WORST, 0).value)]
        for eps in levels:
            pair = result.accuracy_proved(eps), result.accuracy(IN_RANGE, eps)
            cells += [percent(found.value) for found in pair]
        rows.append((result.name, *cells))
    return of_rows(head, rows)


def summaries(results: dict[str, Result | None], reported_path: str | Path) -> Table:
    """Return paper B's AUC(0.1) and ACC_robust under every attack, with intervals."""
    found = [result for result in results.values() if result]
    words = ("t over seeds", f"bootstrap over {drawn(found)}", "reported")
    head = ("attack", "defense", "clean (all beats), %", "AUC(0.1), %", "ACC_robust, %")
    head += tuple(f"ACC_robust, {word}" for word in words)
    head += ("n attacked", "seeds")
    rows = []
    missing = [plain(defense) for defense, result in results.items() if result is None]
    for attack, name in ATTACK_NAMES.items():
        for result in found:
            robust = result.acc_robust(attack)
            said = paper_says(reported_path, result, attack=attack, metric="acc_robust")
            rows.append(
                (
                    name,
                    result.name,
                    percent(result.accuracy(WORST, 0).value),
                    percent(result.area(attack).value),
                    percent(robust.value),
                    bounds(robust.seeds),
                    bounds(robust.both),
                    said,
                    f"{robust.both.n_examples:,}",
                    len(result.seeds),
                )
            )
    rows += [("all", name, *[NOT_RUN] * 5, NOT_TRANSCRIBED, "", "") for name in missing]
    return of_rows(head, rows)


def paper_says(path: str | Path, result: Result, *, attack: str, metric: str) -> str:
    """Return what paper B reports of this network, in percent, or "not transcribed"."""
    if attack not in ("none", "pgd-100", "sap") or result.variant != "faithful":
        return "-"
    value = reported(
        path,
        paper="ma2022",
        dataset="mitdb",
        network=result.network,
        defense=result.defense,
        attack=attack,
        metric=metric,
    )
    return value if isinstance(value, str) else percent(value)


def ranking(results: dict[str, Result | None]) -> Table:
    """Return the defenses' AUC(0.1) under the authors' PGD and in both worst cases, with ranks.

    All on the examples that every attack saw.
    """
    found = [result for result in results.values() if result]
    columns: dict[str, list[Any]] = {"defense": [result.name for result in found]}
    for attack in ("pgd-100", IN_RANGE, WORST):
        areas = [area_on_common(result, attack) for result in found]
        columns[f"{ATTACK_NAMES[attack]}, AUC %"] = [percent(area) for area in areas]
        columns[f"rank by {ATTACK_NAMES[attack]}"] = ranks(areas)
    return of_rows(tuple(columns), list(zip(*columns.values(), strict=True)))


def compared(results: dict[str, Result | None], *, attack: str = WORST) -> Table:
    """Return every pair of defenses on the same examples: difference and McNemar's test.

    McNemar compares two networks, so there is one test a seed; the table gives the largest p of
    the seeds, and the examples on which only one of the two held, summed over seeds. The p-values
    are not corrected for the number of pairs.
    """
    found = [result for result in results.values() if result]
    what = f"a minus b, {ATTACK_NAMES[attack]}, eps {SHOWN_EPS:g}, class means, points"
    head = ("a", "b", what, "of it, t over seeds", f"of it, bootstrap over {drawn(found)}")
    head += ("only a held, all seeds", "only b held, all seeds", "largest p", "n a seed", "seeds")
    rows = []
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            gap = difference(a, b, attack, eps=SHOWN_EPS)
            shared = shared_seeds(a, b)
            held_a, held_b = a.held(attack, SHOWN_EPS), b.held(attack, SHOWN_EPS)
            tests = [mcnemar(held_a[own], held_b[other]) for own, other in shared]
            rows.append(
                (
                    a.name,
                    b.name,
                    points(gap.value),
                    signed_bounds(gap.seeds),
                    signed_bounds(gap.both),
                    sum(test.only_a for test in tests),
                    sum(test.only_b for test in tests),
                    _p(max(test.p_value for test in tests)),
                    gap.both.n_examples,
                    len(shared),
                )
            )
    return of_rows(head, rows)


def side_by_side(
    left: dict[str, Result | None], right: dict[str, Result | None], names: tuple[str, str]
) -> Table:
    """Return clean accuracy and AUC(0.1) of the same defenses in two settings.

    Args:
        left, right: results by defense; a defense that neither has is left out.
        names: of the two settings, such as faithful and corrected.
    """
    over = drawn([result for part in (left, right) for result in part.values() if result])
    head = ("defense", "setting", "clean natural, %", "clean class-balanced, %", "n clean")
    head += ("authors' PGD, AUC %", "n PGD", "worst case, AUC %", "worst case, t over seeds")
    head += (f"worst case, bootstrap over {over}", "n worst case", "seeds")
    rows = []
    for defense in (d for d in left if left[d] or right.get(d)):
        for name, result in zip(names, (left[defense], right.get(defense)), strict=True):
            if result is None:
                rows.append((plain(defense), name, *[NOT_RUN] * 9, ""))
                continue
            worst = result.area(WORST)
            rows.append(
                (
                    result.name,
                    name,
                    percent(result.accuracy(WORST, 0, balanced=False).value),
                    percent(result.accuracy(WORST, 0).value),
                    f"{len(result.y):,}",
                    percent(result.area("pgd-100").value),
                    f"{result.attacked('pgd-100'):,}",
                    percent(worst.value),
                    bounds(worst.seeds),
                    bounds(worst.both),
                    f"{worst.both.n_examples:,}",
                    len(result.seeds),
                )
            )
    return of_rows(head, rows)


def by_class(results: Iterable[Result]) -> Table:
    """Return clean sensitivity and precision of every class, means over seeds, with its beats."""
    head = ("defense", "class", "test beats", "sensitivity, %", "precision, %")
    rows = []
    for result in results:
        k = len(result.classes)
        recall = np.mean([metrics.sensitivity(p, result.y, k) for p in result.predictions], axis=0)
        right = np.mean([metrics.precision(p, result.y, k) for p in result.predictions], axis=0)
        counts = np.bincount(result.y, minlength=k)
        for c, name in enumerate(result.classes):
            rows.append(
                (result.name, name, f"{counts[c]:,}", percent(recall[c]), percent(right[c]))
            )
    return of_rows(head, rows)


def without_rarest(results: Iterable[Result]) -> Table:
    """Return class means over all classes, and over all but the one with the fewest test beats."""
    columns: dict[str, list[Any]] = {}
    for result in results:
        kept = np.arange(len(result.classes)) != rarest(result)
        names = ", ".join(name for name, keep in zip(result.classes, kept, strict=True) if keep)
        columns.setdefault("defense", []).append(result.name)
        for attack, eps in ((WORST, 0), ("pgd-100", SHOWN_EPS), (WORST, SHOWN_EPS)):
            held = result.sensitivity(attack, eps)
            head = f"{ATTACK_NAMES[attack]}, eps {eps:g}" if eps else "clean"
            for classes, mean in (("all classes", held.mean()), (names, held[kept].mean())):
                columns.setdefault(f"{head}: {classes}, %", []).append(percent(mean))
        columns.setdefault("seeds", []).append(len(result.seeds))
    return Table(columns or {"defense": [NOT_RUN]})


def rarest(result: Result) -> int:
    """Return the class with the fewest test beats."""
    return int(np.argmin(np.bincount(result.y, minlength=len(result.classes))))


def _n(counts: Iterable[int]) -> str:
    """Return how many beats a column rests on, for its head."""
    found = set(counts)
    if not found:
        return ""
    return f" (n = {' to '.join(f'{n:,}' for n in sorted({min(found), max(found)}))})"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
