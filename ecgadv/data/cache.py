"""The prepared cache: one compressed .npz a dataset, published whole or not at all."""

import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ecgadv.errors import EcgadvError

FORMAT = 1


def write(path, arrays, meta):
    """Write arrays and metadata to `path` atomically.

    Args:
        path: the .npz to publish; its folder is made if missing.
        arrays: {name: numpy array}, no object arrays.
        meta: dict that JSON can hold.

    Raises:
        EcgadvError: the file cannot be written (disk full, no permission).
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    header = {"format": FORMAT, "meta": meta, "sha256": _digest(arrays)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise EcgadvError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read(path, *, mend):
    """Read what `write` wrote, verified against its own hash.

    Args:
        path: the .npz.
        mend: what the user should do if it is missing or broken; ends the error's line.

    Returns:
        (arrays, meta): {name: numpy array} and the metadata dict.

    Raises:
        EcgadvError: the file is missing, damaged, or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise EcgadvError(f"no prepared data at {path}: {mend}")
    try:
        # Opened here, because np.load leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = json.loads(str(arrays.pop("header")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise EcgadvError(f"{path} is damaged ({error}): {mend}") from error
    if header["format"] != FORMAT:
        raise EcgadvError(f"{path} has format {header['format']}, expected {FORMAT}: {mend}")
    if header["sha256"] != _digest(arrays):
        raise EcgadvError(f"{path} is damaged (its contents do not match its hash): {mend}")
    return arrays, header["meta"]


def pack(counts):
    """Signals in small: about half of what deflate alone or xz leaves of them, exactly.

    Second differences of an ECG are small numbers, which a Huffman code suits; the matches that
    deflate and xz look for are chance in them and spoil it. So: differences modulo 2**16, signs
    folded into the last bit, low bytes before high bytes, Huffman codes and runs.

    Args:
        counts: int16 (T,), signals end to end.

    Returns:
        uint8 (n,), for `unpack`.
    """
    second = np.diff(np.diff(counts, prepend=np.int16(0)), prepend=np.int16(0))
    folded = ((second << 1) ^ (second >> 15)).view(np.uint16)
    coder = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    low = coder.compress((folded & 0xFF).astype(np.uint8))
    high = coder.compress((folded >> 8).astype(np.uint8))
    return np.frombuffer(low + high + coder.flush(), np.uint8)


def unpack(packed):
    """The signals that `pack` took: int16 (T,)."""
    low, high = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(2, -1)
    folded = high.astype(np.uint16) << 8 | low
    counts = (folded >> 1).view(np.int16) ^ -(folded & 1).view(np.int16)
    for _ in range(2):
        np.cumsum(counts, dtype=np.int16, out=counts)
    return counts


def _digest(arrays):
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
