"""Numbers that were computed before, kept on disk by the records and the code they come from.

The same flags and the same code give the same bits, so that a bootstrap need not run twice. What
decides is in the name of the file: the bytes of the records, of `CODE`, and NumPy's version. A file
that is damaged, or of other records or code, is as good as none.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

import ecgadv
from ecgadv import files
from ecgadv.experiments.store import Record
from ecgadv.repository import in_checkout, place

FOLDER = "_build/results"
CODE = ("border", "evaluation", "experiments", "results")  # folders of the package


class Kept:
    """The numbers of some records, by name; `save` keeps those that had to be computed.

    Args:
        kind: what they are numbers of; a folder of its own.
        records: all records that decide them.
        names: the files of each record that do.
    """

    def __init__(
        self, kind: str, records: Sequence[Record], names: Sequence[str] = ("examples.npz",)
    ):
        self._path = _folder() / kind / f"{_key(records, names)}.json"
        self._found = _read(self._path)
        self._new: dict[str, Any] = {}

    def get(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return the numbers of that name, computed if they are not there."""
        if name not in self._found:
            self._found[name] = self._new[name] = compute()
        return self._found[name]

    def save(self) -> None:
        """Write what was computed, beside what others have written meanwhile.

        A checkout that is read-only stays as it is.
        """
        if not self._new or not _writable(self._path):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            content = json.dumps({**_read(self._path), **self._new})
            files.write_sealed(self._path, content.encode())


def _folder() -> Path:
    """Return where numbers are kept; of an installed package that is nowhere."""
    return place(FOLDER) if in_checkout() or Path(FOLDER).is_absolute() else Path(os.devnull)


def _writable(path: Path) -> bool:
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


def _read(path: Path) -> dict[str, Any]:
    """Return what a file keeps, nothing if it is damaged or not there."""
    try:
        return json.loads(files.read_sealed(path))
    except files.DAMAGED:
        return {}


def _key(records: Sequence[Record], names: Sequence[str]) -> str:
    total = hashlib.sha256(_code().encode())
    for record in records:
        for path in (record.path / name for name in ("run.json", *names)):
            content = path.read_bytes() if path.exists() else b""
            total.update(f"{path.name} {files.sha256(content)}\n".encode())
    return total.hexdigest()[:32]


@functools.cache
def _code() -> str:
    """Return one sum of the code that decides a number, and the versions of what it calls."""
    package = Path(ecgadv.__file__).parent
    sources = [path for name in CODE for path in sorted((package / name).rglob("*.py"))]
    sums = [f"{path.relative_to(package).as_posix()} {_sum(path)}" for path in sources]
    return "\n".join([*sums, f"numpy {np.__version__}"])


def _sum(path: Path) -> str:
    return files.sha256(path.read_bytes())
