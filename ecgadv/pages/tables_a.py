"""Tables of the chapter on paper A, with numbers from records and none typed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecgadv.claims import NOT_RUN, reported
from ecgadv.figures import Table
from ecgadv.pages import chosen_a
from ecgadv.pages.captions_a import sap_in_words
from ecgadv.pages.cells import bounds, of_rows, percent, points, signed_bounds, span
from ecgadv.pages.chosen_a import NAMES, Chosen, name
from ecgadv.results.paired import difference
from ecgadv.results.records import Results
from ecgadv.results.result import WORST, Result

AUTHORS = "pgd-authors"
COMPARED = tuple(attack for attack in NAMES if attack != AUTHORS)  # all at one eps
# What is compared with what, and what that shows; rows as in PROTOCOLS 2.7.
PAIRS = (
    (("adt-1", "faithful"), ("at-10", "faithful"), "distillation added"),
    (("adt-1", "eval-labels"), ("adt-1", "faithful"), "labels in eval mode, row A4"),
    (("adt-1", "eval-attack"), ("adt-1", "faithful"), "attack in eval mode, row A3"),
    (("adt-1", "selected-on-test"), ("adt-1", "faithful"), "epoch chosen on test part, row A7"),
    (("adt-1", "last-epoch"), ("adt-1", "faithful"), "last epoch, row A7"),
    (("ce", "selected-on-test"), ("ce", "faithful"), "undefended, epoch chosen on test part"),
    (("ce", "last-epoch"), ("ce", "faithful"), "undefended, last epoch"),
    (("initadt-1", "faithful"), ("adt-1", "faithful"), "attacks for teacher only, Init-ADT"),
    (("distadt-1", "faithful"), ("adt-1", "faithful"), "attacks for student only, Dist-ADT"),
    (("distillation-1", "faithful"), ("ce", "faithful"), "distillation, no attacks"),
    (("nsr-1", "rescaled"), ("nsr-1", "faithful"), "NSR per millivolt, row A17"),
)


def planned(results: Results) -> Table:
    """Return what the profile holds, and of which of it there are how many seeds."""
    groups: dict[str, tuple[list[str], list[str]]] = {}
    seeds = chosen_a.planned(results.profile)
    for which, result in chosen_a.chosen(results).items():
        done, missing = groups.setdefault(which[1], ([], []))
        if result is None:
            missing.append(name(which))
        else:
            done.append(f"{name(which)} ({len(result.seeds)} of {seeds[which]} seeds)")
    rows = [(v, "; ".join(d) or "nothing", "; ".join(m) or "-") for v, (d, m) in groups.items()]
    return of_rows(("variant", "run", NOT_RUN), rows)


def clean(every: Chosen, reported_path: str | Path) -> Table:
    """Return clean accuracy with both intervals, both F1 scores, and what the paper reports."""
    head = ("defense", "accuracy, %", "accuracy, t over seeds", "accuracy, bootstrap")
    head += ("macro-F1, %", "macro-F1, bootstrap", "Han's F1, %", "seeds", "accuracy, reported")
    rows = []
    for which, result in every.items():
        said = paper_says(reported_path, which, attack="none")
        if result is None:
            rows.append((name(which), *[NOT_RUN] * 7, said))
            continue
        found, f1 = result.accuracy(WORST, 0, balanced=False), chosen_a.f1(result, WORST, 0)
        rows.append(
            (
                result.name,
                percent(found.value),
                bounds(found.seeds),
                bounds(found.both),
                percent(f1.value),
                bounds(f1.both),
                percent(chosen_a.f1(result, WORST, 0, han=True).value),
                len(result.seeds),
                said,
            )
        )
    return of_rows(head, rows)


def paper_says(path: str | Path, which: tuple[str, str], *, attack: str) -> str:
    """Return the accuracy that paper A reports, in percent, or "not transcribed".

    A dash stands where the paper has no such network.
    """
    if which[1] != "faithful":
        return "-"
    where = {"paper": "shao2022", "defense": which[0], "attack": attack, "metric": "accuracy"}
    value = reported(path, **where)
    return value if isinstance(value, str) else percent(value)


def attacked(every: Chosen, reported_path: str | Path) -> Table:
    """Return accuracy under every attack at SAP's level, and F1 scores under SAP.

    The last row is what always giving the most frequent class is right for, with no network.
    """
    sap_of = f"{NAMES['sap']}, {{}}".format
    head = ("defense", "clean, %", *(f"{NAMES[attack]}, %" for attack in COMPARED))
    head += (sap_of("bootstrap"), sap_of("macro-F1 %"), sap_of("Han's F1 %"), "n")
    head += (sap_of("reported"),)
    rows = []
    for which, result in every.items():
        said = paper_says(reported_path, which, attack="sap")
        if result is None:
            rows.append((name(which), *[NOT_RUN] * (len(head) - 3), "", said))
            continue
        eps = chosen_a.level(result)
        sap = result.accuracy("sap", eps, balanced=False)
        rows.append(
            (
                result.name,
                at(result, WORST, 0),
                *(at(result, attack, eps) for attack in COMPARED),
                bounds(sap.both),
                percent(chosen_a.f1(result, "sap", eps).value),
                percent(chosen_a.f1(result, "sap", eps, han=True).value),
                sap.both.n_examples,
                said,
            )
        )
    if first := next(filter(None, every.values()), None):
        label, share = chosen_a.most_frequent(first)
        same = [percent(share)] * (1 + len(COMPARED))
        rows.append((f"always “{label}”", *same, "-", "-", "-", len(first.y), "-"))
    return of_rows(head, rows)


def sweep(every: Chosen) -> Table:
    """Return accuracy under PGD at every level, and under the authors' own PGD (row A10)."""
    first = next(filter(None, every.values()), None)
    columns = [(a, eps) for a in ("pgd", AUTHORS) for eps in _levels(first, a)]
    head = ("defense", *(f"{NAMES[a]}, {chosen_a.in_unit(first, eps)}, %" for a, eps in columns))
    rows = [
        (name(which), *(at(result, a, eps) if result else NOT_RUN for a, eps in columns))
        for which, result in every.items()
    ]
    return of_rows(head, rows)


def _levels(result: Result | None, attack: str) -> list[float]:
    return result.own_attacks.get(attack, []) if result else []


def by_class(every: Chosen, attack: str = "sap") -> Table:
    """Return the share of each class that holds, clean and attacked, with Wilson intervals."""
    head = ("defense", "class", "clean, %", f"{NAMES[attack]}, %", f"{NAMES[attack]}, Wilson")
    head += ("attacked records",)
    rows = []
    for result in filter(None, every.values()):
        eps = chosen_a.level(result)
        calm = chosen_a.sensitivity(result, attack, 0)
        for c, found in enumerate(chosen_a.sensitivity(result, attack, eps)):
            ends = span(percent(found.low), percent(found.high))
            row = (result.name, result.classes[c], percent(calm[c].value), percent(found.value))
            rows.append((*row, ends, found.n))
    return of_rows(head, rows)


def boundary(every: Chosen) -> Table:
    """Return how near the boundary attack came, and how many transferred examples are withstood."""
    head = ("defense", "median distance, µV", "distance, bootstrap", "median queries")
    head += ("pairs drawn", "pairs walked in any seed")
    head += ("transferred ones withstood, %", "withstood, Wilson", "transferred pairs")
    rows = []
    for which, result in every.items():
        if result is None or not chosen_a.walked(result):
            rows.append((name(which), *[NOT_RUN] * 8))
            continue
        near, stood = chosen_a.median_distance(result), chosen_a.transferred(result)
        rows.append(
            (
                result.name,
                f"{near.estimate:.1f}" if near else "-",
                span(f"{near.low:.1f}", f"{near.high:.1f}") if near else "-",
                f"{chosen_a.queries(result):,.0f}" if near else "-",
                chosen_a.walked_pairs([result])[0],
                near.n_examples if near else 0,
                percent(stood.value),
                span(percent(stood.low), percent(stood.high)),
                stood.n,
            )
        )
    return of_rows(head, rows)


def paired(every: Chosen) -> list[tuple[str, Result, Result]]:
    """Return what is compared, in words, with the two results, for all pairs that were run."""
    pairs = [(said, every.get(a), every.get(b)) for a, b, said in (*PAIRS, _retuned(every))]
    return [
        (said, a, b)
        for said, a, b in pairs
        if a and b and set(a.seeds) & set(b.seeds) and np.array_equal(a.ids, b.ids)
    ]


def _retuned(every: Chosen) -> tuple:
    """Return the pair of Jacobian penalties, whose second weight depends on the profile."""
    ours = next((w for w in every if w[1] == "retuned"), ("jacobian", "retuned"))
    return ours, ("jacobian-44", "faithful"), "Jacobian re-tuned, row A15"


def ablations(every: Chosen) -> Table:
    """Return the differences of the pairs on the same records, in percentage points."""
    head = ("what differs", "a", "b", "clean, a minus b", "clean, bootstrap")
    head += tuple(f"{NAMES['sap']}, {what}" for what in ("a minus b", "t over seeds", "bootstrap"))
    head += ("n", "seeds")
    rows = []
    for said, a, b in paired(every):
        calm = difference(a, b, WORST, eps=0, balanced=False)
        sap = difference(a, b, "sap", eps=chosen_a.level(a), balanced=False)
        rows.append(
            (
                said,
                a.name,
                b.name,
                points(calm.value),
                signed_bounds(calm.both),
                points(sap.value),
                signed_bounds(sap.seeds),
                signed_bounds(sap.both),
                sap.both.n_examples,
                sap.seeds.n_seeds,
            )
        )
    return of_rows(head, rows)


def cost(every: Chosen, results: Results) -> Table:
    """Return the minutes that one seed took: its training, that of what it builds on, attacks.

    A star stands where attacks were taken over from an older record and, as it is not known what
    they took, are not counted.
    """
    trained = {r.label: _mean(r, lambda one: one.run["training"]["seconds"]) for r in results.all}
    head = ("defense", "training, min", "networks it builds on, min", "attacks, min", "device")
    rows = []
    for which, result in every.items():
        if result is None:
            rows.append((name(which), *[NOT_RUN] * 4))
            continue
        used = result.records[0].run.get("builds_on", {})
        below = {used[role]["label"] for role in ("teacher", "initial") if role in used}
        known = [trained[label] for label in below if label in trained]
        star = "*" if any(record.untimed for record in result.records) else ""
        devices = sorted({record.run["device"] for record in result.records})
        rows.append(
            (
                result.name,
                f"{trained[result.label] / 60:.1f}",
                f"{sum(known) / 60:.1f}" if len(known) == len(below) else NOT_RUN,
                f"{_mean(result, lambda one: one.attack_seconds) / 60:.1f}{star}",
                ", ".join(devices),
            )
        )
    return of_rows(head, rows)


def at(result: Result, attack: str, eps: float) -> str:
    """Return natural accuracy in percent, a dash where the attack lacks the level."""
    if eps and eps not in result.attacks[attack]:
        return "-"
    return percent(result.accuracy(attack, eps, balanced=False).value)


def _mean(result: Result, seconds) -> float:
    return float(np.mean([seconds(record) for record in result.records]))


def live(results: Sequence[Result]) -> Table:
    """Return accuracies of the demo networks: they show that the code runs, and prove nothing."""
    if not results:
        return of_rows(("demo network", "clean, %"), [])
    attacks = [attack for attack in COMPARED if attack in results[0].own_attacks]
    rows = []
    for result in results:
        eps = chosen_a.level(result)
        rows.append((result.name, at(result, WORST, 0), *(at(result, a, eps) for a in attacks)))
    said = chosen_a.in_unit(results[0], chosen_a.level(results[0]))
    own = {a: sap_in_words(results[0], a) for a in ("sap", "sap-40") if a in attacks}
    own |= {a: f"{own['sap']}, transferred" for a in ("transfer-sap",) if a in attacks}
    heads = (f"{own.get(a, NAMES[a])} {said}, %" for a in attacks)
    return of_rows(("demo network", "clean, %", *heads), rows)
