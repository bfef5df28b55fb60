"""Jobs as tasks of a cluster. A stand-in for submitit's executor keeps what it is given."""

import contextlib
import json
from dataclasses import replace

import pytest
import submitit
import tiny

from ecgadv import cli
from ecgadv.errors import EcgadvError
from ecgadv.experiments import cluster
from ecgadv.experiments.runner import Job, Options
from ecgadv.experiments.store import Store

AutoExecutor = submitit.AutoExecutor  # before a test replaces it


class Kept:
    """submitit.AutoExecutor, up to the cluster."""

    parameters = None
    batches = 0

    def __init__(self, folder, cluster):
        # The real one refuses parameters that it does not know.
        self.real = AutoExecutor(folder, cluster="debug")

    def update_parameters(self, **parameters):
        self.real.update_parameters(**parameters)
        Kept.parameters = parameters

    @contextlib.contextmanager
    def batch(self):
        Kept.batches += 1
        yield

    def submit(self, function, *arguments):
        return lambda: function(*arguments)


@pytest.fixture(autouse=True)
def _submitted_here(tiny_suite, monkeypatch):
    monkeypatch.setattr(submitit, "AutoExecutor", Kept)
    monkeypatch.setattr(cluster.shutil, "which", lambda name: f"/usr/bin/{name}")


def test_every_job_is_a_task_that_makes_its_records(tmp_path):
    short = replace(tiny.NSR, schedule=replace(tiny.NSR.schedule, epochs=1), attacks=())
    todo = [Job(short, (0,)), Job(short, (1,))]
    tasks = cluster.submit(todo, Options(tmp_path, command="ecgadv run tiny"))
    assert [task() for task in tasks] == [{job.name: "done"} for job in todo]
    records = Store(tmp_path).records("tiny")
    assert [record.seed for record in records] == [0, 1]
    assert json.loads((records[0].path / "run.json").read_text())["command"] == "ecgadv run tiny"


def test_what_a_task_may_use(tmp_path, monkeypatch):
    ends = []
    monkeypatch.setattr(cluster.time, "time", lambda: 1000.0)
    monkeypatch.setattr(cluster, "run_all", lambda todo, options: ends.append(options))
    options = Options(tmp_path, device="cuda", threads=3, processes=2)
    for task in cluster.submit([Job(tiny.PLAIN, (0,))], options, minutes=10):
        task()
    # It stops in good order before its time is up.
    assert [(o.ends_at, o.processes, o.device) for o in ends] == [(1000 + 0.9 * 600, 1, "cuda")]
    wanted = {"timeout_min": 10, "cpus_per_task": 3, "gpus_per_node": 1}
    assert {name: Kept.parameters[name] for name in wanted} == wanted


def test_the_command_submits_one_array_of_all_jobs(tmp_path, capsys):
    before = Kept.batches
    command = ["run", "tiny", "--profile", "demo", "--executor", "slurm", "--runs", str(tmp_path)]
    assert cli.main(command) == 0
    assert Kept.batches == before + 1
    assert Kept.parameters["timeout_min"] == 240
    assert Kept.parameters["gpus_per_node"] == 0
    assert "tasks submitted; logs in" in capsys.readouterr().out


def test_without_slurm_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster.shutil, "which", lambda name: None)
    with pytest.raises(EcgadvError, match=r"^no sbatch on this machine: log in to the cluster"):
        cluster.submit([], Options(tmp_path))
    command = ["run", "tiny", "--profile", "demo", "--executor", "slurm", "--runs", str(tmp_path)]
    assert cli.main(command) == 2
    assert "ecgadv: error: no sbatch on this machine" in capsys.readouterr().err
