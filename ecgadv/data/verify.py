"""Whether the files of a PhysioNet database are there, whole and unchanged.

Published SHA-256 sums decide. Where a server publishes none, the WFDB headers of the 2020
challenge still give each signal's size, first values and 16-bit checksums.
"""

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ecgadv.errors import EcgadvError

SUMS = "SHA256SUMS.txt"
_SUM = re.compile(r"([0-9a-f]{64})\s+\*?(?:\./)?(\S.*)")
_MAT_NAME = b"val\0"
_MAT_INT16 = 30  # MATLAB level 4: little-endian, int16, full matrix
_GAIN = r"1000(?:\.0\(0\))?/mV"  # of every lead in both challenges, in either spelling
_MAT_PREFIX = 24  # bytes before the samples
# The record's name is compared afterwards: a pattern for each takes longer than to read it.
_RECORD_LINE = re.compile(r"(\S+) (\d{1,3}) \d+ (\d{1,9})\b")
_SIGNAL_LINE = re.compile(
    rf"(\S+)\.mat 16(?:x1)?\+{_MAT_PREFIX} {_GAIN} \d+ 0 (-?\d{{1,6}}) (-?\d{{1,6}}) .*"
)


@dataclass(frozen=True)
class Header:
    """What a .hea of the 2017 or the 2020 challenge states about its .mat."""

    samples: int
    first: tuple[int, ...]  # the first value of every lead, A/D counts
    checksums: tuple[int, ...]  # the sum of every lead's values modulo 2**16


def sha256(path):
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(path):
    """The sums in a SHA256SUMS.txt: {name: hexadecimal sum}.

    Raises:
        EcgadvError: a line is not a sum and a name.
    """
    sums = {}
    for number, line in enumerate(Path(path).read_text(errors="replace").splitlines(), start=1):
        found = _SUM.fullmatch(line.rstrip())
        if not found and line.strip():
            raise EcgadvError(f"line {number} is not a SHA-256 sum and a name: {line[:60]!r}")
        if found:
            sums[found[2]] = found[1]
    return sums


def sums_problem(path, *, source):
    """What is wrong with a SHA256SUMS.txt for this source, or None."""
    try:
        sums = read_sums(path)
    except EcgadvError as error:
        return str(error)
    missing = [name for name in source.files if name not in sums]
    if missing:
        return f"it lacks {len(missing)} of {len(source.files)} files, such as {missing[0]}"
    if not any(map(source.lists, sums)):
        return f"it lists no file of {source.name}"
    return None


def missing_sums(folder, *, source):
    """What keeps the published sums of a source from being used, in words, or None.

    Of the 2020 challenge, whose headers have checksums, they may be missing.
    """
    path = folder / SUMS
    if source.groups:
        return None
    if not path.is_file():
        return f"{path} is missing"
    problem = sums_problem(path, source=source)
    return None if problem is None else f"{path} is damaged ({problem})"


def sum_problem(path, *, expected):
    """What is wrong with a file of known SHA-256 sum, or None."""
    found = sha256(path)
    if found == expected:
        return None
    return f"its SHA-256 sum is {found[:12]}..., but {SUMS} says {expected[:12]}..."


def records_problem(path):
    """What is wrong with a RECORDS of the 2020 challenge, or None."""
    text = Path(path).read_text(errors="replace")
    if re.fullmatch(r"(A\d{4}\n)+", text):
        return None
    return "it is not a list of records, one A0000 a line"


def read_header(path):
    """The Header in a .hea of the 2020 challenge (12 leads, 16 bits, one .mat).

    Raises:
        EcgadvError: it is not such a header, or of another record than the file's name says.
    """
    return parse_header(Path(path).read_text(errors="replace"), Path(path).name.split(".")[0])


def parse_header(text, record):
    """The Header in the text of a .hea whose signals lie in one .mat of 16 bits.

    Raises:
        EcgadvError: it is not such a header, or of another record.
    """
    lines = text.splitlines()
    start = _RECORD_LINE.match(lines[0]) if lines else None
    if not start or start[1] != record:
        raise EcgadvError(f"it is not a WFDB header of record {record}")
    leads, samples = int(start[2]), int(start[3])
    stated = [_SIGNAL_LINE.fullmatch(line) for line in lines[1 : leads + 1]]
    if len(stated) != leads or not all(line and line[1] == record for line in stated):
        raise EcgadvError(f"it does not describe its {leads} leads")
    return Header(
        samples=samples,
        first=tuple(int(line[2]) for line in stated),
        checksums=tuple(int(line[3]) % 2**16 for line in stated),
    )


def header_problem(path):
    """What is wrong with a .hea of the 2020 challenge, or None."""
    try:
        read_header(path)
    except EcgadvError as error:
        return str(error)
    return None


def signal_problem(path, *, header):
    """What is wrong with the .mat that belongs to `header`, the path of its .hea, or None."""
    try:
        stated = read_header(header)
    except (EcgadvError, FileNotFoundError):
        return f"its header {Path(header).name} is missing or broken"
    try:
        counts = parse_signals(Path(path).read_bytes(), stated)
    except EcgadvError as error:
        return str(error)
    sums = counts.sum(axis=0, dtype=np.int64) % 2**16
    if tuple(counts[0]) != stated.first or tuple(sums) != stated.checksums:
        return "its checksum is not the one in its header"
    return None


def parse_signals(content, stated):
    """The A/D counts in the bytes of a .mat that has the shape its Header states.

    Returns:
        little-endian int16 (samples, leads), read-only.

    Raises:
        EcgadvError: size or shape are not those that the header states.
    """
    leads = len(stated.first)
    size = _MAT_PREFIX + 2 * leads * stated.samples
    if len(content) != size:
        raise EcgadvError(f"it has {len(content)} bytes, but its header says {size}")
    prefix = struct.pack("<5i", _MAT_INT16, leads, stated.samples, 0, len(_MAT_NAME)) + _MAT_NAME
    if not content.startswith(prefix):
        raise EcgadvError(f"it is not a MATLAB file of {leads} leads and {stated.samples} samples")
    return np.frombuffer(content, "<i2", offset=_MAT_PREFIX).reshape(stated.samples, leads)


def manifest(source, folder):
    """The files of a source that the sums or RECORDS in `folder` list, each with its check.

    Returns:
        (checks, published): {name: check}, a check being path -> what is wrong or None, headers
        before signals; and whether the checks come from published SHA-256 sums.
    """
    sums = folder / SUMS
    if sums.is_file() and sums_problem(sums, source=source) is None:
        wanted = {name: value for name, value in read_sums(sums).items() if source.lists(name)}
        return {name: partial(sum_problem, expected=wanted[name]) for name in wanted}, True
    listed = [folder / group / "RECORDS" for group in source.groups]
    listed = [path for path in listed if path.is_file() and records_problem(path) is None]
    checks = {f"{_group(path, folder)}/RECORDS": records_problem for path in listed}
    records = [
        f"{_group(path, folder)}/{record}" for path in listed for record in path.read_text().split()
    ]
    checks |= {f"{name}.hea": header_problem for name in records}
    checks |= {
        f"{name}.mat": partial(signal_problem, header=folder / f"{name}.hea") for name in records
    }
    return checks, False


def _group(records, folder):
    return records.parent.relative_to(folder).as_posix()


def unsound(folder, checks):
    """The names among `checks` whose file in `folder` is missing or fails its check."""
    return [
        name
        for name, check in checks.items()
        if not (folder / name).is_file() or check(folder / name) is not None
    ]
