"""`ecgadv check`: verify adversarial examples that somebody made against a released network."""

from pathlib import Path

from ecgadv.cli import arguments

EXAMPLES = """\
FILE is an .npz as ecgadv.experiments.submission.Submission(...).save writes it: examples `x` of the
beats `id` against one record at one eps. The data set must be prepared here. It says what accuracy
they leave beside the record's own worst case, and --out writes that for the leaderboard.

examples:
  ecgadv check mine.npz
  ecgadv check mine.npz --out submission.json
"""


def add(commands):
    """`ecgadv check FILE`."""
    about = "verify adversarial examples made against a released network"
    parser = arguments.add_command(commands, "check", about=about, epilog=EXAMPLES)
    parser.add_argument("file", type=Path, metavar="FILE", help="the examples, an .npz")
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the verdict there")
    arguments.add_runs(parser)
    parser.set_defaults(action=_check)


def _check(options):
    from ecgadv.experiments import submission
    from ecgadv.experiments.store import released_folder

    made = submission.read(options.file)
    record = submission.record_of(made, [released_folder(), options.runs])
    verdict = submission.check(made, record)
    print("\n".join(verdict.lines()))
    if options.out is not None:
        verdict.save(options.out)
