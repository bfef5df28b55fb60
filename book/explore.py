"""Beats of MIT-BIH under attack, for the viewer of the page *Explore*.

    python book/explore.py RECORDINGS > book/explore.yml

RECORDINGS has what `ecgadv data fetch mitdb` and `ecgadv data prepare mitdb` make. The networks are
the released ones of paper B's protocol.
"""

import sys
from pathlib import Path

import torch
from facts import write

from ecgadv import data, figures
from ecgadv.errors import EcgadvError
from ecgadv.experiments.provenance import environment
from ecgadv.experiments.store import Store, released_folder
from ecgadv.results import attacked, load

DEFENSES = ("ce", "nsr-0.4", "jacobian-0.9", "at-0.1")
PER_CLASS = 2
LICENCE = (
    "Beats cut from the MIT-BIH Arrhythmia Database 1.0.0 (Moody & Mark, 2001; PhysioNet, "
    "Goldberger et al., 2000), under the Open Data Commons Attribution License 1.0"
)


def networks():
    """The released networks of the MLP on the beatwise split, one a defense."""
    found = load([Store(released_folder())], "paper-b", "paper")
    shared = {"split": "beatwise", "network": "mlp", "variant": "faithful"}
    picked = [found.one(defense=defense, **shared) for defense in DEFENSES]
    if None in picked:
        raise EcgadvError(f"no released network {DEFENSES[picked.index(None)]!r}: release it first")
    return picked


if __name__ == "__main__":
    torch.set_num_threads(1)
    beats, chosen = data.load("mitdb", root=Path(sys.argv[1])), networks()
    index = attacked.picked(chosen, beats, per_class=PER_CLASS)
    source = figures.provenance_live(
        environment(torch.device("cpu")),
        beats,
        seeds=[chosen[0].records[0].seed],
        config="released networks of paper B, attacked again on a few test beats",
    )
    source["command"] = "python book/explore.py RECORDINGS"
    found = {"licence": LICENCE, "provenance": source, **attacked.made(chosen, beats, index)}
    write(found, "Written by book/explore.py.")
