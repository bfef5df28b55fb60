"""What records and kept parts share on disk: reading arrays, and a full disk told in one line."""

import contextlib
import errno
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecgadv.errors import EcgadvError

# What reading a truncated or corrupt .npz may raise.
DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz; a damaged one raises one of `DAMAGED`."""
    with path.open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


@contextlib.contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a line that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            text = f"no space left under {folder}; free some and run the command again"
            raise EcgadvError(text) from error
        raise
