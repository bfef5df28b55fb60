"""Many runs: which there are, how they share a folder, and what stops them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from ecgadv import data
from ecgadv.errors import EcgadvError
from ecgadv.experiments import provenance, run, runner, status, suites
from ecgadv.experiments.config import training_key
from ecgadv.experiments.runner import Job, Options, jobs, run_all
from ecgadv.experiments.session import fresh_model
from ecgadv.experiments.store import Store
from ecgadv.models.stacking import stack
from ecgadv.training import OutOfTime

SHORT = replace(tiny.PLAIN, attacks=tiny.ATTACKS[:1])


@pytest.fixture(autouse=True)
def _quick(tiny_suite, monkeypatch):
    monkeypatch.setattr(runner, "WAIT", 0.01)
    runner.fingerprint.cache_clear()
    yield
    runner.fingerprint.cache_clear()


def words(job, root):
    return list(runner.state(job, Store(root)).values())


# Which jobs there are


def test_jobs_of_a_suite_by_label_and_number_of_seeds():
    found = jobs("tiny", "demo")
    assert [(job.config.label, job.seeds) for job in found] == [
        (tiny.PLAIN.label, (0,)),
        (tiny.PLAIN.label, (1,)),
        (tiny.ADVERSARIAL.label, (0, 1)),
    ]
    assert found[0].name == "beatwise/mlp/ce/faithful seed 0"
    assert found[2].name == "beatwise/mlp/at-0.1/corrected seeds 0,1"
    (only,) = jobs("tiny", "demo", only="*/at-*", seeds=1)
    assert only.seeds == (0,)
    five = jobs("tiny", "demo", only="*/at-*", seeds=5)
    assert [job.seeds for job in five] == [(0, 1), (2, 3), (4,)]


def test_jobs_that_cannot_be():
    with pytest.raises(EcgadvError, match=r"--only 'cnn' matches nothing; the labels are beatwise"):
        jobs("tiny", "demo", only="cnn")
    with pytest.raises(EcgadvError, match="--seeds is 0; give at least 1"):
        jobs("tiny", "demo", seeds=0)
    with pytest.raises(EcgadvError, match=r"^no suite 'paper-z'; choose one of paper-b, "):
        jobs("paper-z", "demo")


@pytest.mark.parametrize("pair", suites.SUITES)
def test_groups_of_seeds_cover_each_seed_once(pair):
    found = jobs(*pair)
    for config, number in suites.plan(*pair):
        seeds = [seed for job in found if job.config == config for seed in job.seeds]
        assert seeds == list(range(number))
    assert len({job.name for job in found}) == len(found)


@pytest.mark.parametrize(
    ("suite", "profile", "message"),
    [
        ("paper-c", None, r"^no suite 'paper-c'; choose one of paper-b, paper-a"),
        (None, "tiny", r"^no profile 'tiny'; choose one of paper, compact, demo, short$"),
        ("paper-b", "tiny", r"^no profile 'tiny' of paper-b; choose one of paper, compact, demo$"),
    ],
)
def test_unknown_suites_are_named_as_asked(suite, profile, message):
    with pytest.raises(EcgadvError, match=message):
        suites.known(suite, profile)


def test_known_suites():
    assert suites.known("paper-b", "demo") == [("paper-b", "demo")]
    assert set(suites.known("paper-b")) <= set(suites.known())
    assert ("tiny", "demo") in suites.known(None, "demo")


# Running them


def test_done_trained_missing(beats, tmp_path):
    job = Job(replace(tiny.ADVERSARIAL, attacks=tiny.ATTACKS[:1]), (0, 1))
    assert words(job, tmp_path) == ["missing", "missing"]
    run.train_missing(job.config, [0, 1], run.Session(Store(tmp_path)))
    assert words(job, tmp_path) == ["trained", "trained"]
    assert run_all([Job(job.config, (1,))], Options(tmp_path)) == {
        "beatwise/mlp/at-0.1/corrected seed 1": "done"
    }
    assert words(job, tmp_path) == ["trained", "done"]
    (left,) = runner.without_done([job], Store(tmp_path))
    assert left == Job(job.config, (0,))
    assert run_all([job], Options(tmp_path)) == {job.name: "done"}
    assert words(job, tmp_path) == ["done", "done"]
    assert runner.without_done([job], Store(tmp_path)) == []

    lines = status.table([("tiny", "demo")], {"local": Store(tmp_path), "released": Store("none")})
    assert lines[0] == "tiny --profile demo"
    assert lines[1].split() == ["beatwise/mlp/ce/faithful", "2", "missing"]
    # The plan's config has more attacks than what was run here: the weights can be taken.
    assert lines[2].startswith("  beatwise/mlp/at-0.1/corrected  2 trained  ")
    assert lines[2].endswith(" min a seed, measured")
    assert lines[3].startswith("  to do: about 0 min on the device measured, and 2 runs of unknown")


def test_status_tells_local_and_released_apart(tmp_path):
    here, there = Store(tmp_path / "runs"), Store(tmp_path / "records")
    jobs = [Job(SHORT, (0,)), Job(SHORT, (1,))]
    run_all(jobs, Options(here.root))
    run_all(jobs[:1], Options(there.root))
    found = status.where(Job(SHORT, (0, 1, 2)), {"local": here, "released": there})
    assert found == ["local+released", "local", "missing"]
    # Weights that came with a record of other attacks need no training.
    weights = {training_key(SHORT, 2, data.load(SHORT.dataset).fingerprint)}
    found = status.where(Job(SHORT, (1, 2)), {"released": there}, there=weights)
    assert found == ["missing", "trained"]
    assert status.summary(["local", "missing", "local"]) == "2 local, 1 missing"


def test_status_without_the_data_goes_by_the_records(tmp_path, monkeypatch):
    lines = status.table([("paper-b", "paper"), ("tiny", "demo")], {"local": Store(tmp_path)})
    assert lines[0] == "paper-b --profile paper"
    assert lines[1].startswith("  by the records alone: no prepared data at ")
    assert "ecgadv data prepare mitdb" in lines[1]
    assert lines[2].endswith(" missing")
    assert "tiny --profile demo" in lines

    (job,) = jobs("tiny", "demo", only="*/at-*", seeds=1)
    monkeypatch.setitem(suites.SUITES, ("tiny", "demo"), lambda: [(job.config, 2)])
    run_all([job], Options(tmp_path))
    stores = {"local": Store("none"), "released": Store(tmp_path)}
    lines = status.table([("tiny", "demo")], stores)

    def nowhere(name):
        raise EcgadvError("no prepared data")

    monkeypatch.setattr(data, "load", nowhere)
    runner.fingerprint.cache_clear()
    told = status.table([("tiny", "demo")], stores)
    assert told == [lines[0], "  by the records alone: no prepared data", *lines[1:]]
    assert "1 released, 1 missing" in told[2]


def test_other_commands_wait_for_each_seed_that_is_held(beats, tmp_path):
    store, past = Store(tmp_path), time.time() - 1
    key = training_key(SHORT, 1, beats.fingerprint)
    with store.lock(key) as mine:
        assert mine
        # Another grouping of the seeds, and another profile with the same training.
        for config in (replace(SHORT, together=3), replace(SHORT, profile="paper")):
            job = Job(config, (0, 1, 2))
            assert runner.run_job(job, Options(tmp_path)) == "busy"
            assert run_all([job], Options(tmp_path, ends_at=past)) == {job.name: "later"}
        assert store.records() == []
        assert run_all([Job(SHORT, (0,))], Options(tmp_path)) == {f"{SHORT.label} seed 0": "done"}


CHAINED = [replace(c, attacks=(), boundary={}) for c in (tiny.HARDENED, tiny.STUDENT)]


@pytest.fixture
def begun(monkeypatch):
    """The labels of the trainings in their order; none of them lasts."""
    found = []

    def train(config, seeds, session, checkpoint):
        found.append((config.label, *seeds))
        models = [fresh_model(config, session.dataset(config.dataset), seed) for seed in seeds]
        return stack(models) if len(seeds) > 1 else models[0], [{"seconds": 1.0}], 1.0

    monkeypatch.setattr(run, "_train", train)
    return found


def test_jobs_that_build_on_one_network_wait_only_while_it_is_trained(beats, tmp_path, begun):
    store = Store(tmp_path)
    keys = [
        training_key(config, 0, beats.fingerprint)
        for config in (tiny.UNDEFENDED, tiny.HARDENED, tiny.STUDENT)
    ]
    hardened, student = (Job(config, (0,)) for config in CHAINED)
    with store.lock(keys[0]) as mine:  # another process trains the undefended network
        assert mine
        for job in (hardened, student):
            assert runner.run_job(job, Options(tmp_path)) == "busy"
    assert begun == []
    run.train_missing(tiny.UNDEFENDED, [0], run.Session(store, released=None))
    with store.lock(keys[1]) as mine:  # another process has gone on to the first of the two
        assert mine
        assert runner.run_job(student, Options(tmp_path)) == "busy"  # its teacher is trained there
        without = replace(CHAINED[1], teacher=None, schedule=tiny.UNDEFENDED.schedule)
        alone = Job(without, (0,))
        assert runner.run_job(alone, Options(tmp_path)) == "done"  # which this one does not need
    with store.lock(keys[0]) as mine:  # that network is there: who evaluates it hinders nobody
        assert mine
        assert runner.run_job(student, Options(tmp_path)) == "done"
    assert begun == [
        (tiny.UNDEFENDED.label, 0),
        (tiny.STUDENT.label, 0),
        (tiny.HARDENED.label, 0),
        (tiny.STUDENT.label, 0),
    ]
    with store.lock(keys[1]) as mine:  # nobody has it locked any more
        assert mine


def test_looking_again_at_a_busy_job_reads_no_data(beats, tmp_path, begun, monkeypatch):
    job, store = Job(CHAINED[1], (0,)), Store(tmp_path)
    with store.lock(training_key(tiny.UNDEFENDED, 0, beats.fingerprint)) as mine:
        assert mine
        assert runner.run_job(job, Options(tmp_path)) == "busy"
        monkeypatch.setattr(data, "load", None)
        assert runner.run_job(job, Options(tmp_path)) == "busy"


def test_what_a_job_builds_on_is_trained_for_each_of_its_seeds(tmp_path, begun):
    config = replace(tiny.ADVERSARIAL, surrogate=tiny.PLAIN, attacks=())
    job = Job(config, (1, 2))
    assert run_all([job], Options(tmp_path)) == {job.name: "done"}
    assert begun == [(tiny.PLAIN.label, 1), (tiny.PLAIN.label, 2), (config.label, 1, 2)]


def test_a_surrogate_is_trained_before_its_own_record_and_once(tmp_path, begun):
    own = replace(tiny.UNDEFENDED, surrogate=tiny.UNDEFENDED)
    assert runner.run_job(Job(own, (0,)), Options(tmp_path)) == "done"
    assert begun == [(tiny.UNDEFENDED.label, 0)]


def test_status_of_a_chain(tmp_path, begun, monkeypatch):
    plan = [(config, 1) for config in (tiny.UNDEFENDED, *CHAINED)]
    monkeypatch.setattr(suites, "SUITES", {("tiny-a", "demo"): lambda: plan})
    stores = {"local": Store(tmp_path), "released": Store("none")}

    def shown():
        lines = status.table([("tiny-a", "demo")], stores)
        return [line.split()[1:3] for line in lines[1:4]]

    assert shown() == [["1", "missing"]] * 3
    assert runner.run_job(Job(CHAINED[0], (0,)), Options(tmp_path)) == "done"
    # The network that it builds on is trained, and waits for its own evaluation.
    assert shown() == [["1", "trained"], ["1", "local"], ["1", "missing"]]


def test_a_busy_job_is_looked_at_again(tmp_path, monkeypatch):
    answers = {"a": ["busy", "busy", "done"], "b": ["done"]}
    monkeypatch.setattr(runner, "run_job", lambda job, options: answers[job.name].pop(0))
    todo = [Job(replace(SHORT, label=label), (0,)) for label in "ab"]
    monkeypatch.setattr(Job, "name", property(lambda job: job.config.label))
    assert run_all(todo, Options(tmp_path)) == {"a": "done", "b": "done"}
    assert answers == {"a": [], "b": []}


def test_a_job_past_the_deadline_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_session", pytest.fail)
    job = Job(SHORT, (0,))
    assert run_all([job], Options(tmp_path, ends_at=time.time() - 1)) == {job.name: "later"}


def test_a_job_at_its_deadline_says_that_it_stopped(tmp_path, capsys, monkeypatch):
    def stop(*args):
        raise OutOfTime

    job = Job(SHORT, (0,))
    with monkeypatch.context() as patch:
        patch.setattr(run, "_train", stop)
        assert run_all([job], Options(tmp_path)) == {job.name: "later"}
    assert "beatwise/mlp/ce/faithful seed 0: stopped after" in capsys.readouterr().err
    assert run_all([job], Options(tmp_path)) == {job.name: "done"}
    assert "seed 0: finished after" in capsys.readouterr().err
    assert run_all([job], Options(tmp_path, ends_at=0.0)) == {job.name: "done"}
    assert capsys.readouterr().err == ""


def test_a_killed_process_is_told_in_one_line(tmp_path, monkeypatch):
    class Pool:
        def __init__(self, processes, **options):
            assert processes == 2  # no more than there are jobs

        def submit(self, *call):
            future = Future()
            future.set_exception(BrokenProcessPool("terminated abruptly"))
            return future

        def shutdown(self, *, cancel_futures):
            assert cancel_futures

    monkeypatch.setattr(runner, "ProcessPoolExecutor", Pool)
    todo = [Job(SHORT, (seed,)) for seed in range(2)]
    with pytest.raises(EcgadvError, match=r"^a process was killed, perhaps for want of memory; r"):
        run_all(todo, Options(tmp_path, processes=8))


def test_devices(monkeypatch):
    with pytest.raises(EcgadvError, match="unknown device 'tpu'; choose cpu or cuda"):
        runner.check_device("tpu")
    monkeypatch.setattr(runner.torch.cuda, "is_available", lambda: False)
    with pytest.raises(EcgadvError, match="no CUDA device is visible to torch; use --device cpu"):
        run_all([], Options(Path("none"), device="cuda"))
    assert runner.default_processes("cuda") == 1
    assert runner.default_processes("cpu") >= 1


@pytest.mark.parametrize(("counted", "processes"), [(6, 6), (None, 1)])
def test_where_a_process_cannot_be_bound_to_cores_all_count(monkeypatch, counted, processes):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert runner.default_processes("cpu") == processes


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_a_foreign_repository_is_not_taken(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "ecgadv").mkdir()
    (tmp_path / "ecgadv" / "__init__.py").touch()
    monkeypatch.setattr(provenance.ecgadv, "__file__", str(tmp_path / "ecgadv" / "__init__.py"))
    monkeypatch.setenv("ECGADV_COMMIT", "c0ffee")
    assert provenance.commit.__wrapped__() == ("c0ffee", False)
    monkeypatch.delenv("ECGADV_COMMIT")
    assert provenance.commit.__wrapped__() == ("unknown", False)


# Killed, and together with others

# One interpreter imports everything; its children are killed, or run at the same time.
CHILDREN = """
import os, signal, sys
from pathlib import Path
import tiny, torch
from ecgadv.experiments import evaluate, run, runner, store
from ecgadv.experiments.progress import Progress
from ecgadv import attacks, cli, data

HEAVY = ("wfdb", "pandas", "matplotlib", "papermill", "requests", "yaml", "scipy")
print("heavy", *(name for name in HEAVY if name in sys.modules), flush=True)

def die(*ignored, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def at(text, share):
    def update(self, found, done):
        if text in found and done >= share:
            die()
    Progress.update = update

KILLS = {
    "in the second epoch": lambda: at("train", 0.5),
    "between training and evaluation": lambda: setattr(run, "evaluate", die),
    "between two attacks": lambda: at("sap", 0.0),
    "while the weights are written": lambda: setattr(run, "_weights", die),
    "while the record is written": lambda: setattr(run, "dump_arrays", die),
    "before the record is moved": lambda: setattr(store, "_flush", die),
}

attack = evaluate._Evaluation._attack

def noted(self, what, eps, before):
    print("attacked", what.name, eps, flush=True)
    return attack(self, what, eps, before)

def note():
    evaluate._Evaluation._attack = noted

def fork(root, only, prepare=None):
    child = os.fork()
    if child:
        return child
    if prepare:
        prepare()
    command = ["run", "tiny", "--profile", "demo", "--only", only, "--runs", root]
    os._exit(cli.main([*command, "--processes", "1"]))

# An optimizer's first step imports much, which the children would do one by one.
parameter = torch.nn.Parameter(torch.zeros(1))
parameter.grad = torch.ones(1)
torch.optim.Adamax([parameter], foreach=True).step()
tiny.install(tiny.dataset())
runner.WAIT = 0.01
base = sys.argv[1]
for number, (moment, kill) in enumerate(KILLS.items()):
    root = f"{base}/killed-{number}"
    status = os.waitpid(fork(root, "*/at-*", kill), 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (number, status)
    assert not store.Store(root).records()
    again = None
    if moment == "between two attacks":
        print("left", *sorted(path.name for path in Path(root).rglob("*.npz")), flush=True)
        again = note
    status = os.waitpid(fork(root, "*/at-*", again), 0)[1]
    assert status == 0, (number, status)
both = [fork(f"{base}/shared", "*") for _ in range(3)]
assert [os.waitpid(child, 0)[1] for child in both] == [0, 0, 0]
"""


@pytest.fixture(scope="module")
def children(tmp_path_factory):
    """The folders that killed and simultaneous processes filled, and what they printed."""
    base = tmp_path_factory.mktemp("children")
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, str(base)],
        env={**os.environ, "PYTHONPATH": f"{here}:{here.parent}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return base, done


@pytest.fixture(scope="module")
def unkilled(beats, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        root = tmp_path_factory.mktemp("unkilled")
        runner.fingerprint.cache_clear()
        run_all(jobs("tiny", "demo"), Options(root))
    return {record.key: record for record in Store(root).records()}


def assert_same(record, other):
    assert record.key == other.key
    assert record.metrics == other.metrics
    assert record.weights.read_bytes() == other.weights.read_bytes()
    ours, theirs = record.examples(), other.examples()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def leftovers(root):
    """Half-written folders and checkpoints."""
    return [*root.rglob("*.part"), *root.rglob("*.old"), *root.rglob("*.pt")]


def test_killed_at_any_moment_and_run_again_gives_the_same_records(children, unkilled):
    roots = sorted(children[0].glob("killed-*"))
    assert len(roots) == 6
    for root in roots:
        records = Store(root).records()
        assert [record.seed for record in records] == [0, 1]
        for record in records:
            assert_same(record, unkilled[record.key])
        assert leftovers(root) == []


def said(children, word):
    """What follows `word` on each line that begins with it."""
    lines = [line.split() for line in children[1].stdout.splitlines()]
    return [tuple(words[1:]) for words in lines if words[:1] == [word]]


def test_a_bare_gpu_node_needs_little_to_train_and_attack(children):
    assert said(children, "heavy") == [()]


def test_kill_9_in_an_evaluation_loses_no_finished_attack(children):
    parts = [(a.name, f"{eps:g}") for a in tiny.ADVERSARIAL.attacks for eps in a.eps]
    assert [a.name for a in tiny.ADVERSARIAL.attacks[:3]] == ["noise", "pgd-100", "sap"]
    assert said(children, "left") == [tuple(f"{name}-{eps}.npz" for name, eps in parts[:4])]
    # Of the first seed what is missing, of the second one all.
    assert said(children, "attacked") == parts[4:] + parts


def test_processes_on_one_folder_make_each_record_once(children, unkilled):
    base, done = children
    records = Store(base / "shared").records()
    assert {record.key for record in records} == unkilled.keys()
    for record in records:
        assert_same(record, unkilled[record.key])
    assert leftovers(base / "shared") == []
    assert done.stdout.count("3 of 3 jobs are done") == 3
    for job in jobs("tiny", "demo"):
        trained = Store(base / "shared").weights_folder(
            training_key(job.config, job.seeds[0], records[0].run["data"]["fingerprint"])
        )
        assert (trained / "training.json").exists()
    assert "Traceback" not in done.stderr


def test_several_processes_of_one_command(beats, tmp_path, monkeypatch):
    monkeypatch.undo()  # the processes are fresh and see the whole synthetic set
    runner.fingerprint.cache_clear()
    short = replace(SHORT, schedule=replace(tiny.SCHEDULE, epochs=1, epoch_share=0.02))
    # Trained here, because a process needs seconds to import an optimizer.
    run.train_missing(short, [0, 1], run.Session(Store(tmp_path), released=None))
    todo = [Job(short, (seed,)) for seed in (0, 1)]
    assert run_all(todo, Options(tmp_path, processes=2)) == {job.name: "done" for job in todo}
    assert [record.seed for record in Store(tmp_path).records()] == [0, 1]


# Forked, because then only one process has to import torch.
HELD = """
import multiprocessing, os, sys, time
from pathlib import Path
from ecgadv.experiments import runner

def hold(job, options, slot):
    os.write(1, b"%d\\n" % slot)
    time.sleep(600)

fork = multiprocessing.get_context("fork")
multiprocessing.get_context = lambda method: fork
runner.run_job = hold
jobs = runner.jobs("paper-b", "demo", seeds=1)
runner.run_all(jobs[:2], runner.Options(Path(sys.argv[1]), processes=2))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_lives_on_when_the_command_is_killed(number, tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", HELD, str(tmp_path)]
    quiet = {"stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **quiet) as process:
        said = {process.stdout.readline(), process.stdout.readline()}
        process.send_signal(number)
        assert said == {"0\n", "1\n"}  # each has its own line of the terminal
        # The end of the output comes when the last process that could write to it is gone.
        assert process.communicate(timeout=60)[0] == ""


def test_the_next_command_clears_what_a_killed_one_left(beats, tmp_path):
    job, store = Job(SHORT, (0,)), Store(tmp_path)
    assert run_all([job], Options(tmp_path)) == {job.name: "done"}
    (record,) = store.records()
    done = training_key(SHORT, 0, beats.fingerprint)
    part = store.evaluation(record.key) / "0123" / "noise-0.1.npz"
    begun = store.evaluation("another") / "0123" / "noise-0.1.npz"
    for path in (part, begun):
        path.parent.mkdir(parents=True)
        path.touch()
    kept = [store.checkpoint(f"{done}-another"), begun.parents[1]]
    for path in (store.checkpoint(done), store.checkpoint(f"{done}-{done}"), kept[0]):
        path.touch()
    store.checkpoint(done).with_suffix(".pt.part").touch()
    assert run_all([job], Options(tmp_path)) == {job.name: "done"}
    assert sorted((tmp_path / "checkpoints").iterdir()) == sorted(kept)


def test_a_process_ends_with_its_parent(monkeypatch):
    ended, gone = [], Future()
    parent = type("Parent", (), {"join": lambda self: gone.result()})()
    monkeypatch.setattr(runner.multiprocessing, "parent_process", lambda: parent)
    monkeypatch.setattr(runner.os, "_exit", lambda code: ended.append(code))
    before = signal.getsignal(signal.SIGINT)
    try:
        runner._end_with_parent()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert ended == []
        gone.set_result(None)
        for _ in range(500):
            if ended:
                break
            time.sleep(0.01)
        assert ended == [1]
    finally:
        signal.signal(signal.SIGINT, before)
