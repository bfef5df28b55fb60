"""`ecgadv release`: copy finished records to where the book reads them."""

from ecgadv.cli import arguments
from ecgadv.errors import EcgadvError

EXAMPLES = """\
Copies finished records from --runs to book/records, from where the book takes its numbers.

example:
  ecgadv release paper-b --profile paper
"""


def add(commands):
    """`ecgadv release SUITE --profile PROFILE`."""
    about = "copy finished records to where the book reads them"
    parser = arguments.add_command(commands, "release", about=about, epilog=EXAMPLES)
    arguments.add_suite(parser, required=True)
    parser.add_argument("--no-weights", action="store_true", help="leave the weights out")
    arguments.add_runs(parser)
    parser.set_defaults(action=_release)


def _release(options):
    from ecgadv.experiments import suites
    from ecgadv.experiments.release import release
    from ecgadv.experiments.store import Store, released_folder

    plan = suites.plan(options.suite, options.profile)
    records = Store(options.runs).records(options.suite, options.profile)
    planned = [record for record in records if suites.holds(plan, record)]
    if not planned:
        raise EcgadvError(
            f"no {options.suite} records of profile {options.profile} in {options.runs}, with "
            f"{len(records)} of an older plan: run it first"
        )
    for record in release(planned, released_folder(), weights=not options.no_weights):
        new = "" if record.sealed else ", which had no SHA-256 sums: the released copy has"
        print(f"{record.key}  {record.config['label']} seed {record.seed}{new}")
