"""`ecgadv data`: get the recordings, prepare them, and say what is there."""

from pathlib import Path

from ecgadv.cli import arguments

EXAMPLES = """\
datasets:
  synthetic        made in memory, for demonstration and tests
  mitdb            MIT-BIH Arrhythmia Database (94 MB, ODC-BY 1.0)
  challenge-2017   PhysioNet/CinC Challenge 2017, AF classification (100 MB, ODC-BY 1.0)
  cpsc2018         CPSC 2018, as in the PhysioNet/CinC Challenge 2020 (about 1.3 GB, CC BY 4.0);
                   or the organisers' .mat and REFERENCE.csv, put into ROOT/cpsc2018-icbeb
  ptb-xl           PTB-XL 1.0.3 at 100 Hz (43,600 files, 0.6 GB, CC BY 4.0)
  ptb-xl-500       the same at 500 Hz (2.6 GB)
  synthetic-12     twelve leads, made in memory
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

MATCH_EXAMPLES = """\
Looks for each row among the beats of `ecgadv data prepare mitdb`, bit for bit in float32 and with
its class, and prints how many are there and in which records. With the csv's two files it also
counts test rows that neighbour a train row in time, and writes the csv's own split down where
`data.split(beats, "csv")` takes it. Exits with 1 if a row is nowhere.

examples:
  ecgadv data match mitbih_train.csv
  ecgadv data match mitbih_train.csv mitbih_test.csv
"""


def add(commands):
    """`ecgadv data fetch | prepare | info | match`."""
    about = "get the recordings, prepare them, and say what is there"
    parser = arguments.add_command(commands, "data", about=about, epilog=EXAMPLES)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    about = "download a dataset from PhysioNet or a mirror, and verify it"
    fetch = arguments.add_command(actions, "fetch", about=about, epilog=FETCH_EXAMPLES)
    fetch.add_argument(
        "name", metavar="NAME", help="mitdb, challenge-2017, cpsc2018, ptb-xl or ptb-xl-500"
    )
    fetch.add_argument("--base-url", metavar="URL", help="where the databases lie on the server")
    _add_root(fetch)
    fetch.set_defaults(action=_fetch)

    about = "turn raw recordings into the one file that experiments load"
    prepare = arguments.add_command(actions, "prepare", about=about, epilog=PREPARE_EXAMPLES)
    prepare.add_argument("name", metavar="NAME", help="as for fetch")
    _add_root(prepare)
    prepare.set_defaults(action=_prepare)

    about = "print counts, classes, label version, hashes and splits"
    info = arguments.add_command(actions, "info", about=about, epilog=INFO_EXAMPLES)
    info.add_argument(
        "name", metavar="NAME", help="as for fetch, synthetic, synthetic-12 or kaggle"
    )
    _add_root(info)
    info.set_defaults(action=_info)

    about = "find the rows of a heartbeat csv in the recordings"
    match = arguments.add_command(actions, "match", about=about, epilog=MATCH_EXAMPLES)
    match.add_argument("csv", metavar="CSV", type=Path, help="mitbih_train.csv, or a part of one")
    match.add_argument(
        "test", metavar="TEST_CSV", type=Path, nargs="?", help="mitbih_test.csv, or a part of it"
    )
    _add_root(match)
    match.set_defaults(action=_match)


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


def _match(options):
    from ecgadv import data
    from ecgadv.data import match

    root = data.data_root() if options.root is None else options.root
    beats = data.load("mitdb", root=root)
    paths = [path for path in (options.csv, options.test) if path is not None]
    files = [match.locate(path, beats) for path in paths]
    print("\n".join(match.report(files, beats)))
    split = root / "prepared" / match.SPLIT_FILE
    if len(files) == 2 and match.write_split(*files, beats, split):
        print(f"the csv's own split is written to {split}: the split 'csv' of mitdb")
    return 0 if all(len(file.found) == len(file.place) for file in files) else arguments.DIFFERS
