"""Tables of what the standard cascade leaves beside a paper's own attack."""

from collections.abc import Sequence

from ecgadv.claims import NOT_RUN
from ecgadv.figures.tables import Table
from ecgadv.results.estimate import told
from ecgadv.results.standard import Drop, Gap


def drops(found: Sequence[Drop], *, paper: str = "authors' PGD") -> Table:
    """Return a row for each network: both accuracies, their difference, and who broke what.

    Args:
        found: of `results.drops`.
        paper: the paper's attack in words.
    """
    return Table(
        {
            "defense": [drop.name for drop in found],
            paper: [f"{drop.paper:%i}" for drop in found],
            "standard": [f"{drop.standard:%i}" for drop in found],
            "drop, points": [f"{drop.drop:points i}" for drop in found],
            "seeds": [len(drop.seeds) for drop in found],
            "broken first by": [drop.found_by or "none broke any" for drop in found],
            "checks that failed": [", ".join(drop.failures) or "none" for drop in found],
        }
    )


def gaps(found: Sequence[Gap], *, paper: str = "authors' PGD", head: str = "defense") -> Table:
    """Return a row for each pair of networks: the first minus the second under both attacks.

    Where the two have different numbers of seeds, both stand there.

    Args:
        found: of `results.gaps`.
        paper: the paper's attack in words.
        head: what the rows are.
    """
    # One side is the same throughout, and the text says which: the other names the row.
    firsts, seconds = [gap.name for gap in found], [gap.other for gap in found]
    columns = {head: seconds if len(set(firsts)) == 1 < len(found) else firsts}
    sides = {paper: [gap.paper for gap in found], "standard": [gap.standard for gap in found]}
    for said, side in sides.items():
        columns[said] = [f"{gap:points i}" if gap else NOT_RUN for gap in side]
        columns[f"{said}: holds"] = [told(gap, "more", "less") if gap else "" for gap in side]
    numbers = [
        [gap.seeds.n_seeds for gap in pair if gap] for pair in zip(*sides.values(), strict=True)
    ]
    columns["seeds"] = [" and ".join(map(str, dict.fromkeys(pair))) for pair in numbers]
    return Table(columns)
