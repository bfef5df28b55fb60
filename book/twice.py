"""Build the last commit's book in two clones, in other surroundings, and compare every byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from execute import emptied

from ecgadv.errors import EcgadvError

PAGES = "_build/html"
# The first clone is built in the surroundings of whoever asks; none of these may decide anything.
OTHER = {"HOME": "/", "LC_ALL": "C", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}


def check_twice(work: Path, *, root: Path) -> int:
    """Return how many files both builds have, if all of them are equal.

    Args:
        work: a folder for the clones, made anew; they stay, to be compared.
        root: the checkout; what is not committed in it is left out.

    Raises:
        EcgadvError: a clone cannot be made or built, or a file differs.
    """
    clones = [emptied(work) / "one", work / "another one"]
    for clone, changes, umask in zip(clones, ({}, OTHER), (0o022, 0o077), strict=True):
        _run(["git", "clone", "--quiet", str(root), str(clone)], os.environ, umask)
        (clone / ".venv").symlink_to(sys.prefix)
        python = clone / ".venv" / Path(sys.executable).relative_to(sys.prefix)
        surroundings = {**os.environ, "PYTHONPATH": str(clone), **changes}
        _run([str(python), str(clone / "book/build.py")], surroundings, umask)
    one, other = (_contents(clone / PAGES) for clone in clones)
    if names := sorted(name for name in one | other if one.get(name) != other.get(name)):
        shown = ", ".join(names[:10] + ["..."] * (len(names) > 10))
        raise EcgadvError(f"{len(names)} files of the two builds under {work} differ: {shown}")
    return len(one)


def _run(command: list[str], surroundings: Mapping[str, str], umask: int) -> None:
    if subprocess.run(command, env=surroundings, umask=umask, check=False).returncode:
        raise EcgadvError(f"`{' '.join(command)}` failed, see above")


def _contents(folder: Path) -> dict[str, bytes]:
    """Return the files under a folder by their names."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
