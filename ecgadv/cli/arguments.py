"""Arguments that several subcommands take, and how a subcommand is added."""

import argparse
from pathlib import Path

from ecgadv.errors import EcgadvError

DIFFERS = 1  # the exit status where what was compared is not the same


def add_command(commands, name, *, about, epilog):
    """Add a subcommand with help that teaches; returns its parser."""
    return commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_suite(parser, *, required):
    """Add SUITE and --profile."""
    parser.add_argument(
        "suite",
        metavar="SUITE",
        nargs=None if required else "?",
        help="paper-a, paper-b or twelve-leads",
    )
    text = "demo, compact, short (paper-a) or paper"
    parser.add_argument("--profile", metavar="PROFILE", required=required, help=text)


def add_device(parser):
    """Add --device."""
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def add_runs(parser):
    """Add --runs, where the runs made here are."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="(default: ./runs)"
    )


def whole(text):
    """Return the int of an argument; what argparse says of any other text tells what to give."""
    return _converted(int, text, "a whole number, such as 3")


def number(text):
    """Return the float of an argument, likewise."""
    return _converted(float, text, "a number, such as 25 or 0.5")


def _converted(kind, text, wanted):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None


def check_count(option, value):
    """Raise EcgadvError unless an option that counts is left out or at least 1."""
    if value is not None and value < 1:
        raise EcgadvError(f"{option} is {value}; give at least 1")
