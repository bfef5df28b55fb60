"""The command `ecgadv`: what each subcommand takes, and how failures are told.

The work is done in the package; every subcommand imports what it needs when it runs, so that
`--help` answers at once and a bare GPU node needs no more than torch and numpy.
"""

import argparse
import os
import sys
from pathlib import Path

from ecgadv import __version__
from ecgadv.errors import EcgadvError

FAILED, INTERRUPTED, PIPE_CLOSED = 2, 130, 141

ABOUT = """\
Adversarial attacks and defenses for ECG classifiers, re-tested on the real recordings."""

EXAMPLES = """\
examples:
  ecgadv data info synthetic          the embedded beats: nothing to download
  ecgadv data fetch mitdb             download and verify the MIT-BIH recordings (94 MB)
  ecgadv data prepare mitdb           cut them into beats, once
"""

DATA_EXAMPLES = """\
datasets:
  synthetic        made in memory, for demonstration and tests
  mitdb            MIT-BIH Arrhythmia Database (94 MB, ODC-BY 1.0)
  challenge-2017   PhysioNet/CinC Challenge 2017, AF classification (100 MB, ODC-BY 1.0)
  cpsc2018         CPSC 2018, as in the PhysioNet/CinC Challenge 2020 (about 1.3 GB, CC BY 4.0)
  kaggle           the heartbeat csv, if you put it in ROOT/kaggle: needs an account, not fetched

from nothing to data that `ecgadv run` takes:
  ecgadv data fetch mitdb
  ecgadv data prepare mitdb
  ecgadv data info mitdb
"""

FETCH_EXAMPLES = """\
Every file is checked against the published SHA-256 sums before it gets its name. After a failure
or an interrupt, run the same command again: it goes on from what is there. Files that are there
and sound are not fetched again.

examples:
  ecgadv data fetch mitdb
  ecgadv data fetch mitdb --dest /data/ecg          files land in /data/ecg/mitdb/1.0.0
  ecgadv data fetch cpsc2018 --base-url http://localhost:8017/files/

environment:
  ECGADV_DATA        folder of the recordings (default: ./recordings)
  ECGADV_PHYSIONET   address of a mirror (default: https://physionet.org/files/)
"""

PREPARE_EXAMPLES = """\
Reads the raw recordings and writes ROOT/prepared/NAME.npz, all that training and attacks need: copy
that one file to a GPU node.

example:
  ecgadv data prepare mitdb
"""

INFO_EXAMPLES = """\
examples:
  ecgadv data info synthetic
  ecgadv data info mitdb --root /data/ecg
"""


def main(argv=None):
    """Run the command line.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit status: 0; 2 after one line on what failed; 130 if interrupted.
    """
    options = _parser().parse_args(argv)
    try:
        status = options.action(options) or 0
        sys.stdout.flush()  # a closed pipe shows here, not in the interpreter's last moments
    except KeyboardInterrupt:
        print("ecgadv: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more at exit: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (EcgadvError, OSError, ModuleNotFoundError) as error:
        print(f"ecgadv: error: {_one_line(error)}", file=sys.stderr)
        return FAILED
    return status


def _one_line(error):
    """What failed and the mend, without line breaks."""
    if isinstance(error, ModuleNotFoundError):
        text = f"the package {error.name} is missing: run `pip install 'ecgadv[book,data]'`"
    elif isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        text = f"{error.strerror}{where}: mend that, then run the same command again"
    else:
        text = str(error)
    return " ".join(text.split())


def _parser():
    parser = argparse.ArgumentParser(
        prog="ecgadv",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ecgadv {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_data(commands)
    return parser


def add_command(commands, name, *, about, epilog):
    """Add a subcommand with help that teaches; returns its parser."""
    return commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_data(commands):
    """`ecgadv data fetch | prepare | info`."""
    about = "get the recordings, prepare them, and say what is there"
    parser = add_command(commands, "data", about=about, epilog=DATA_EXAMPLES)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    about = "download a dataset from PhysioNet or a mirror, and verify it"
    fetch = add_command(actions, "fetch", about=about, epilog=FETCH_EXAMPLES)
    fetch.add_argument("name", metavar="NAME", help="mitdb, challenge-2017 or cpsc2018")
    fetch.add_argument("--base-url", metavar="URL", help="where the databases lie on the server")
    _add_root(fetch)
    fetch.set_defaults(action=_fetch)

    about = "turn raw recordings into the one file that experiments load"
    prepare = add_command(actions, "prepare", about=about, epilog=PREPARE_EXAMPLES)
    prepare.add_argument("name", metavar="NAME", help="mitdb")
    _add_root(prepare)
    prepare.set_defaults(action=_prepare)

    about = "print counts, classes, label version, hashes and splits"
    info = add_command(actions, "info", about=about, epilog=INFO_EXAMPLES)
    info.add_argument(
        "name", metavar="NAME", help="synthetic, mitdb, challenge-2017, cpsc2018 or kaggle"
    )
    _add_root(info)
    info.set_defaults(action=_info)


def _add_root(parser):
    parser.add_argument(
        "--dest",
        "--root",
        dest="root",
        type=Path,
        metavar="DIR",
        help="folder of the recordings (default: $ECGADV_DATA or ./recordings)",
    )


def _fetch(options):
    from ecgadv.data import physionet

    done = physionet.fetch(options.name, root=options.root, base=options.base_url)
    print("\n".join(done.summary()))


def _prepare(options):
    from ecgadv.data import prepare

    print("\n".join(prepare.prepare(options.name, root=options.root)))


def _info(options):
    from ecgadv.data import describe

    print("\n".join(describe.describe(options.name, root=options.root)))
