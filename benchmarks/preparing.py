"""Seconds and peak memory of preparing recordings, in a process of its own."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.timing import Row
from ecgadv.data import catalogue, cpsc2018, data_root
from ecgadv.data.prepare import READERS

GOALS = {"mitdb": (30, 2000), "cpsc2018": (180, 4000)}  # seconds, megabytes
ROUNDS = 5
FORM = "training/cpsc_2018/g*/A*"


def preparing(*, quick: bool) -> list[Row]:
    """Read records and write the cache, from a cold start of the interpreter.

    All of MIT-BIH; of CPSC2018 what is at hand and every second record of it, and from these two
    by a line what all 6,877 take.
    """
    rows = []
    for name, what in (("mitdb", "MIT-BIH, 48 records"), ("cpsc2018", "CPSC2018")):
        folders = [root / catalogue.source(name).path for root in _roots()]
        raw = next((folder for folder in folders if folder.is_dir()), None)
        if raw is None:
            looked = " or ".join(map(str, folders))
            rows.append(Row("prepare", what, not_run=f"no recordings in {looked}"))
        elif quick:
            rows.append(Row("prepare", what, not_run="left out by --quick"))
        elif name == "mitdb":
            rows += _rows(name, what, *_measured(name, raw))
        else:
            rows += _extrapolated(name, raw)
    return rows


def _extrapolated(name: str, raw: Path) -> list[Row]:
    """Return the rows of all records of CPSC2018, from those in `raw`."""
    files = sorted(raw.glob(FORM))
    records = [file for file in files if file.suffix == ".hea"]
    some = {record.stem for record in records[::2]}
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            if file.stem in some:
                link = Path(folder) / file.relative_to(raw)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.resolve())
        parts = Path(folder), raw
        rounds = [[_measured(name, part) for part in parts] for _ in range(ROUNDS)]
    half, whole = np.median(rounds, axis=0)
    more = (cpsc2018.RECORDS - len(records)) / (len(records) - len(some))
    seconds, megabytes = (b + more * max(0.0, b - a) for a, b in zip(half, whole, strict=True))
    what = f"CPSC2018, {cpsc2018.RECORDS:,} records, extrapolated from {len(records)}"
    return _rows(name, what, seconds, megabytes)


def _rows(name: str, what: str, seconds: float, megabytes: float) -> list[Row]:
    most, room = GOALS[name]
    goal = f"under {most} s and {room / 1000:g} GB"
    return [
        Row("prepare", what, "s", seconds, ratio=most / seconds, goal=goal),
        Row("prepare", f"{what}, peak memory", "MB", megabytes, ratio=room / megabytes, goal=goal),
    ]


def _measured(name: str, raw: Path) -> tuple[float, float]:
    """Return the seconds and the megabytes of preparing what is in `raw`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.preparing", name, str(raw), f"{folder}/x.npz"]
        began = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return time.perf_counter() - began, json.loads(printed)["megabytes"]


def _roots() -> list[Path]:
    """Return where the recordings may lie: the user's folder, and what the tests read."""
    mirror = os.environ.get("ECGADV_TEST_PHYSIONET")
    return [data_root(), Path(mirror)] if mirror else [data_root()]


def peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage gives on Linux includes the parent's peak
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    READERS[sys.argv[1]](sys.argv[2], sys.argv[3])
    print(json.dumps({"megabytes": peak_megabytes()}))
