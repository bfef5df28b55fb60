"""Damage files, kill commands, break servers and hand attacks strange input, and count outcomes.

Every fault must end in one line of error or in the result of an undisturbed run: `make faults`
fails if one gives another result without a word or a traceback, or leaves something behind.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import torch
import yaml
from faults import flips, kills, material, servers, strangers
from faults.outcomes import NEVER, OUTCOMES
from tqdm import tqdm

from ecgadv import files
from ecgadv.experiments import provenance

PARTS = {"flips": flips, "kills": kills, "servers": servers, "strangers": strangers}
TABLE = Path(__file__).resolve().parents[2] / "book" / "faults.yml"
EXAMPLES = f"""examples:
  make faults                             all of it, under ten minutes on two free cores
  make faults ARGS='--only flips'         one part, while you mend what it found
  make faults ARGS='--seed 1 --write'     other faults, and the table of the page on reproduction

The recordings are made up unless ${material.REAL} says where real ones are, laid out as
PhysioNet's files/. The table is written by a run of all parts alone.
"""


def main(arguments: list[str] | None = None) -> int:
    """Print the faults that must not be as they come, then a table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make faults",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, help="one part of the campaign")
    parser.add_argument("--seed", type=int, default=0, help="of places and moments (0)")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} of the book")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write needs the whole campaign: leave --only out")
    torch.set_num_threads(1)
    chosen = {options.only: PARTS[options.only]} if options.only else PARTS
    try:
        counts = campaign(chosen, options.seed)
    except KeyboardInterrupt:
        print("stopped; nothing is written")
        return 130
    print("\n".join(table(counts)))
    if options.write:
        files.write(TABLE, written(counts, options.seed).encode())
    return int(any(counts[what, outcome] for what, outcome in counts if outcome in NEVER))


def campaign(parts: dict, seed: int) -> Counter[tuple[str, str]]:
    """Return how often each outcome became of what, printing the cases that must not be."""
    counts: Counter[tuple[str, str]] = Counter()
    everything = sum(part.total() for part in parts.values())
    with tempfile.TemporaryDirectory() as folder, tqdm(total=everything, disable=None) as bar:
        for name, part in parts.items():
            bar.set_description(name)
            for case in part.cases(Path(folder) / name, seed):
                counts[case.what, case.outcome] += 1
                if case.outcome in NEVER:
                    tqdm.write(f"{case.outcome.upper()}  {case.what}: {case.detail.strip()}")
                bar.update()
    return counts


def rows(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return the counts of each outcome by what was done, in the order of the campaign."""
    whats = dict.fromkeys(what for what, _ in counts)
    return {what: {outcome: counts[what, outcome] for outcome in OUTCOMES} for what in whats}


def table(counts: Counter[tuple[str, str]]) -> list[str]:
    """Return the lines of a table, its columns by number and explained below."""
    found = rows(counts)
    width = max(map(len, found))
    sums = [sum(row[outcome] for row in found.values()) for outcome in OUTCOMES]

    def line(name: str, values: Iterable[object]) -> str:
        return f"{name:{width}}" + "".join(f"{value:>7}" for value in values)

    numbers = range(1, len(OUTCOMES) + 1)
    body = [line(what, row.values()) for what, row in found.items()]
    head = line("", (f"({number})" for number in numbers))
    legend = [f"({number}) {outcome}" for number, outcome in zip(numbers, OUTCOMES, strict=True)]
    return [head, *body, line("all", sums), *legend]


def written(counts: Counter[tuple[str, str]], seed: int) -> str:
    """Return the text of faults.yml."""
    commit, dirty = provenance.commit()
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit + ("+" if dirty else ""),
        "seed": seed,
        "recordings": "real" if material.real() else "made up",
        "counts": rows(counts),
    }
    return "# Written by `make faults ARGS=--write`.\n" + yaml.safe_dump(about, sort_keys=False)


if __name__ == "__main__":
    sys.exit(main())
