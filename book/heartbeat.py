"""What the rows of the heartbeat csv are, counted on genuine ones for the page on it.

    python book/heartbeat.py RECORDINGS CSV > book/heartbeat.yml

RECORDINGS has what `ecgadv data fetch mitdb` and `ecgadv data prepare mitdb` make, CSV holds rows
of the csv.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from facts import rounded, write
from heartbeat_rule import CHANGES, DESCRIBED_FS, described, row

from ecgadv import data, figures
from ecgadv.data import match, mitbih
from ecgadv.data.catalogue import SOURCES
from ecgadv.experiments.provenance import environment

SHORT = 30  # samples
NEAR = 1e-3  # RMS over the 187 values up to which two rows pass as equal
# Counted when the rule was found, with 500 rows of the test file that are not at hand here.
BEFORE = {"rows": 1020, "equal": 1020, "test": 500, "train": 500, "neighbours": 15}
# The first genuine row of each kind is shown.
EXAMPLES = {
    "an ordinary beat": lambda d: (d.y == 0) & ~d.facts["other"] & (d.facts["uncut"] <= 187),
    "a mark sets its window": lambda d: d.facts["other"] & (d.facts["uncut"] <= 187),
    "longer than 187, cut": lambda d: d.facts["uncut"] > 187,
}


def summary(dataset, records, genuine):
    """What `book/heartbeat.yml` holds, but its provenance.

    Args:
        dataset: the prepared beats of MIT-BIH.
        records: its `mitbih.Record`s by name.
        genuine: float32 (n, 188), rows of the csv, the class last; each must be one of the beats.
    """
    rows = zip(dataset.x[:, 0], dataset.y, strict=True)
    place = {(x.tobytes(), int(y)): i for i, (x, y) in enumerate(rows)}
    found = [place[values[:-1].tobytes(), int(values[-1])] for values in genuine]
    makers = {name: described(record) for name, record in records.items()}
    old = [makers[dataset.record[i]](dataset.facts["annotation"][i]) for i in found]
    equal_and_near = partial(_equal_and_near, dataset, records, genuine, found)
    rms = _rms([values for values, _ in old], genuine)
    split, facts = data.split(dataset, "beatwise", seed=0), dataset.facts
    train = np.concatenate([split.train, split.validation])
    return {
        "beats": len(dataset),
        "fs": dataset.fs,
        "genuine": {
            "rows": len(genuine),
            "classes": dataset.counts(found),
            "records": len(np.unique(dataset.record[found])),
        },
        "before": BEFORE,
        "rule": equal_and_near(change=None),
        "changes": {
            change: {"step": step, "instead": instead, **equal_and_near(change=change)}
            for change, (step, instead) in CHANGES.items()
        },
        "described": {
            "fs": DESCRIBED_FS,
            "near": int((rms < NEAR).sum()),
            "rms": rounded(np.quantile(rms, [0.05, 0.5, 0.95]), 3),
        },
        "other": int(facts["other"].sum()),
        "guessed": int(facts["guessed"].sum()),
        "cut": int((facts["uncut"] > 187).sum()),
        "short": int((facts["uncut"] < SHORT).sum()),
        "uncut": [int(facts["uncut"].min()), int(facts["uncut"].max())],
        "test": len(split.test),
        "neighbours": match.neighbours(split.test, train, dataset),
        "examples": [_example(label, dataset, genuine, found, old) for label in EXAMPLES],
    }


def _equal_and_near(dataset, records, genuine, found, *, change):
    """How many rows the rule gives with one change, bit for bit and nearly; found[n] is row n."""
    again = []
    for i in found:
        record, k = records[dataset.record[i]], dataset.facts["annotation"][i]
        made = row(record.signal, record.samples, record.is_beat, k, change)
        again.append(np.full(187, np.inf) if made is None else made)
    same = (np.array(again) == genuine[:, :-1]).all(1)
    return {"equal": int(same.sum()), "near": int((_rms(again, genuine) < NEAR).sum())}


def _example(label, dataset, genuine, found, old):
    """The first genuine row of a kind beside ours, and as the csv's description has it, `old`."""
    n = int(np.flatnonzero(EXAMPLES[label](dataset)[found])[0])
    i, (then, length) = found[n], old[n]
    return {
        "label": label,
        "record": str(dataset.record[i]),
        "annotation": int(dataset.facts["annotation"][i]),
        "onset": int(dataset.onset[i]),
        "class": dataset.classes[dataset.y[i]],
        "rms": round(float(_rms([then], genuine[n : n + 1])[0]), 4),
        "genuine": rounded(genuine[n, : dataset.length[i]], 4),
        "values": rounded(dataset.x[i, 0, : dataset.length[i]], 4),
        "described": rounded(then[:length], 4),
    }


def _rms(rows, genuine):
    return np.sqrt(np.mean((np.array(rows, float) - genuine[:, :-1]) ** 2, axis=1))


if __name__ == "__main__":
    root, csv = map(Path, sys.argv[1:])
    beats = data.load("mitdb", root=root)
    raw = root / SOURCES["mitdb"].path
    records = {name: mitbih.read_record(raw, name) for name in mitbih.RECORDS}
    made = summary(beats, records, np.loadtxt(csv, delimiter=",", dtype=np.float32))
    source = figures.provenance_live(
        environment(torch.device("cpu")), beats, seeds=[0], config="the rule of the heartbeat csv"
    )
    source["command"] = "python book/heartbeat.py RECORDINGS CSV"
    write(
        {"provenance": source, **made},
        "Written by book/heartbeat.py. The curves are cut from the MIT-BIH Arrhythmia Database",
        "1.0.0 (Moody & Mark, 2001; PhysioNet, Goldberger et al., 2000), under ODC-BY 1.0.",
    )
