"""The commands run, status, verify and release, as a user meets them."""

import errno
import os
import re
import shutil
from pathlib import Path

import build
import numpy as np
import pytest
import sums

from benchmarks import __main__ as benchmarks
from ecgadv import cli
from ecgadv.experiments import runner
from ecgadv.experiments import store as store_module
from ecgadv.experiments.store import Record, Store

AT = "beatwise/mlp/at-0.1/corrected"
TINY = ["run", "tiny", "--profile", "demo"]


@pytest.fixture(autouse=True)
def released(tiny_suite, tmp_path, monkeypatch):
    """The tiny suite, an empty working folder, and a place for releases."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "book" / "records"
    monkeypatch.setattr(store_module, "released_folder", lambda: folder)
    runner.fingerprint.cache_clear()
    yield folder
    runner.fingerprint.cache_clear()


@pytest.fixture
def tell(capsys):
    """Run a command line; give its exit status and what it printed."""

    def tell(*arguments):
        status = cli.main([str(word) for word in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return tell


def run_at(*more):
    return ("run", "tiny", "--profile", "demo", "--only", "*/at-*", "--processes", 1, *more)


def test_from_run_to_release(tell, released):
    status, out, err = tell(*run_at("--seeds", 1))
    assert (status, out) == (0, "1 of 1 jobs are done; records in runs\n")
    assert err.startswith(f"{AT} seed 0: ")
    (record,) = Store("runs").records()
    assert record.run["command"] == "ecgadv run tiny --profile demo --only '*/at-*' --seeds 1"
    assert record.run["training"]["command"] == record.run["command"]

    before = {path: path.stat().st_mtime_ns for path in record.path.iterdir()}
    assert tell(*run_at("--seeds", 1))[:2] == (0, "1 of 1 jobs are done; records in runs\n")
    assert {path: path.stat().st_mtime_ns for path in record.path.iterdir()} == before

    status, out, _ = tell("status", "tiny")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "tiny --profile demo"
    assert lines[1].split() == ["beatwise/mlp/ce/faithful", "2", "missing"]
    assert lines[2].split()[:5] == [AT, "1", "local,", "1", "missing"]

    assert tell("release", "tiny", "--profile", "demo") == (0, f"{record.key}  {AT} seed 0\n", "")
    shutil.copytree(record.path, record.path.with_name("0123456789abcdef"))  # of an older plan
    assert tell("release", "tiny", "--profile", "demo", "--no-weights")[0] == 0  # once more
    assert [path.name for path in released.iterdir()] == [record.key]
    assert not (released / record.key / "weights.safetensors").exists()
    assert "1 local+released, 1 missing" in tell("status", "tiny", "--profile", "demo")[1]

    # What is released need not be made again.
    runs = Path("elsewhere")
    assert tell(*run_at("--seeds", 1, "--missing", "--runs", runs))[:2] == (
        0,
        "0 of 0 jobs are done; records in elsewhere\n",
    )

    status, out, _ = tell("verify", record.key)
    assert status == 0
    assert out.startswith(f"{AT} seed 0, record {record.key}\n")
    assert out.endswith("  agrees within 0.002\n")
    assert tell("verify", released / record.key, "--retrain")[0] == 0
    sums.unseal(record.path)  # as if made before there were sums
    assert "before records had SHA-256 sums" in tell("verify", record.path)[1]
    shutil.rmtree(record.path.with_name("0123456789abcdef"))
    _, out, _ = tell("release", "tiny", "--profile", "demo")
    assert out.endswith("which had no SHA-256 sums: the released copy has\n")
    sums.seal(record.path)
    assert Record(released / record.key).sum("examples.npz") == Record(record.path).sum(
        "examples.npz"
    )
    examples = record.examples()
    examples["held/noise/0.1"] = np.zeros_like(examples["held/noise/0.1"])
    np.savez_compressed(record.path / "examples.npz", **examples)
    sums.seal(record.path)
    status, out, err = tell("verify", record.path)
    assert (status, err) == (1, "")
    assert out.splitlines()[-1].endswith("more than 0.002")
    assert tell("verify", record.path, "--tolerance", 1)[0] == 0


def test_deadline_leaves_jobs_for_the_next_run(tell):
    status, out, err = tell(*run_at("--deadline", 1e-9))
    assert status == 0
    assert out.splitlines() == [
        "0 of 1 jobs are done; records in runs",
        f"stopped at the deadline: {AT} seeds 0,1; the same command goes on with them",
    ]
    assert err == ""
    assert Store("runs").records() == []
    assert tell(*run_at())[:2] == (0, "1 of 1 jobs are done; records in runs\n")
    assert [record.seed for record in Store("runs").records()] == [0, 1]


NO_GPU = "no CUDA device is visible to torch; use --device cpu"
NO_THREAD = "--threads is 0; give at least 1"
MISTAKES = {
    "unknown suite": (
        ["run", "paper-z", "--profile", "demo"],
        "no suite 'paper-z'; choose one of paper-b, paper-a, twelve-leads, tiny",
    ),
    "unknown profile": (
        ["run", "paper-b", "--profile", "long"],
        "no profile 'long' of paper-b; choose one of paper, compact, demo",
    ),
    "no label": (
        [*TINY, "--only", "cnn*"],
        "--only 'cnn*' matches nothing; the labels are beatwise/mlp/ce/faithful, beatwise/mlp/at-",
    ),
    "no seed": ([*TINY, "--seeds", "0"], "--seeds is 0; give at "),
    "no process": ([*TINY, "--processes", "0"], "--processes is 0; give at least 1"),
    "no thread": ([*TINY, "--threads", "0"], NO_THREAD),
    **{
        f"deadline {minutes}": ([*TINY, "--deadline", minutes], "--deadline is ")
        for minutes in ("-5", "0", "nan", "inf")
    },
    **{
        f"tolerance {value}": (["verify", "key", "--tolerance", value], "--tolerance is ")
        for value in ("-1", "nan", "inf")
    },
    "no GPU": ([*TINY, "--device", "cuda"], NO_GPU),
    "unknown device": ([*TINY, "--device", "tpu"], "unknown device 'tpu'; choose cpu or cuda"),
    "no data": (["run", "paper-b", "--profile", "paper", "--processes", "1"], "no prepared data"),
    "status of an unknown suite": (
        ["status", "paper-c"],
        "no suite 'paper-c'; choose one of paper-b, paper-a, twelve-leads, tiny",
    ),
    "no record": (["verify", "0123456789abcdef"], "no record '0123456789abcdef'; give a key "),
    "verify on no GPU": (["verify", "0123456789abcdef", "--device", "cuda"], NO_GPU),
    "verify on no thread": (["verify", "0123456789abcdef", "--threads", "0"], NO_THREAD),
    "nothing to release": (
        ["release", "tiny", "--profile", "demo"],
        "no tiny records of profile demo in runs, with 0 of an older plan: run it first",
    ),
    "release of an unknown suite": (
        ["release", "tin", "--profile", "demo"],
        "no suite 'tin'; choose one of ",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_get_one_line_and_exit_2(case, tell, monkeypatch):
    monkeypatch.setattr(runner.torch.cuda, "is_available", lambda: False)
    arguments, message = MISTAKES[case]
    status, out, err = tell(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith(f"ecgadv: error: {message}")


@pytest.mark.parametrize("words", [["run", "tiny"], ["run", "--profile", "demo"], ["verify"]])
def test_what_is_missing_on_the_command_line(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "the following arguments are required" in capsys.readouterr().err


@pytest.mark.parametrize("program", ["run", "verify", "book", "benchmarks"])
def test_a_number_that_is_none_names_itself_and_what_to_give(program, capsys):
    """Of every option that is a number, whichever the program."""
    main, words = {
        "run": (cli.main, ["run", "tiny", "--profile", "demo"]),
        "verify": (cli.main, ["verify", "key"]),
        "book": (build.main, []),
        "benchmarks": (benchmarks.main, []),
    }[program]
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    numbers = re.findall(r"(--[a-z]+) (?:N|MIN|T|THREADS)\b", capsys.readouterr().out)
    assert numbers
    for option in set(numbers):
        with pytest.raises(SystemExit) as caught:
            main([*words, option, "twelve"])
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert f"argument {option}: 'twelve' is not a" in said and ", such as " in said


@pytest.mark.parametrize("command", ["run", "status", "verify", "release"])
def test_help_shows_examples(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert f"  ecgadv {command}" in capsys.readouterr().out


def last_line(err):
    return err.splitlines()[-1]


def test_the_runs_may_be_the_released_records(tell, released):
    told = "no record is named '*': `ecgadv records` lists all\n"
    assert tell("records", "--runs", released) == (0, told, "")


def test_a_full_disk_is_one_line(tell, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(store_module, "_flush", full)
    status, _, err = tell(*run_at("--seeds", 1))
    assert status == 2
    assert last_line(err).startswith("ecgadv: error: no space left under runs; free some and run ")
    assert not list(Path("runs").glob("models/*"))
    assert not list(Path("runs").glob("models/.*"))
    monkeypatch.undo()


def test_a_full_disk_under_a_checkpoint_is_one_line(tell, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = tell(*run_at("--seeds", 1))
    assert status == 2
    assert last_line(err) == (
        "ecgadv: error: no space left under runs/checkpoints; free some and run the command again"
    )


def test_damaged_files_are_one_line(tell):
    assert tell(*run_at("--seeds", 1))[0] == 0
    (record,) = Store("runs").records()
    whole = (record.path / "run.json").read_text()
    (record.path / "run.json").write_text(whole[:100])
    for command in (["verify", record.key], ["status", "tiny"]):
        status, out, err = tell(*command)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"ecgadv: error: record {record.key} is damaged (run.json: ")
    (record.path / "run.json").write_text(whole)
    config = {k: v for k, v in record.config.items() if k != "schedule"}
    sums.seal(record.path, config=config)
    status, _, err = tell("verify", record.key)
    assert status == 2
    assert err.startswith("ecgadv: error: the config is not of this version of ecgadv")


def test_an_interrupt_keeps_what_is_done(tell, monkeypatch):
    original = runner.run.run_once

    def interrupted(config, seed, session):
        if seed == 1:
            raise KeyboardInterrupt
        return original(config, seed, session)

    monkeypatch.setattr(runner.run, "run_once", interrupted)
    status, _, err = tell(*run_at())
    assert status == 130
    assert last_line(err) == "ecgadv: interrupted"
    assert [record.seed for record in Store("runs").records()] == [0]
