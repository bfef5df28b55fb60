"""Hand the jobs of a command to a SLURM cluster, through submitit.

Runs are independent, so every job is a task of its own that does what the command would do here.
All tasks share the folder of records, whose locks keep them apart.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace

from ecgadv.errors import EcgadvError
from ecgadv.experiments.runner import Job, Options, run_all

MINUTES = 240.0  # of a task, unless the command has a deadline
LAST_EPOCH = 0.9  # of its time after which a task starts no further epoch


def submit(todo: Sequence[Job], options: Options, *, minutes: float | None = None) -> list:
    """Return submitit's handles of the tasks, one a job; their logs go to ROOT/slurm.

    Args:
        todo: the jobs.
        options: how each task runs; its `ends_at` counts from the task's start instead.
        minutes: time limit of a task; a training that needs more goes on when submitted again.

    Raises:
        EcgadvError: submitit is not installed, or no SLURM is here.
    """
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise EcgadvError("submitit is missing: run `pip install 'ecgadv[slurm]'`") from error
    if shutil.which("sbatch") is None:
        raise EcgadvError("no sbatch on this machine: log in to the cluster, or run locally")
    minutes = minutes or MINUTES
    executor = submitit.AutoExecutor(folder=options.root / "slurm", cluster="slurm")
    executor.update_parameters(
        name="ecgadv",
        timeout_min=round(minutes),
        cpus_per_task=options.threads,
        gpus_per_node=int(options.device == "cuda"),
    )
    with executor.batch():
        return [executor.submit(_task, job, options, minutes) for job in todo]


def _task(job: Job, options: Options, minutes: float) -> dict[str, str]:
    ends_at = time.time() + 60 * minutes * LAST_EPOCH
    return run_all([job], replace(options, ends_at=ends_at, processes=1))
