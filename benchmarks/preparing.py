"""Seconds and peak memory of preparing MIT-BIH, in a process of its own."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import Row
from ecgadv.data import catalogue, data_root, mitbih

GOAL = "under 30 s and 2 GB"


def preparing(*, quick: bool) -> list[Row]:
    """Read the 48 records and write the cache, from a cold start of the interpreter."""
    what = "MIT-BIH, 48 records"
    folders = [root / catalogue.source("mitdb").path for root in _roots()]
    raw = next((folder for folder in folders if folder.is_dir()), None)
    if raw is None:
        looked = " or ".join(map(str, folders))
        return [Row("prepare", what, not_run=f"no recordings in {looked}")]
    if quick:
        return [Row("prepare", what, not_run="left out by --quick")]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.preparing", str(raw), f"{folder}/mitdb.npz"]
        began = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds = time.perf_counter() - began
    megabytes = json.loads(printed)["megabytes"]
    return [
        Row("prepare", what, "s", seconds, ratio=30 / seconds, goal=GOAL),
        Row("prepare", f"{what}, peak memory", "MB", megabytes, ratio=2000 / megabytes, goal=GOAL),
    ]


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
    mitbih.prepare(sys.argv[1], sys.argv[2])
    print(json.dumps({"megabytes": peak_megabytes()}))
