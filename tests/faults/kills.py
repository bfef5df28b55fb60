"""Commands that are killed at a random moment and given again, beside those nobody disturbs.

They are forked from a process that has imported everything, so that a kill meets the work and not
the imports. It is a process of its own, because threads and forks do not go together.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from faults.outcomes import LEFT, OTHER, SAME, TRACEBACK, Case

# How often each command is killed; a book takes as long as many of the others.
COUNTS = {"run": 34, "run in 2 processes": 22, "prepare": 20, "fetch": 20, "make book": 4}
PATIENCE = 60  # s that what a killed command has started gets to end


def total() -> int:
    """Return how many cases `cases` gives."""
    return sum(COUNTS.values())


def cases(folder: Path, seed: int) -> Iterator[Case]:
    """Yield a case for each kill, as the process of `main` prints them."""
    command = [sys.executable, "-W", "ignore", "-m", "faults.kills", str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                yield Case(*json.loads(line))
        finally:
            process.terminate()
    if process.returncode:
        raise RuntimeError(f"the process that kills ended with status {process.returncode}")


def main(folder: Path, seed: int) -> None:
    """Print a case a line."""
    from faults.commands import commands

    rng = np.random.default_rng(seed)
    with commands(folder) as known:
        for name, count in COUNTS.items():
            command, whole = known[name], folder / name / "whole"
            began = time.monotonic()
            status, said, _ = _forked(command, whole)
            if status:
                raise RuntimeError(f"{name} fails undisturbed: {said}")
            lasted, wanted = time.monotonic() - began, command.kept(whole)
            shutil.rmtree(whole)
            for _ in range(count):
                # The same path, which a page may show.
                outcome = _killed(command, whole, lasted, wanted, rng)
                shutil.rmtree(whole)
                print(json.dumps([f"kill of {name}", *outcome]), flush=True)


def _killed(command, folder: Path, lasted: float, wanted: dict, rng) -> tuple[str, str]:
    """Kill a command, see that nothing lives on, give it again; return an outcome and words."""
    number = signal.SIGKILL if rng.integers(2) else signal.SIGTERM
    after = rng.uniform(0, lasted)
    status, _, alive = _forked(command, folder, (after, number))
    while not os.WIFSIGNALED(status):  # it was ready before the kill came
        shutil.rmtree(folder)
        after /= 2
        status, _, alive = _forked(command, folder, (after, number))
    if alive:
        return LEFT, "a process lives on"
    status, said, _ = _forked(command, folder)
    if status:
        return TRACEBACK if "Traceback" in said else OTHER, said
    found = command.kept(folder)
    if found.keys() != wanted.keys():
        return LEFT, ", ".join(sorted(found.keys() ^ wanted.keys()))
    other = [name for name in wanted if found[name] != wanted[name]]
    return (OTHER, ", ".join(other)) if other else (SAME, "")


def _forked(command, folder: Path, kill: tuple[float, int] | None = None) -> tuple[int, str, bool]:
    """Run a command in a fork; `kill` says after how many seconds which signal is sent.

    Returns its exit status, what it said, and whether something that it started outlives it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        os.close(reading)
        try:
            os._exit(command.act(folder))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    if kill:
        time.sleep(kill[0])
        os.kill(child, kill[1])
    said, alive = _all_said(reading, None if not kill else PATIENCE)
    os.close(reading)
    return os.waitpid(child, 0)[1], said, alive


def _all_said(reading: int, patience: float | None) -> tuple[str, bool]:
    """Return what was written into a pipe until its last writer was gone, or one still lives."""
    said = b""
    while select.select([reading], [], [], patience)[0]:
        content = os.read(reading, 1 << 16)
        if not content:
            return said.decode(errors="replace"), False
        said += content
    return said.decode(errors="replace"), True


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
