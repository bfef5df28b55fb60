"""What the standard cascade leaves of what a paper's own attack leaves, on the same examples."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ecgadv.evaluation.indicators import Indicator
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments.suites.standard import STANDARD
from ecgadv.results.estimate import Estimate
from ecgadv.results.paired import difference, shared_seeds
from ecgadv.results.records import Networks, networks
from ecgadv.results.result import Result


@dataclass(frozen=True)
class Drop:
    """One network under a paper's attack and under the standard cascade, at one level.

    Attributes:
        name: of its defense.
        paper, standard: the accuracy under each, of the examples that both met.
        drop: the first minus the second.
        found: how many examples each attack of the cascade broke first, in its order, over seeds.
        seeds: those that both have.
        failures: indicators of a failed attack in any of the records, by name.
    """

    name: str
    paper: Estimate
    standard: Estimate
    drop: Estimate
    found: dict[str, int]
    seeds: tuple[int, ...]
    failures: tuple[str, ...]

    @property
    def found_by(self) -> str:
        """The three attacks that broke most of what the cascade broke, with their shares."""
        every = max(1, sum(self.found.values()))
        first = sorted(self.found.items(), key=lambda pair: pair[1], reverse=True)[:3]
        return ", ".join(f"{name} {100 * n / every:.0f}\u00a0%" for name, n in first if n)


@dataclass(frozen=True)
class Gap:
    """What one network holds more than another, under a paper's attack and under the cascade.

    Attributes:
        name, other: of the two defenses.
        paper: the first's accuracy minus the second's under the paper's attack.
        standard: the same under the standard cascade, None where it was not run on both.
    """

    name: str
    other: str
    paper: Estimate
    standard: Estimate | None


def drops(
    experiment: str, profile: str, attack: str, *, eps: float, balanced: bool = True, **fields: str
) -> list[Drop]:
    """Return the drop of each network that has both records, in the order of tables.

    Args:
        experiment, profile: as for `networks`.
        attack: the paper's, such as "pgd-100".
        eps: a level of both.
        balanced: average the classes equally.
        fields: such as network="mlp", split="beatwise", and variant, of the paper's attack.
    """
    found, under = _both(experiment, profile, **fields)
    pairs = ((own, under[name]) for name, own in found.items() if name in under)
    return [drop(own, other, attack, eps=eps, balanced=balanced) for own, other in pairs]


def gaps(
    experiment: str,
    profile: str,
    attack: str,
    *,
    pairs: Iterable[tuple[str, str]],
    eps: float | None = None,
    balanced: bool = True,
    **fields: str,
) -> list[Gap]:
    """Return by how much networks differ, for the pairs whose records under the attack are there.

    Args:
        experiment, profile, attack, balanced, fields: as for `drops`.
        pairs: of defenses, such as ("nsr-0.4", "ce"); the second is subtracted.
        eps: a level of both; None compares AUC(0.1).
    """
    found, under = _both(experiment, profile, **fields)
    how = {"eps": eps, "balanced": balanced}
    return [
        Gap(
            *(found[defense].name for defense in pair),
            difference(*(found[defense] for defense in pair), attack, **how),
            difference(*(under[defense] for defense in pair), STANDARD, **how)
            if set(pair) <= set(under)
            else None,
        )
        for pair in pairs
        if set(pair) <= set(found)
    ]


def _both(experiment: str, profile: str, **fields: str) -> tuple[Networks, Networks]:
    """Return the networks under the papers' attacks, and those under the cascade."""
    variant = f"{fields['variant']}-{STANDARD}"
    return tuple(
        networks(experiment, profile, **own) for own in (fields, {**fields, "variant": variant})
    )


def drop(own: Result, under: Result, attack: str, *, eps: float, balanced: bool = True) -> Drop:
    """Return the drop of one network: `own` is under the paper's attack, `under` the cascade."""
    first, second = zip(*shared_seeds(own, under), strict=True)
    # The same seeds and examples in both, so that the two accuracies differ by the drop.
    met = (under.held(STANDARD, eps) != NOT_ATTACKED).all(axis=0)
    met &= (own.held(attack, eps) != NOT_ATTACKED).all(axis=0)
    flags = own.held(attack, eps)[list(first)], under.held(STANDARD, eps)[list(second)]
    rows = [np.where(met, held, NOT_ATTACKED)[:, None] for held in flags]
    records = [under.records[position] for position in second]
    told = [Indicator(**i) for r in records for i in r.metrics["attacks"][STANDARD]["indicators"]]
    return Drop(
        own.name,
        *(own.estimate(row, balanced=balanced) for row in rows),
        drop=difference(own, under, attack, eps=eps, balanced=balanced, against=STANDARD),
        found=_found(records, eps),
        seeds=tuple(record.seed for record in records),
        failures=tuple(dict.fromkeys(one.name for one in told if one.failed)),
    )


def _found(records, eps: float) -> dict[str, int]:
    found: Counter[str] = Counter()
    for record in records:
        by = record.examples()[f"by/{STANDARD}/{eps:g}"]
        for number, name in enumerate(record.metrics["attacks"][STANDARD]["cascade"]):
            found[name] += int((by == number).sum())
    return dict(found)
