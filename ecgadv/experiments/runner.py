"""Run many configs: resume what is begun, skip what is done, several processes if wanted."""

import contextlib
import fnmatch
import functools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from ecgadv import data
from ecgadv.errors import EcgadvError
from ecgadv.experiments import run, suites
from ecgadv.experiments.config import Config, run_key, training_key
from ecgadv.experiments.progress import Busy, Progress
from ecgadv.experiments.session import Session
from ecgadv.experiments.store import Store
from ecgadv.training import OutOfTime

WAIT = 2.0  # seconds before looking again at jobs that another process holds


@dataclass(frozen=True)
class Job:
    """Some seeds of one config, trained side by side and then evaluated one by one."""

    config: Config
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        seeds = ",".join(map(str, self.seeds))
        return f"{self.config.label} seed{'s' if len(self.seeds) > 1 else ''} {seeds}"


@dataclass(frozen=True)
class Options:
    """How to run; the paths and names are plain so that they reach other processes."""

    root: Path
    device: str = "cpu"
    threads: int = 1
    processes: int = 1
    ends_at: float | None = None  #: time.time() of the deadline
    command: str = ""


def jobs(suite: str, profile: str, *, only: str = "*", seeds: int | None = None) -> list[Job]:
    """Return the jobs of a suite whose label matches the pattern `only`.

    Args:
        suite, profile: as in `ecgadv.experiments.suites`.
        only: shell pattern on the label, such as "*/mlp/nsr-*".
        seeds: how many seeds of each config instead of the suite's own number.
    """
    plan = suites.plan(suite, profile)
    chosen = [(config, n) for config, n in plan if fnmatch.fnmatch(config.label, only)]
    if not chosen:
        labels = ", ".join(config.label for config, _ in plan)
        raise EcgadvError(f"--only {only!r} matches nothing; the labels are {labels}")
    if seeds is not None and seeds < 1:
        raise EcgadvError(f"--seeds is {seeds}; give at least 1")
    found = []
    for config, number in chosen:
        every = list(range(number if seeds is None else seeds))
        groups = [every[i : i + config.together] for i in range(0, len(every), config.together)]
        found += [Job(config, tuple(group)) for group in groups]
    return found


@functools.cache
def fingerprint(dataset: str) -> str:
    """Return the fingerprint of a dataset; one process reads it once."""
    return data.load(dataset).fingerprint


def state(job: Job, store: Store, own: str | None = None) -> dict[int, str]:
    """Return for each seed of a job "done", "trained" or "missing".

    Args:
        job: some seeds of a config.
        store: where their records and weights would be.
        own: fingerprint of its dataset; that of the data here if None.
    """
    own = fingerprint(job.config.dataset) if own is None else own
    found = {}
    for seed in job.seeds:
        weights = store.weights_folder(training_key(job.config, seed, own))
        trained = "trained" if weights.exists() else "missing"
        done = store.get(run_key(job.config, seed, own))
        found[seed] = "done" if done else trained
    return found


def without_done(todo: list[Job], store: Store) -> list[Job]:
    """Return the jobs without the seeds that have their record in `store`."""
    left = []
    for job in todo:
        seeds = tuple(seed for seed, found in state(job, store).items() if found != "done")
        if seeds:
            left.append(Job(job.config, seeds))
    return left


def run_job(job: Job, options: Options, slot: int = 0) -> str:
    """Train and evaluate one job; return "done", "busy" (another process has it) or "later"."""
    torch.set_num_threads(options.threads)
    store = Store(options.root)
    try:
        for left in without_done([job], store):
            if options.ends_at is not None and time.time() > options.ends_at:
                return "later"
            with Progress(left.name, slot) as progress:
                session = _session(options, progress)
                _train_before(left.config, left.seeds, session)
                with _locked(left.config, left.seeds, store):
                    run.train_missing(left.config, left.seeds, session)
                    for seed in left.seeds:
                        run.run_once(left.config, seed, session)
    except OutOfTime:
        return "later"
    except Busy:
        return "busy"
    return "done"


def _train_before(config: Config, seeds: tuple[int, ...], session: Session) -> None:
    """Train what a config builds on.

    Its locks are held no longer than that, so that all that builds on one network can run at once.
    """
    for before in config.builds_on().values():
        missing = tuple(seed for seed in seeds if session.weights(before, seed) is None)
        if missing:
            _train_before(before, missing, session)
            with _locked(before, missing, session.store):
                for seed in missing:
                    run.train_missing(before, [seed], session)


@contextlib.contextmanager
def _locked(config: Config, seeds: tuple[int, ...], store: Store) -> Iterator[None]:
    """Lock each seed's weights, whatever another command groups; raise Busy if one is taken."""
    own = fingerprint(config.dataset)
    with contextlib.ExitStack() as locks:
        keys = [training_key(config, seed, own) for seed in seeds]
        if not all(locks.enter_context(store.lock(key)) for key in keys):
            raise Busy
        yield


def _session(options: Options, progress: Progress) -> Session:
    deadline = None
    if options.ends_at is not None:
        deadline = time.monotonic() + options.ends_at - time.time()
    return Session(
        Store(options.root),
        torch.device(options.device),
        deadline,
        on_progress=progress.update,
        command=options.command,
        known_fingerprint=fingerprint,
        crafted=_CRAFTED,
    )


# Transferred examples, which all networks of a process share.
_CRAFTED: dict = {}


def run_all(todo: Iterable[Job], options: Options) -> dict[str, str]:
    """Run the jobs and return what became of each: "done" or "later" by the job's name.

    Jobs that another process holds are put off and looked at again until the deadline, so two
    commands on one folder share the work. The first job that fails stops those not yet begun.

    Raises:
        EcgadvError: no such device, a job failed, or a process of ours was killed.
    """
    check_device(options.device)
    Store(options.root).clear_finished()
    waiting, outcome = list(todo), {}
    with _workers(options, len(waiting)) as try_each:
        while waiting:
            outcome |= try_each(waiting)
            waiting = [job for job in waiting if outcome[job.name] == "busy"]
            if waiting and options.ends_at is not None and time.time() > options.ends_at:
                return outcome | {job.name: "later" for job in waiting}
            if waiting:
                time.sleep(WAIT)
    return outcome


@contextlib.contextmanager
def _workers(options: Options, jobs: int) -> Iterator[Callable[[list[Job]], dict[str, str]]]:
    """Give a function that tries every job once, in this process or in several."""
    processes = min(options.processes, jobs)
    if processes <= 1:
        yield lambda todo: {job.name: run_job(job, options) for job in todo}
        return
    # Spawned, because torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    # No manager: it would be a process of its own, which outlives a killed command.
    taken = context.Value("i", 0)
    pool = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin_process, initargs=(taken,)
    )

    def try_each(todo: list[Job]) -> dict[str, str]:
        futures = {pool.submit(_run_in_slot, job, options): job for job in todo}
        return {futures[future].name: future.result() for future in as_completed(futures)}

    try:
        yield try_each
    except BrokenProcessPool as error:
        text = "a process was killed, perhaps for want of memory; run the same command again"
        raise EcgadvError(f"{text}, with fewer --processes if it happens again") from error
    finally:
        pool.shutdown(cancel_futures=True)


# The line of the terminal that belongs to this process.
_slot = 0


def _begin_process(taken) -> None:
    """Take a line of the terminal; `taken` counts those that other processes have."""
    global _slot
    with taken.get_lock():
        _slot = taken.value
        taken.value += 1
    _end_with_parent()


def _end_with_parent() -> None:
    """Let an interrupt, or the death of the command, end this process at once.

    Left to itself, the pool would start its next job. Nothing is lost: the checkpoint has it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_in_slot(job: Job, options: Options) -> str:
    return run_job(job, options, _slot)


def check_device(device: str) -> None:
    """Raise EcgadvError if the device is unknown or not there."""
    if device not in ("cpu", "cuda"):
        raise EcgadvError(f"unknown device {device!r}; choose cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise EcgadvError("no CUDA device is visible to torch; use --device cpu")


def default_processes(device: str) -> int:
    """Return one process a core on a CPU, one on a GPU."""
    return 1 if device == "cuda" else usable_cores()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # neither macOS nor Windows has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
