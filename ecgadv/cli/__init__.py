"""The command `ecgadv`: its subcommands, a module each, and how failures are told.

The work is done in the package; every subcommand imports what it needs when it runs, so that
`--help` answers at once and a bare GPU node needs no more than torch and numpy.
"""

import argparse
import os
import sys

from ecgadv import __version__
from ecgadv.cli import check, data, figures, records, release, run, status, verify
from ecgadv.errors import TOLD, one_line

FAILED, INTERRUPTED, PIPE_CLOSED = 2, 130, 141

ABOUT = """\
Adversarial attacks and defenses for ECG classifiers, re-tested on the real recordings."""

EXAMPLES = """\
examples:
  ecgadv data info synthetic          the embedded beats: nothing to download
  ecgadv data fetch mitdb             download and verify the MIT-BIH recordings (94 MB)
  ecgadv data prepare mitdb           cut them into beats, once
  ecgadv run paper-b --profile demo   train and attack on the embedded beats, about a minute
  ecgadv status                       what is there, what is missing, what it would cost
  ecgadv records 'paper-b/*'          what was run, with its headline numbers
"""


def main(argv=None):
    """Run the command line.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit status, 0, 2 after one line on what failed, or 130 if interrupted.
    """
    options = _parser().parse_args(argv)
    try:
        outcome = options.action(options) or 0
        sys.stdout.flush()  # a closed pipe shows here, not in the interpreter's last moments
    except KeyboardInterrupt:
        print("ecgadv: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except TOLD as error:
        print(f"ecgadv: error: {one_line(error)}", file=sys.stderr)
        return FAILED
    return outcome


def _parser():
    parser = argparse.ArgumentParser(
        prog="ecgadv",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ecgadv {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (data, run, status, records, verify, check, release, figures):
        command.add(commands)
    return parser
