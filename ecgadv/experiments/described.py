"""A folder whose JSON description has the SHA-256 sums of its files, and of itself.

A finished run is described by run.json, trained weights by training.json. The sums are in the
field `sha256`, by the file's name; that of the description is of its other fields. Folders made
before there were sums have none: they are read unchecked, and `sealed` is False.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, parse_json, sha256, why

SUMS = "sha256"


@dataclass(frozen=True)
class Described(ABC):
    """A folder with a description; its subclasses say which, and how to mend it."""

    path: Path
    description: ClassVar[str]
    needed: ClassVar[frozenset[str]]  # fields of the description, "a.b" being field b of a

    @property
    def key(self) -> str:
        return self.path.name

    @cached_property
    def about(self) -> dict:
        """The fields of the description, but for the sums."""
        return {name: value for name, value in self._whole.items() if name != SUMS}

    @property
    def sealed(self) -> bool:
        """Whether it has sums, by which all that is read was checked."""
        return SUMS in self._whole

    def sum(self, name: str) -> str | None:
        """Return the sum of a file as it was made, whether or not the file is here."""
        return self._whole.get(SUMS, {}).get(name)

    def read(self, name: str) -> bytes:
        """Return the content of a file of the folder, checked.

        Raises:
            EcgadvError: it is missing, or not what its maker wrote.
        """
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise self.damaged(name, error) from error
        if self.sealed and self.sum(name) != sha256(content):
            text = f"its SHA-256 sum is not the one in {self.description}"
            raise self.damaged(name, EcgadvError(text))
        return content

    def damaged(self, name: str, error: Exception) -> EcgadvError:
        """Return the error that names the folder, the file, what is wrong with it and the mend."""
        return EcgadvError(f"{self.title} is damaged ({name}: {why(error)}); {self.mend}")

    @contextlib.contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Turn whatever a damaged file of that name leads to into the folder's one line."""
        try:
            yield
        except DAMAGED as error:
            raise self.damaged(name, error) from error

    @property
    @abstractmethod
    def title(self) -> str:
        """What an error calls the folder."""

    @property
    @abstractmethod
    def mend(self) -> str:
        """What an error says to do when the folder is damaged."""

    @cached_property
    def _whole(self) -> dict:
        name = self.description
        with self.told(name):
            found = parse_json((self.path / name).read_bytes())
            missing = sorted(field for field in self.needed if not _has(found, field))
            if missing:
                raise EcgadvError(f"{missing[0]} is missing")
            # Whatever one wrong byte makes of the field's name, what lists this file is the sums.
            lists = [k for k, v in found.items() if isinstance(v, dict) and name in v]
            if SUMS in found or lists:
                _check(name, found)
        return found


def _has(found: object, field: str) -> bool:
    first, _, rest = field.partition(".")
    return isinstance(found, dict) and first in found and (not rest or _has(found[first], rest))


def _check(name: str, found: dict) -> None:
    sums = found.get(SUMS)
    if not isinstance(sums, dict) or sums.get(name) != _sum_of_fields(found):
        raise EcgadvError("its fields do not match the SHA-256 sum in it")


def _sum_of_fields(about: dict) -> str:
    fields = {name: value for name, value in about.items() if name != SUMS}
    return sha256(json.dumps(fields, sort_keys=True, allow_nan=False).encode())


def with_sums(name: str, about: dict, sums: dict[str, str]) -> bytes:
    """Return the text of a description, with sums.

    Args:
        name: of the description.
        about: its fields.
        sums: of the files that it describes, by name.
    """
    return dump_json({**about, SUMS: {**sums, name: _sum_of_fields(about)}}, name)


def write(folder: Path, name: str, about: dict, files: dict[str, bytes]) -> None:
    """Write files and the description that has their sums.

    Args:
        folder: where they go; nobody reads it before it is published.
        name: of the description.
        about: its fields.
        files: contents by name.
    """
    for file, content in files.items():
        (folder / file).write_bytes(content)
    sums = {file: sha256(content) for file, content in files.items()}
    (folder / name).write_bytes(with_sums(name, about, sums))


def dump_json(value: dict, name: str) -> bytes:
    """Return the text of a JSON file; a number in it that is not finite is an EcgadvError."""
    try:
        return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise EcgadvError(f"{name}: a number is NaN or infinite ({error})") from error
