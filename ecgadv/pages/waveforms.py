"""What PGD and SAP add to one real recording, in microvolts, without the recording itself.

The recordings are not part of the repository, so `book/waveforms.yml` keeps a few seconds of two
perturbations. It was written, for the record of an undefended network, by

    python -m ecgadv.pages.waveforms KEY > book/waveforms.yml
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ecgadv import attacks, data, figures
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.robustness import BROKEN, predict
from ecgadv.experiments.config import Config, from_dict
from ecgadv.experiments.exposure import threat as budget
from ecgadv.experiments.session import load_model
from ecgadv.experiments.store import Record, find, released_folder
from ecgadv.figures.panels import Drawing, NotRun
from ecgadv.figures.signals import added_to_recording

SECONDS = 3  # shown, from the middle of the recording
SHOWN = {"pgd": "PGD", "sap": "SAP"}


def made(record: Record, dataset: data.Dataset) -> dict:
    """Return the perturbations of the first test recording that both attacks turned.

    Neither attack stops at its first success, so that the shape of a finished perturbation shows.

    Args:
        record: of an undefended network, with its weights.
        dataset: its recordings.
    """
    config = from_dict(record.config)
    own = {attack.name: attack for attack in config.attacks}
    eps = own["sap"].eps[0]
    position = _turned(record, eps)
    example = np.array([record.examples()["id"][position]])
    x, y = torch.from_numpy(dataset.x[example]), torch.from_numpy(dataset.y[example])
    mask = torch.from_numpy(dataset.mask(example))
    model = load_model(config, dataset, record.weights)
    added, read_as = {}, {}
    for name, attack in _whole(config, eps).items():
        threat = budget(dataset.unit, eps)
        x_adv = attack(model, x, y, threat, mask=mask, keep="last")
        threat.check(x_adv, x, mask)
        added[SHOWN[name]] = _middle(x_adv - x, dataset.fs)
        read_as[SHOWN[name]] = dataset.classes[int(predict(model, x_adv).argmax(1))]
    first = (x.shape[-1] - len(added["PGD"])) // 2
    return {
        "record": str(dataset.record[example[0]]),
        "class": dataset.classes[int(y)],
        "read_as": read_as,
        "samples": [first, first + len(added["PGD"])],
        "fs": dataset.fs,
        "eps": eps,
        "decimate": config.model_options.get("decimate", 1),
        "fingerprint": dataset.fingerprint,
        "dataset": dataset.name,
        "example": int(example[0]),
        "profile": config.profile,
        "provenance": figures.provenance_of([record]),
        "microvolts": {name: values.tolist() for name, values in added.items()},
    }


def _turned(record: Record, eps: float) -> int:
    """Return the position of the first example that both attacks turned."""
    examples = record.examples()
    lost = np.all([examples[f"held/{name}/{eps:g}"] == BROKEN for name in SHOWN], axis=0)
    right = examples["prediction"] == examples["label"]
    found = np.flatnonzero(lost & right)
    if not len(found):
        raise EcgadvError(f"no example of {record.key} falls to both attacks; take another record")
    return int(found[0])


def _whole(config: Config, eps: float) -> dict:
    """Return both attacks with the steps of the evaluation."""
    own = {attack.name: attack.options for attack in config.attacks}
    step = max(own["pgd"].get("least_step", 0.0), own["pgd"]["relative_step"] * eps)
    pgd = partial(attacks.pgd, steps=own["pgd"]["steps"], step_size=step, random_start=False)
    return {"pgd": pgd, "sap": partial(attacks.sap, **own["sap"])}


def _middle(change: Tensor, fs: float) -> np.ndarray:
    """Return the seconds in the middle of a signal (1, 1, L), to the hundredth."""
    values, count = change[0, 0].numpy().astype(float), round(SECONDS * fs)
    first = (len(values) - count) // 2
    return np.round(values[first : first + count], 2)


def drawing(path: str | Path, recordings: str | Path) -> Drawing | NotRun:
    """Draw the perturbations, and above them the recording where it is at hand.

    Args:
        path: waveforms.yml.
        recordings: the folder of the prepared recordings.
    """
    import yaml

    if not Path(path).exists():
        return NotRun("A recording under PGD and SAP")
    found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    first, last = found["samples"]
    signal = _recording(found, Path(recordings))
    added = {name: np.array(values) for name, values in found["microvolts"].items()}
    fig = added_to_recording(
        added,
        fs=found["fs"],
        start=first,
        limit=found["eps"],
        recording=None if signal is None else signal[first:last],
    )
    columns = {
        "record": [found["record"]] * (last - first),
        "sample": list(range(first, last)),
        **{f"{name} (µV)": values.tolist() for name, values in added.items()},
    }
    ends = " and ".join(f"{found['read_as'][name]} under {name}" for name in added)
    seen = (
        "Above: the recording"
        if signal is not None
        else "The recording is drawn only where the recordings are at hand"
    )
    caption = (
        f"What PGD and SAP at {found['eps']:g} µV add to {SECONDS} seconds of recording "
        f"{found['record']} of CinC 2017 (class {found['class']}, read as {ends}), samples {first} "
        f"to {last}, each on a scale of its own; dotted: the budget. {seen}. Undefended network, "
        f"seed {found['provenance']['seeds'][0]}, profile {found['profile']}."
    )
    if found["decimate"] > 1:
        caption += (
            f" The plateaus of PGD are {found['decimate']} samples "
            f"({1000 * found['decimate'] / found['fs']:.0f} ms) wide because this network averages "
            f"{found['decimate']} samples to one."
        )
    steps = {name: np.abs(np.diff(values)).max() for name, values in added.items()}
    largest = " and ".join(f"{steps[n]:.1f} under {n}" for n in added)
    alt = (
        f"Curves within a budget of {found['eps']:g} microvolts. From one sample to the next they "
        f"change by at most {largest}."
    )
    return Drawing(fig, columns, caption, alt, found["provenance"])


def _recording(found: dict, recordings: Path) -> np.ndarray | None:
    """Return the recording (L,) in microvolts, None if it, in the same version, is not here."""
    if not (recordings / "prepared" / f"{found['dataset']}.npz").exists():
        return None
    dataset = data.load(found["dataset"], root=recordings)
    if dataset.fingerprint != found["fingerprint"]:
        return None
    row = found["example"]
    return dataset.x[row, 0] * 1000 * dataset.unit_mv[row]


if __name__ == "__main__":
    record = find(sys.argv[1], [Path("runs"), released_folder()])
    print("# Written by ecgadv/pages/waveforms.py; the recording itself is PhysioNet's.")
    written = made(record, data.load(record.config["dataset"]))
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in written.items())
    print("{", ",\n".join(lines), "}", sep="\n")
