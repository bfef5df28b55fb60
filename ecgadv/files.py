"""Files that are written whole, carry a SHA-256 sum where they can, and are read with care.

A file that a later step takes on trust is checked by whoever reads it, because formats do not:
torch checks nothing at all, safetensors only its header, and a zip only what it has unpacked.
"""

import contextlib
import errno
import hashlib
import io
import json
import lzma
import math
import os
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from ecgadv.errors import EcgadvError

# What the readers of json, zip, npz, safetensors, torch and wfdb raise of a damaged file. Of a zip,
# an unknown method is a NotImplementedError (a RuntimeError), an encrypted member a RuntimeError.
DAMAGED = (
    OSError,
    EOFError,
    ValueError,  # bad JSON, bad UTF-8 and our own EcgadvError are such
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    pickle.UnpicklingError,
    SafetensorError,
)

_SEAL = b"\nsha256 %s\n"
_SEAL_LENGTH = len(_SEAL % (b"0" * 64))


def sha256(content: bytes) -> str:
    """Return the SHA-256 sum in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; one process at a time.

    Raises:
        EcgadvError: the disk is full.
    """
    part = path.with_name(f"{path.name}.part")
    with full_disk_told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file whole, its sum as its last line; readers of zip archives do not mind it."""
    write(path, content + _SEAL % sha256(content).encode())


def read_sealed(path: Path) -> bytes:
    """Return the content of what `write_sealed` wrote; ValueError if the sum does not fit."""
    whole = path.read_bytes()
    content, seal = whole[:-_SEAL_LENGTH], whole[-_SEAL_LENGTH:]
    if seal != _SEAL % sha256(content).encode():
        raise ValueError("its content does not match the SHA-256 sum at its end")
    return content


def parse_json(content: bytes):
    """Return what JSON holds; a NaN or an infinite number in it is a ValueError."""
    return json.loads(content, parse_constant=_refuse)


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number")


def parse_arrays(content: bytes, *, most: float = math.inf) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz; ValueError if unpacked they take more than `most` bytes.

    Each member is unpacked, and so checked against its CRC, before NumPy reads it.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # No more than what the archive says of a member is unpacked of it.
        size = sum(member.file_size for member in archive.infolist())
        if size > most:
            raise ValueError(f"its arrays take {size / 1e9:.3g} GB, more than {most / 1e9:.3g} GB")
        members = {name: io.BytesIO(archive.read(name)) for name in archive.namelist()}
    return {name.removesuffix(".npy"): _array(member) for name, member in members.items()}


def _array(member: io.BytesIO) -> np.ndarray:
    try:
        return np.load(member, allow_pickle=False)
    except (MemoryError, SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"an array's header is wrong: {why(error)}") from error


def dump_arrays(arrays: dict[str, np.ndarray], *, compressed: bool) -> bytes:
    """Return the bytes of an .npz."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def why(error: Exception) -> str:
    """Return in one line what a reader said of a damaged file."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return " ".join((text or type(error).__name__).split())


@contextlib.contextmanager
def damage_told(checkpoint: Path) -> Iterator[None]:
    """Turn what reading a damaged checkpoint raises into a line that names it."""
    try:
        yield
    except DAMAGED as error:
        text = f"checkpoint {checkpoint} is damaged ({why(error)})"
        raise EcgadvError(f"{text}; delete it and run the command again") from error


@contextlib.contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a line that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"no space left under {folder}; free some and run the command again"
            raise EcgadvError(text) from error
        raise
