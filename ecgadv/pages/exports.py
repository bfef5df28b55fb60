"""What the page on reproduction lists and gives away: runs, costs, and the flags of every beat."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from ecgadv.claims import NOT_RUN
from ecgadv.evaluation.robustness import NOT_ATTACKED
from ecgadv.experiments import suites
from ecgadv.experiments.config import Config
from ecgadv.experiments.store import Record
from ecgadv.figures import Table
from ecgadv.markdown import Markdown
from ecgadv.pages.cells import of_rows
from ecgadv.results.records import Results, current, names
from ecgadv.results.result import WORST, Result

PROTOCOLS = ("faithful", "corrected")  # the variants that are put through all attacks
SHOWN_EPS = 0.1  # of the flags that can be downloaded
STAR = " (*: at least)"  # in the head of a column of times


def costs(records: Sequence[Record], suite: str) -> Table:
    """Return for every config of a suite that was run its seeds and the minutes of one seed."""
    rows, shown = [], current(records)
    for profile, config, planned in _planned(suite):
        found = [r for r in shown if names(r) == (suite, profile, config.label)]
        if found:
            training = np.mean([r.run["training"]["seconds"] for r in found]) / 60
            attacking = np.mean([r.attack_seconds for r in found]) / 60
            devices = ", ".join(sorted({r.run["device"] for r in found}))
            seeds = f"{len({r.seed for r in found})} of {planned}"
            minutes = (f"{training:.1f}", f"{attacking:.1f}{_star(found)}", devices)
            rows.append((profile, f"`{config.label}`", seeds, *minutes))
    head = ("profile", "config", "seeds", "training, min a seed", f"attacks, min a seed{STAR}")
    return of_rows((*head, "device"), rows)


def totals(records: Sequence[Record]) -> Table:
    """Return the hours of all runs of each suite and profile, by the device that they took."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in current(records):
        suite, profile, _ = names(record)
        groups.setdefault((suite, profile, record.run["device"]), []).append(record)
    rows = []
    for group, found in sorted(groups.items()):
        training = sum(r.run["training"]["seconds"] for r in found) / 3600
        attacking = sum(r.attack_seconds for r in found) / 3600
        hours = (f"{hours:.1f}{_star(found)}" for hours in (attacking, training + attacking))
        rows.append((*group, len(found), f"{training:.1f}", *hours))
    head = ("suite", "profile", "device", "runs", "training, h", f"attacks, h{STAR}", "together, h")
    return of_rows(head, rows)


def faults(path: Path) -> list[Markdown | Table]:
    """Return when `make faults` was run and on what, and how often each fault came to what.

    Args:
        path: the file that it writes.
    """
    if not path.exists():
        return [Markdown(f"*{NOT_RUN}*")]
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = [(what, *counts.values()) for what, counts in told["counts"].items()]
    sums = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    text = (
        f"{sum(sums):,} faults, counted on {told['date']} at commit `{told['commit'][:9]}` with "
        f"seed {told['seed']} and recordings that are {told['recordings']}."
    )
    outcomes = next(iter(told["counts"].values()))
    return [Markdown(text), of_rows(("fault", *outcomes), [*rows, ("all", *sums)])]


def size(folder: str | Path) -> str:
    """Return what the files of a folder take on disk, in MB."""
    taken = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return f"{taken / 1e6:,.0f} MB"


def not_run(records: Sequence[Record], suite: str) -> Markdown:
    """Name the configs of a suite that have no record, profile by profile."""
    done = {names(record) for record in current(records)}
    missing: dict[str, list[str]] = {}
    for profile, config, _ in _planned(suite):
        if (suite, profile, config.label) not in done:
            missing.setdefault(profile, []).append(f"`{config.label}`")
    lines = [f"* {profile}: {', '.join(labels)}" for profile, labels in missing.items()]
    return Markdown("\n".join(["Planned and not run:", "", *lines]) if lines else "All was run.")


def _planned(suite: str) -> list[tuple[str, Config, int]]:
    """Return (profile, config, number of seeds) for every config of a suite."""
    return [
        (profile, config, seeds)
        for name, profile in suites.known(suite)
        for config, seeds in suites.plan(name, profile)
    ]


def listed(records: Sequence[Record]) -> Table:
    """Return where each record comes from."""
    rows = [
        (
            f"`{r.key}`",
            r.config["profile"],
            f"`{r.config['label']}`",
            r.seed,
            f"`{r.run['commit'][:9]}{'+' * r.run['dirty']}`",
            f"{r.seconds:,.0f}{_star([r])}",
            r.run["device"],
            r.run["threads"],
            r.run["versions"]["torch"],
            "yes" if r.weights.exists() else "no",
        )
        for r in current(records)
    ]
    head = ("record", "profile", "config", "seed", "commit", f"seconds{STAR}", "device", "threads")
    return of_rows((*head, "torch", "weights"), rows)


def flags(results: Results, *, split: str, network: str, out: str | Path) -> Markdown:
    """Write the flags of every test beat that all attacks saw, and return a link to the file.

    One row a beat: its position in the data set, its class, and for each defense, seed and attack
    at eps 0.1 whether it held, 1 or 0.

    Args:
        results: of one profile.
        split, network: which of them.
        out: the notebook's output folder; the file goes to its `downloads/`.
    """
    # The other variants are put through some of the attacks only.
    found = [r for r in results.pick(split=split, network=network) if r.variant in PROTOCOLS]
    if not found:
        return Markdown(f"*Flags of the {network.upper()}, {split} split: not run.*")
    seen = np.all([_seen(result) for result in found], axis=0)
    columns: dict[str, list] = {
        "beat": found[0].ids[seen].tolist(),
        "class": [found[0].classes[label] for label in found[0].y[seen]],
    }
    for result in found:
        for s, seed in enumerate(result.seeds):
            name = f"{result.defense}/{result.variant}/seed-{seed}"
            columns[f"{name}/clean"] = result.clean[s][seen].tolist()
            for attack in result.attacks:
                columns[f"{name}/{attack}"] = result.held(attack, SHOWN_EPS)[s][seen].tolist()
    path = Path(out) / "downloads" / f"flags-{results.profile}-{split}-{network}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([list(columns), *zip(*columns.values(), strict=True)])
    return Markdown(
        f"{{download}}`{path.name} </downloads/{path.name}>`: {network.upper()}, {split} split, "
        f"profile `{results.profile}`, eps {SHOWN_EPS:g}; {int(seen.sum()):,} beats, "
        f"{len(columns) - 2} columns of flags."
    )


def _star(records: Sequence[Record]) -> str:
    """Return the mark of a time that leaves out what some of the records took over."""
    return "*" if any(record.untimed for record in records) else ""


def _seen(result: Result) -> np.ndarray:
    """Return which examples every attack saw at the shown level, (N,)."""
    return (result.held(WORST, SHOWN_EPS) != NOT_ATTACKED).all(axis=0)
