"""Made-up recordings of twelve leads as PTB-XL and the 2020 challenge write them."""

import struct

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def counts(samples, seed=0):
    """int16 (12, samples)."""
    return np.random.RandomState(seed).randint(-1500, 1500, (12, samples)).astype("<i2")


def write(folder, name, signal, *, fs, mat=False, comments="", **changes):
    """Write NAME.hea and its counts; `changes` are replacements in the header, old -> new."""
    file = f"{name}.{'mat' if mat else 'dat'}"
    form = "16+24 1000/mV" if mat else "16 1000.0(0)/mV"
    lines = [f"{name} {len(signal)} {fs} {signal.shape[1]}"]
    for lead, row in zip(LEADS, signal, strict=False):
        checksum = int(row.sum(dtype=np.int64)) % 2**16
        first = row[0] if len(row) else 0
        lines.append(f"{file} {form} 16 0 {first} {checksum} 0 {lead}")
    text = "\n".join([*lines, comments, ""])
    for old, new in changes.get("changes", {}).items():
        assert old in text
        text = text.replace(old, new, 1)
    prefix = struct.pack("<5i", 30, len(signal), signal.shape[1], 0, 4) + b"val\0" if mat else b""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.hea").write_bytes(text.encode("latin-1"))
    (folder / file).write_bytes(prefix + signal.T.astype("<i2").tobytes())
    return folder / f"{name}.hea"
