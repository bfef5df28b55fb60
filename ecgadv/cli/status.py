"""`ecgadv status`: what is done, what is missing and what it would cost."""

from ecgadv.cli import arguments

EXAMPLES = """\
"local" is a record in --runs, "released" one that came with the repository, "trained" weights that
await their evaluation.

examples:
  ecgadv status
  ecgadv status paper-b --profile paper
"""


def add(commands):
    """`ecgadv status [SUITE]`."""
    about = "say what is done, what is missing and what it would cost"
    parser = arguments.add_command(commands, "status", about=about, epilog=EXAMPLES)
    arguments.add_suite(parser, required=False)
    arguments.add_runs(parser)
    parser.set_defaults(action=_status)


def _status(options):
    from ecgadv.experiments import status, suites

    chosen = suites.known(options.suite, options.profile)
    stores = status.local_and_released(options.runs)
    print("\n".join(status.table(chosen, stores)))
