"""The checkout that the package lies in: its records, and the facts that the book reads."""

import os
from pathlib import Path

import ecgadv
from ecgadv.errors import EcgadvError


def root() -> Path:
    """Return the folder that holds the package; of an installed one it is no checkout."""
    return Path(ecgadv.__file__).resolve().parent.parent


def in_checkout() -> bool:
    """Return whether the package lies in its repository."""
    return (root() / "book" / "claims.yml").is_file()


def place(path: str | Path) -> Path:
    """Return a path of the repository as it is seen from the working directory.

    Notebooks give their parameters relative to the repository, so that they run from anywhere.

    Args:
        path: relative to the repository; an absolute one is returned as it is.

    Returns:
        A relative path where there is one, as pages that show it must not name these folders.

    Raises:
        EcgadvError: the package is installed without the repository.
    """
    path = Path(path).expanduser()
    if path.is_absolute():
        return path
    if not in_checkout():
        raise EcgadvError(
            f"{path} is a path of the repository, but ecgadv is installed without it: "
            "give an absolute path, or run `pip install --editable .` in a checkout"
        )
    try:
        return Path(os.path.relpath(root() / path))
    except ValueError:  # on another drive of Windows
        return root() / path
