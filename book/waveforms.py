"""What PGD and SAP add to three seconds of one recording, for the page on smooth perturbations.

    python book/waveforms.py > book/waveforms.yml

The prepared recordings of CinC 2017 must be at hand: `ecgadv data prepare challenge-2017`. The
network is the released undefended one of paper A's `compact`. Neither attack stops at its first
success, so that the shape of a finished perturbation shows.
"""

from functools import partial

import torch
from facts import rounded, write

from ecgadv import attacks, figures, results
from ecgadv.errors import EcgadvError

SECONDS = 3  # from the middle of the recording
EPS = 10.0  # microvolts, of every attack of the paper


def first_turned(net):
    """The position in the dataset of the first recording that both attacks turned."""
    lost = (net.held("pgd", EPS)[0] == 0) & (net.held("sap", EPS)[0] == 0) & (net.clean[0] == 1)
    if not lost.any():
        raise EcgadvError(f"no recording falls to both attacks at {EPS:g} µV: take another network")
    return net.ids[lost][:1]


def finished(net):
    """Both attacks with the steps of the evaluation."""
    own = {attack["name"]: attack["options"] for attack in net.config["attacks"]}
    step = max(own["pgd"].get("least_step", 0.0), own["pgd"]["relative_step"] * EPS)
    pgd = partial(attacks.pgd, steps=own["pgd"]["steps"], step_size=step, random_start=False)
    sap = partial(attacks.sap, **own["sap"])
    return {"PGD": partial(pgd, keep="last"), "SAP": partial(sap, keep="last")}


def summary(net):
    """What `book/waveforms.yml` holds."""
    shown = results.subject(net, index=first_turned(net))
    dataset, position = shown.dataset, shown.index[0]
    signal = shown.millivolts(0)[0]
    count = round(SECONDS * dataset.fs)
    first = (len(signal) - count) // 2
    added, read_as = {}, {}
    for name, attack in finished(net).items():
        change, read_as[name] = shown.added(attack, EPS, 0)
        added[name] = rounded(change[0, first : first + count], 2)
    return {
        "record": str(dataset.record[position]),
        "class": dataset.classes[int(shown.y[0])],
        "read_as": read_as,
        "samples": [first, first + count],
        "fs": float(dataset.fs),
        "eps": EPS,
        "decimate": net.config["model_options"].get("decimate", 1),
        "provenance": figures.provenance_of(net.records[:1]),
        "millivolts": rounded(signal[first : first + count], 4),
        "microvolts": added,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = results.networks("paper-a", "compact", network="han", variant="faithful")["ce"]
    write(
        summary(found),
        "Written by book/waveforms.py. The curve is cut from a record of the CinC 2017 challenge",
        "(Clifford et al., 2017; PhysioNet, Goldberger et al., 2000), under ODC-BY 1.0.",
    )
