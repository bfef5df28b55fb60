"""What PGD adds to a recording of twelve leads, for the page on twelve leads.

    python book/leads.py > book/leads.yml

The prepared recordings of PTB-XL must be at hand: `ecgadv data prepare ptb-xl`. The network is the
released undefended one of suite `twelve-leads`, profile `compact`. The attack does not stop at its
first success, so that the shape of a finished perturbation shows.
"""

from functools import partial

import numpy as np
import torch
from facts import rounded, write

from ecgadv import attacks, figures, results
from ecgadv.data.leads import twelve
from ecgadv.errors import EcgadvError
from ecgadv.figures.paper import ROWS

SECONDS = 2.5  # of each lead, as on a printed sheet: of no lead the whole recording
EPS = 0.01  # of each lead's maximum


def first_turned(net):
    """The position in the data set of the first recording that PGD turned."""
    lost = (net.held("pgd-100", EPS)[0] == 0) & (net.clean[0] == 1)
    if not lost.any():
        raise EcgadvError(f"no recording falls to PGD at {EPS:g}: take another network")
    return net.ids[lost][:1]


def finished(net):
    """The attack with the steps of the evaluation."""
    steps = next(a["options"]["steps"] for a in net.config["attacks"] if a["name"] == "pgd-100")
    return partial(attacks.pgd, steps=steps, step_size=EPS / 10, random_start=False, keep="last")


def printed(eight, fs, digits):
    """The part of each lead that is on the sheet, {lead: list}."""
    count = round(SECONDS * fs)
    whole = twelve(eight)
    return {
        lead: rounded(whole[lead][column * count :][:count], digits)
        for names in ROWS
        for column, lead in enumerate(names)
    }


def summary(net):
    """What `book/leads.yml` holds."""
    shown = results.subject(net, index=first_turned(net))
    dataset = shown.dataset
    added, read_as = shown.added(finished(net), EPS, 0)
    return {
        "record": str(dataset.record[shown.index[0]]),
        "class": dataset.classes[int(shown.y[0])],
        "read_as": read_as,
        "fs": float(dataset.fs),
        "eps": EPS,
        "most_microvolts": round(float(np.abs(added).max()), 1),
        "provenance": figures.provenance_of(net.records[:1]),
        "millivolts": printed(shown.millivolts(0), dataset.fs, 3),
        "microvolts": printed(added, dataset.fs, 1),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = results.networks("twelve-leads", "compact", split="folds", variant="faithful")["ce"]
    write(
        summary(found),
        "Written by book/leads.py. The curves are cut from a record of PTB-XL (Wagner et al.,",
        "2020; PhysioNet, Goldberger et al., 2000), under CC BY 4.0.",
    )
