"""`python -m benchmarks`: run the benchmarks and print their rows."""

import argparse
import dataclasses
import json
import platform
import sys
from pathlib import Path

import torch

from benchmarks.attacking import evaluation, pgd_step, sap_smoothing
from benchmarks.leads import leads
from benchmarks.memory import memory
from benchmarks.preparing import preparing
from benchmarks.standard import standard
from benchmarks.training import training
from ecgadv.cli.arguments import whole
from ecgadv.experiments.runner import usable_cores

BENCHMARKS = {
    "pgd-step": pgd_step,
    "sap": sap_smoothing,
    "prepare": preparing,
    "train": training,
    "evaluate": evaluation,
    "leads": leads,
    "standard": standard,
    "memory": memory,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Speed and memory, ours beside the peers', as ratios measured in one run.",
    )
    found.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    found.add_argument("--threads", type=whole, default=usable_cores(), help="of torch (all cores)")
    found.add_argument("--quick", action="store_true", help="tiny sizes: shows that all runs")
    found.add_argument("--out", type=Path, help="write the rows as JSON, too")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for, print a line a row, and return the exit status."""
    options = parser().parse_args(arguments)
    if options.threads < 1:
        parser().error(f"--threads is {options.threads}; give at least 1")
    torch.set_num_threads(options.threads)
    machine = {
        "processor": _processor(),
        "threads": options.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    rows = []
    for name in options.only or BENCHMARKS:
        for row in BENCHMARKS[name](quick=options.quick):
            print(row.line(), flush=True)
            rows.append(dataclasses.asdict(row))
    if options.out:
        text = json.dumps({"machine": machine, "quick": options.quick, "rows": rows}, indent=1)
        options.out.write_text(text + "\n")
    return 0


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
