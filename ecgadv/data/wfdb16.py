"""Twelve-lead recordings in WFDB's 16-bit form: a header and one file of counts, verified.

PTB-XL has `.dat`, the 2020 challenge `.mat` with 24 bytes before the counts. Both state gain, first
value and checksum of every lead, and all of that is compared, as are names and order of the leads.
"""

import re
from pathlib import Path

import numpy as np

from ecgadv.data.leads import LEADS
from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, why

NO_SAMPLE = -(2**15)  # format 16 writes this where a sample is missing
_GAIN = re.compile(r"1000(\.0+)?(\(0\))?/mV")
_FORMATS = {"16": 0, "16+24": 24, "16x1+24": 24}  # bytes before the counts


def read(header, *, fs):
    """The counts and the comments of one recording.

    Args:
        header: path of its .hea; the file of counts lies beside it.
        fs: Hz that it must have.

    Returns:
        (counts, comments): int16 (12, T), microvolts, in the order of LEADS; and the lines of
        comments, as one text. They may hold names in Latin-1 and ages that are no number.

    Raises:
        EcgadvError: a file is missing or damaged, or is not what the others of its database are.
    """
    header = Path(header)
    name = header.stem
    try:
        text = header.read_bytes().decode("latin-1")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        comments = "\n".join(line for line in lines if line.startswith("#"))
        lines = [line for line in lines if not line.startswith("#")]
        samples = _record_line(lines, name, fs)
        stated = [_signal_line(line) for line in lines[1:]]
        _check_leads([lead for *_, lead in stated])
        counts = _counts(header.parent, stated, samples)
    except DAMAGED as error:
        raise EcgadvError(
            f"record {name} in {header.parent} cannot be used: {why(error)}"
        ) from None
    return counts, comments


def _record_line(lines, name, fs):
    """The number of samples that the first line of a header states."""
    found = re.match(r"(\S+) (\d+) (\S+) (\d+)", lines[0]) if lines else None
    if not found or found[1] != name:
        raise EcgadvError(f"its header does not begin with '{name}' and three numbers")
    if float(found[3]) != fs:
        raise EcgadvError(f"it has {found[3]} Hz, expected {fs}")
    if int(found[2]) != len(lines) - 1:
        raise EcgadvError(f"its header states {found[2]} leads and describes {len(lines) - 1}")
    if int(found[4]) < 1:
        raise EcgadvError("it has no samples (length 0)")
    return int(found[4])


def _signal_line(line):
    """(file, offset, first, checksum, lead) that a line of a header states."""
    words = line.split()
    if len(words) < 9:
        raise EcgadvError(f"its header describes a lead by '{line}', too few words")
    file, form, gain, bits, zero, first, checksum, _, lead = words[:9]
    if form not in _FORMATS or (bits, zero) != ("16", "0"):
        raise EcgadvError(f"lead {lead} has format {form}, {bits} bits, zero {zero}; expected 16")
    if not _GAIN.fullmatch(gain):
        raise EcgadvError(f"lead {lead} has gain and unit {gain}, expected 1000/mV")
    return file, _FORMATS[form], int(first), int(checksum), lead


def _check_leads(found):
    """Raise EcgadvError unless the leads are the twelve, in their order, whatever their case."""
    wanted, named = [lead.lower() for lead in LEADS], [lead.lower() for lead in found]
    if named == wanted:
        return
    if missing := [lead for lead in LEADS if lead.lower() not in named]:
        raise EcgadvError(f"lead {missing[0]} is missing among {', '.join(found)}")
    raise EcgadvError(f"its leads are {', '.join(found)}, expected {', '.join(LEADS)}")


def _counts(folder, stated, samples):
    """The counts, compared with what the header states of them."""
    file, offset, *_ = stated[0]
    if any(line[:2] != (file, offset) for line in stated):
        raise EcgadvError("its leads lie in several files, expected one")
    content = (folder / file).read_bytes()
    size = offset + 2 * len(stated) * samples
    if len(content) != size:
        raise EcgadvError(f"{file} has {len(content)} bytes, its header says {size}")
    counts = np.frombuffer(content, "<i2", offset=offset).reshape(samples, len(stated)).T
    sums = counts.sum(axis=1, dtype=np.int64)
    for row, total, (*_, first, checksum, lead) in zip(counts, sums, stated, strict=True):
        if (row == NO_SAMPLE).any():
            raise EcgadvError(f"lead {lead} has missing samples (NaN)")
        if row[0] != first or (total - checksum) % 2**16:
            raise EcgadvError(f"lead {lead}: first value or checksum are not those in the header")
    return counts
