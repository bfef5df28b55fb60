"""`ecgadv records`: what has been run, with its headline numbers."""

import json
from fnmatch import fnmatchcase

from ecgadv.cli import arguments
from ecgadv.errors import EcgadvError

EXAMPLES = """\
Lists the released records and those in --runs, or one of them whole. Names are experiment, split,
network, defense and variant; * stands for anything.

examples:
  ecgadv records
  ecgadv records 'paper-b/beatwise/mlp/*'
  ecgadv records show 0884af81e737e2ac
"""


def add(commands):
    """`ecgadv records [GLOB]`, `ecgadv records show KEY`."""
    about = "list the records of runs with their headline numbers, or show one"
    parser = arguments.add_command(commands, "records", about=about, epilog=EXAMPLES)
    parser.add_argument("words", nargs="*", metavar="GLOB | show KEY", help="(default: all)")
    arguments.add_runs(parser)
    parser.set_defaults(action=_records)


def _records(options):
    from ecgadv.experiments.status import local_and_released
    from ecgadv.experiments.store import find, folders_at_hand

    if options.words[:1] == ["show"]:
        if len(options.words) != 2:
            raise EcgadvError("`ecgadv records show` takes one key, or a record's folder")
        print("\n".join(_one(find(options.words[1], folders_at_hand(options.runs)))))
        return
    if len(options.words) > 1:
        raise EcgadvError(f"{len(options.words)} patterns; give one, in quotes")
    pattern = options.words[0] if options.words else "*"
    print("\n".join(_list(local_and_released(options.runs), pattern)))


def _list(stores, pattern):
    """One line a record: key, name, profile, seed, where it is, and its accuracies."""
    from ecgadv.experiments.released import name_of

    rows, seen = [], set()
    for where, store in stores.items():
        for record in store.records():
            if record.key in seen or not fnmatchcase(name_of(record), pattern):
                continue
            seen.add(record.key)
            about = f"{name_of(record)} {record.config['profile']} seed {record.seed}"
            rows.append((record.key, about, where, headline(record)))
    if not rows:
        return [f"no record is named {pattern!r}: `ecgadv records` lists all"]
    wide = max(len(row[1]) for row in rows)
    return [f"{key}  {about:{wide}}  {where:8}  {numbers}" for key, about, where, numbers in rows]


def headline(record):
    """Accuracy without an attack, and the least that an attack left, at its largest eps."""
    numbers, unit = record.metrics, record.run["data"].get("unit", "")
    text = f"clean {100 * numbers['clean']['accuracy']:.1f} %"
    least = [
        (found["accuracy"][-1], name, found["eps"][-1])
        for name, found in numbers["attacks"].items()
        if found["accuracy"]
    ]
    if least:
        accuracy, name, eps = min(least)
        text += f", {100 * accuracy:.1f} % under {name} at {eps:g} {unit}"
    return text.rstrip()


def _one(record):
    """A record whole: what it is, how it was made, each attack's numbers, and proved bounds."""
    from ecgadv.experiments.released import name_of
    from ecgadv.experiments.scores import curves

    run = record.run
    lines = [
        f"{name_of(record)}, profile {record.config['profile']}, seed {record.seed}",
        f"  record   {record.path}",
        f"  command  {run.get('command', 'not recorded')}",
        f"  commit   {run['commit']}{', with changes' if run['dirty'] else ''}",
        f"  data     {run['data']['name']}, {run['data']['fingerprint'][:16]}",
        f"  device   {run['device']}, torch {run['versions']['torch']}, {record.seconds:,.0f} s",
        f"  weights  {'here' if record.weights.exists() else 'not released'}",
        f"  {headline(record)}",
    ]
    for name, found in curves(record.metrics).items():
        levels = zip(found["eps"], found["accuracy"], strict=True)
        lines.append(f"  {name}: " + ", ".join(f"{e:g}: {100 * a:.1f} %" for e, a in levels))
    return [*lines, *(f"  differs: {json.dumps(line)}" for line in record.config["differs"])]
