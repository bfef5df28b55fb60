"""What one unit of a normalised signal is in microvolts, also where the recordings are not.

The beats of MIT-BIH are not part of the repository, so `book/recordings.yml` keeps what the pages
say of their voltage. It was written by

    python -m ecgadv.pages.units mitdb > book/recordings.yml
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecgadv import data
from ecgadv.figures import Table
from ecgadv.markdown import Markdown

SPLITS = ("beatwise", "interpatient")
QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}
# The usual scale of ECG paper.
MM_PER_MV, SMALL_BOX = 10.0, 1.0


def facts(dataset: data.Dataset, split: str) -> dict:
    """Return size, people and voltage of the test part of a split."""
    test = data.split(dataset, split).test
    found = np.quantile(dataset.unit_mv[test], list(QUANTILES.values()))
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": split,
        "test_beats": len(test),
        "test_records": len(np.unique(dataset.record[test])),
        "unit_microvolts": {
            name: round(1000 * float(mv), 1) for name, mv in zip(QUANTILES, found, strict=True)
        },
    }


def stored(path: str | Path, run: dict, split: str) -> dict | None:
    """Return the facts of the data of a record, or None if they are not known.

    Args:
        path: recordings.yml.
        run: the record's run.json.
        split: beatwise or interpatient.
    """
    import yaml

    if run["data"]["name"] == "synthetic":
        return facts(data.load("synthetic"), split)
    listed = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    wanted = (run["data"]["fingerprint"], split)
    return next((f for f in listed if (f["fingerprint"], f["split"]) == wanted), None)


def in_words(found: dict | None, eps: float) -> str:
    """Return what a noise level is in microvolts, for a caption."""
    if found is None:
        return f"eps {eps:g} is {eps:g} of each beat's range (its voltage is not known)"
    low, median, high = (eps * found["unit_microvolts"][name] for name in QUANTILES)
    return (
        f"eps {eps:g} is {eps:g} of each beat's range, {median:,.0f} µV in the median test beat "
        f"({low:,.0f} to {high:,.0f} µV in 90 % of them)"
    )


def table(path: str | Path, *, levels: Sequence[float]) -> Table:
    """Return what noise levels are in microvolts, on the synthetic and the real test beats."""
    import yaml

    listed = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    listed = [facts(data.load("synthetic"), "beatwise"), *listed]
    return Table(
        {
            "test beats": [f"{f['dataset']}, {f['split']}" for f in listed],
            "n": [f"{f['test_beats']:,}" for f in listed],
            "records": [f["test_records"] for f in listed],
            **{
                f"eps {eps:g}": [_range(f["unit_microvolts"], eps) for f in listed]
                for eps in levels
            },
        }
    )


def plain_to_see(path: str | Path, *, levels: Sequence[float]) -> Markdown:
    """Say from which noise level on a change is as high as a small box of ECG paper."""
    import yaml

    listed = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    said = []
    for found in (f for f in listed if f["split"] == "beatwise"):
        heights = {eps: _millimetres(eps * found["unit_microvolts"]["median"]) for eps in levels}
        boxes = [f"eps {eps:g} ({mm:.1f} mm)" for eps, mm in heights.items() if mm >= SMALL_BOX]
        shown = ", ".join(boxes) or "none of these levels"
        said.append(f"{found['dataset']}: {shown}")
    return Markdown(
        f"Millimetres are those of ECG paper at {MM_PER_MV:g} mm/mV, whose small boxes are "
        f"{SMALL_BOX:g} mm high. In the median beat a change reaches a small box, and is plain to "
        f"see, at: {'; '.join(said)}. So an attack at these levels is a test of the network, and "
        "would not pass unseen by a reader."
    )


def _range(unit: dict, eps: float) -> str:
    low, median, high = (eps * unit[name] for name in QUANTILES)
    return f"{median:,.0f} µV ({low:,.0f} to {high:,.0f}), {_millimetres(median):.1f} mm"


def _millimetres(microvolts: float) -> float:
    return microvolts / 1000 * MM_PER_MV


if __name__ == "__main__":
    import yaml

    print("# Facts on recordings that the repository does not hold; see", end=" ")
    print("ecgadv/pages/units.py.")
    dataset = data.load(sys.argv[1])
    yaml.safe_dump([facts(dataset, split) for split in SPLITS], sys.stdout, sort_keys=False)
