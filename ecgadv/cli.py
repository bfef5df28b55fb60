"""The command `ecgadv`: what each subcommand takes, and how failures are told.

The work is done in the package; every subcommand imports what it needs when it runs, so that
`--help` answers at once and a bare GPU node needs no more than torch and numpy.
"""

import argparse
import math
import os
import shlex
import sys
import time
from pathlib import Path

from ecgadv import __version__, cli_help
from ecgadv.errors import TOLD, EcgadvError, one_line

DIFFERS, FAILED, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141


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
    except TOLD as error:
        print(f"ecgadv: error: {one_line(error)}", file=sys.stderr)
        return FAILED
    return status


def _parser():
    parser = argparse.ArgumentParser(
        prog="ecgadv",
        description=cli_help.ABOUT,
        epilog=cli_help.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ecgadv {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_data(commands)
    add_run(commands)
    add_status(commands)
    add_verify(commands)
    add_release(commands)
    add_figures(commands)
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
    """`ecgadv data fetch | prepare | info | match`."""
    about = "get the recordings, prepare them, and say what is there"
    parser = add_command(commands, "data", about=about, epilog=cli_help.DATA_EXAMPLES)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    about = "download a dataset from PhysioNet or a mirror, and verify it"
    fetch = add_command(actions, "fetch", about=about, epilog=cli_help.FETCH_EXAMPLES)
    fetch.add_argument("name", metavar="NAME", help="mitdb, challenge-2017 or cpsc2018")
    fetch.add_argument("--base-url", metavar="URL", help="where the databases lie on the server")
    _add_root(fetch)
    fetch.set_defaults(action=_fetch)

    about = "turn raw recordings into the one file that experiments load"
    prepare = add_command(actions, "prepare", about=about, epilog=cli_help.PREPARE_EXAMPLES)
    prepare.add_argument("name", metavar="NAME", help="mitdb or challenge-2017")
    _add_root(prepare)
    prepare.set_defaults(action=_prepare)

    about = "print counts, classes, label version, hashes and splits"
    info = add_command(actions, "info", about=about, epilog=cli_help.INFO_EXAMPLES)
    info.add_argument(
        "name", metavar="NAME", help="synthetic, mitdb, challenge-2017, cpsc2018 or kaggle"
    )
    _add_root(info)
    info.set_defaults(action=_info)

    about = "find the rows of a heartbeat csv in the recordings"
    match = add_command(actions, "match", about=about, epilog=cli_help.MATCH_EXAMPLES)
    match.add_argument("csv", metavar="CSV", type=Path, help="mitbih_train.csv, or a part of one")
    match.add_argument(
        "test", metavar="TEST_CSV", type=Path, nargs="?", help="mitbih_test.csv, or a part of it"
    )
    _add_root(match)
    match.set_defaults(action=_match)


def add_run(commands):
    """`ecgadv run SUITE --profile PROFILE`."""
    about = "train and attack networks, and write a record of each"
    parser = add_command(commands, "run", about=about, epilog=cli_help.RUN_EXAMPLES)
    _add_suite(parser, required=True)
    parser.add_argument("--only", metavar="GLOB", default="*", help="labels to run (see status)")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 ... N-1 of each config")
    parser.add_argument("--missing", action="store_true", help="leave out what is released")
    _add_device(parser)
    parser.add_argument(
        "--processes", type=int, metavar="N", help="side by side (default: one a core, on cuda 1)"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each process")
    parser.add_argument("--deadline", type=float, metavar="MIN", help="start no epoch after this")
    parser.add_argument(
        "--executor", choices=("local", "slurm"), default="local", help="where (default: local)"
    )
    _add_runs(parser)
    parser.set_defaults(action=_run)


def add_status(commands):
    """`ecgadv status [SUITE]`."""
    about = "say what is done, what is missing and what it would cost"
    parser = add_command(commands, "status", about=about, epilog=cli_help.STATUS_EXAMPLES)
    _add_suite(parser, required=False)
    _add_runs(parser)
    parser.set_defaults(action=_status)


def add_verify(commands):
    """`ecgadv verify RUN`."""
    about = "recompute one record and compare"
    parser = add_command(commands, "verify", about=about, epilog=cli_help.VERIFY_EXAMPLES)
    parser.add_argument("record", metavar="RUN", help="a record's key, or its folder")
    parser.add_argument("--retrain", action="store_true", help="train again from the seed, too")
    parser.add_argument("--tolerance", type=float, default=0.002, metavar="T", help="(0.002)")
    _add_device(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(default: 1)")
    _add_runs(parser)
    parser.set_defaults(action=_verify)


def add_release(commands):
    """`ecgadv release SUITE --profile PROFILE`."""
    about = "copy finished records to where the book reads them"
    parser = add_command(commands, "release", about=about, epilog=cli_help.RELEASE_EXAMPLES)
    _add_suite(parser, required=True)
    parser.add_argument("--no-weights", action="store_true", help="leave the weights out")
    _add_runs(parser)
    parser.set_defaults(action=_release)


def add_figures(commands):
    """`ecgadv figures [ID ...]`."""
    about = "list the citable figures, or copy some"
    parser = add_command(commands, "figures", about=about, epilog=cli_help.FIGURES_EXAMPLES)
    parser.add_argument("ids", metavar="ID", nargs="*", help="figures to copy (default: list all)")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="where to")
    parser.set_defaults(action=_figures)


def _add_suite(parser, *, required):
    parser.add_argument(
        "suite", metavar="SUITE", nargs=None if required else "?", help="paper-a or paper-b"
    )
    text = "demo, compact, short (paper-a) or paper"
    parser.add_argument("--profile", metavar="PROFILE", required=required, help=text)


def _add_device(parser):
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _add_runs(parser):
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="(default: ./runs)"
    )


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
    return 0 if all(len(file.found) == len(file.place) for file in files) else DIFFERS


def _run(options):
    from ecgadv.experiments import runner
    from ecgadv.experiments.store import Store, released_folder

    jobs = runner.jobs(options.suite, options.profile, only=options.only, seeds=options.seeds)
    if options.missing:
        jobs = runner.without_done(jobs, Store(released_folder()))
    _check_count("--processes", options.processes)
    _check_count("--threads", options.threads)
    if options.deadline is not None and not 0 < options.deadline < math.inf:
        raise EcgadvError(f"--deadline is {options.deadline}; give minutes, above 0 and finite")
    settings = runner.Options(
        options.runs,
        device=options.device,
        threads=options.threads,
        processes=options.processes or runner.default_processes(options.device),
        ends_at=None if options.deadline is None else time.time() + 60 * options.deadline,
        command=_run_command(options),
    )
    if options.executor == "slurm":
        from ecgadv.experiments import cluster

        tasks = cluster.submit(jobs, settings, minutes=options.deadline)
        print(f"{len(tasks)} tasks submitted; logs in {options.runs}/slurm")
        return
    outcome = runner.run_all(jobs, settings)
    later = [name for name, result in outcome.items() if result == "later"]
    print(f"{len(outcome) - len(later)} of {len(outcome)} jobs are done; records in {options.runs}")
    if later:
        print(f"stopped at the deadline: {', '.join(later)}; the same command goes on with them")


def _check_count(option, value):
    if value is not None and value < 1:
        raise EcgadvError(f"{option} is {value}; give at least 1")


def _run_command(options):
    """The command for the record: what decides the result, no folder of this machine."""
    words = ["ecgadv", "run", options.suite, "--profile", options.profile]
    if options.only != "*":
        words += ["--only", options.only]
    if options.seeds is not None:
        words += ["--seeds", str(options.seeds)]
    if options.device != "cpu":
        words += ["--device", options.device]
    if options.threads != 1:
        words += ["--threads", str(options.threads)]
    return shlex.join(words)


def _status(options):
    from ecgadv.experiments import status, suites
    from ecgadv.experiments.store import released_folder

    chosen = suites.known(options.suite, options.profile)
    stores = status.local_and_released(options.runs, released_folder())
    print("\n".join(status.table(chosen, stores)))


def _verify(options):
    import torch

    from ecgadv.experiments import runner, verify
    from ecgadv.experiments.store import find, released_folder

    runner.check_device(options.device)
    _check_count("--threads", options.threads)
    if not 0 <= options.tolerance < math.inf:
        raise EcgadvError(f"--tolerance is {options.tolerance}; give a finite number, at least 0")
    torch.set_num_threads(options.threads)
    record = find(options.record, [options.runs, released_folder()])
    session = verify.session_on(options.device)
    result = verify.verify(record, session, retrain=options.retrain)
    print(f"{record.config['label']} seed {record.seed}, record {record.key}")
    if not record.sealed:
        print("  made before records had SHA-256 sums: its files were read unchecked")
    print("\n".join(result.lines()))
    if not result.largest <= options.tolerance:  # NaN agrees with nothing
        print(f"  differs by {result.largest:.4f}, more than {options.tolerance:g}")
        return DIFFERS
    print(f"  agrees within {options.tolerance:g}")
    return 0


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


def _figures(options):
    from ecgadv.figures import shelf

    registry, made = Path("book/figures.yml"), Path("_build/executed/figures")
    if options.ids:
        print("\n".join(map(str, shelf.copy(options.ids, registry, made, options.out))))
    else:
        print("\n".join(shelf.listing(registry, made)))
