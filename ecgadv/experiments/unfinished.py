"""What an evaluation has found so far, kept on disk until its record is published."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecgadv.files import damage_told, dump_arrays, parse_arrays, read_sealed, write_sealed

Arrays = dict[str, np.ndarray]


class Unfinished:
    """The finished parts of an evaluation, one file each: a killed one goes on with the rest.

    Args:
        folder: where the files lie, made when the first part is done; None keeps nothing.
        commit: of the code that makes parts now.

    Attributes:
        seconds: what the parts took that an earlier process had done.
        commits: of the code that made those.
    """

    def __init__(self, folder: Path | None = None, commit: str = ""):
        self.folder, self.commit = folder, commit
        self.seconds = 0.0
        self.commits: set[str] = set()

    def once(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of the part `name`: those kept, or those that `make` returns now.

        Raises:
            EcgadvError: the file is damaged, or the disk is full.
        """
        if self.folder is None:
            return make()
        path = self.folder / f"{name}.npz"
        if path.exists():
            arrays = _read(path)
            self.seconds += float(arrays.pop("seconds"))
            self.commits.add(str(arrays.pop("commit")))
            return arrays
        began = time.monotonic()
        arrays = make()
        seconds = np.float64(time.monotonic() - began)
        kept = {**arrays, "seconds": seconds, "commit": np.array(self.commit)}
        write_sealed(path, dump_arrays(kept, compressed=False))
        return arrays


def _read(path: Path) -> Arrays:
    with damage_told(path):
        return parse_arrays(read_sealed(path))
