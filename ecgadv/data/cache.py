"""The prepared cache: one compressed .npz a dataset, published whole or not at all."""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np

from ecgadv import files
from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, dump_arrays, parse_arrays, why

FORMAT = 1


def write(path, arrays, meta):
    """Write arrays and metadata to `path` atomically; one process at a time.

    Args:
        path: the .npz to publish; its folder is made if missing.
        arrays: {name: numpy array}, no object arrays.
        meta: dict that JSON can hold.

    Raises:
        EcgadvError: the file cannot be written (disk full, no permission).
    """
    path = Path(path)
    header = {"format": FORMAT, "meta": meta, "sha256": digest(arrays)}
    named = {"header": np.array(json.dumps(header)), **arrays}
    try:
        files.write(path, dump_arrays(named, compressed=True))
    except OSError as error:
        raise EcgadvError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder"
        ) from error


def read(path, *, name, mend):
    """Read what `write` wrote, verified against its own hash.

    Args:
        path: the .npz.
        name: what its metadata must call it.
        mend: what the user should do if it is missing or broken; ends the error's line.

    Returns:
        (arrays, meta): {name: numpy array} and the metadata dict.

    Raises:
        EcgadvError: the file is missing, damaged, of another format or another dataset.
    """
    path = Path(path)
    if not path.is_file():
        raise EcgadvError(f"no prepared data at {path}: {mend}")
    try:
        arrays = parse_arrays(path.read_bytes())
        header = json.loads(str(arrays.pop("header")))
        found, stated, meta = header["format"], header["sha256"], header["meta"]
    except DAMAGED as error:
        raise EcgadvError(f"{path} is damaged ({why(error)}): {mend}") from error
    if found != FORMAT:
        raise EcgadvError(f"{path} has format {found}, expected {FORMAT}: {mend}")
    if stated != digest(arrays):
        raise EcgadvError(f"{path} is damaged (its contents do not match its hash): {mend}")
    if meta.get("name") != name:
        raise EcgadvError(f"{path} holds {meta.get('name')!r}, expected {name!r}: {mend}")
    return arrays, meta


def check(arrays, *, expected, source, mend):
    """Raise EcgadvError unless arrays are those of a database that never changes.

    Args:
        arrays: {name: numpy array}, all that the cache keeps.
        expected: what `digest` gives of the true ones.
        source: the file or folder that they come from.
        mend: ends the error's line.
    """
    found = digest(arrays)
    if found != expected:
        raise EcgadvError(
            f"{source} gives arrays of sha256 {found[:12]}..., but those of the published "
            f"recordings have {expected[:12]}...: {mend}"
        )


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


def digest(arrays):
    """SHA-256 of names, types, shapes and values, in hexadecimal and the same on every machine."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        found.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        found.update(array.tobytes())
    return found.hexdigest()
