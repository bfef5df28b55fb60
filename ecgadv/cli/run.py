"""`ecgadv run`: train and attack networks."""

import math
import shlex
import time

from ecgadv.cli import arguments
from ecgadv.errors import EcgadvError

EXAMPLES = """\
A run trains one network with one defense and one seed, puts it through every attack and writes a
record into --runs. Finished runs are not done twice; a run that was stopped, even by kill -9, goes
on from its last epoch. Several commands on one folder share the work.

profiles:
  demo      embedded synthetic signals: minutes on a laptop, never evidence
  compact   the real recordings, smaller networks or schedules, each difference in the record
  short     the real recordings, the paper's networks, fewer epochs (paper A)
  paper     the real recordings, the paper's networks and protocol

examples:
  ecgadv run paper-b --profile demo
  ecgadv run paper-b --profile paper --only '*/mlp/nsr-0.4/*' --seeds 1
  ecgadv run paper-b --profile paper --missing --device cuda --deadline 25
  ecgadv run paper-a --profile short --device cuda --executor slurm --deadline 120
"""


def add(commands):
    """`ecgadv run SUITE --profile PROFILE`."""
    about = "train and attack networks, and write a record of each"
    parser = arguments.add_command(commands, "run", about=about, epilog=EXAMPLES)
    arguments.add_suite(parser, required=True)
    parser.add_argument("--only", metavar="GLOB", default="*", help="labels to run (see status)")
    parser.add_argument(
        "--seeds", type=arguments.whole, metavar="N", help="seeds 0 ... N-1 of each config"
    )
    parser.add_argument("--missing", action="store_true", help="leave out what is released")
    arguments.add_device(parser)
    parser.add_argument(
        "--processes",
        type=arguments.whole,
        metavar="N",
        help="side by side (default: one a core, on cuda 1)",
    )
    parser.add_argument(
        "--threads", type=arguments.whole, default=1, metavar="N", help="of each process"
    )
    parser.add_argument(
        "--deadline", type=arguments.number, metavar="MIN", help="start no epoch after this"
    )
    parser.add_argument(
        "--executor", choices=("local", "slurm"), default="local", help="where (default: local)"
    )
    arguments.add_runs(parser)
    parser.set_defaults(action=_run)


def _run(options):
    from ecgadv.experiments import runner
    from ecgadv.experiments.store import Store, released_folder

    jobs = runner.jobs(options.suite, options.profile, only=options.only, seeds=options.seeds)
    if options.missing:
        jobs = runner.without_done(jobs, Store(released_folder()))
    arguments.check_count("--processes", options.processes)
    arguments.check_count("--threads", options.threads)
    if options.deadline is not None and not 0 < options.deadline < math.inf:
        raise EcgadvError(f"--deadline is {options.deadline}; give minutes, above 0 and finite")
    settings = runner.Options(
        options.runs,
        device=options.device,
        threads=options.threads,
        processes=options.processes or runner.default_processes(options.device),
        ends_at=None if options.deadline is None else time.time() + 60 * options.deadline,
        command=_command(options),
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


def _command(options):
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
