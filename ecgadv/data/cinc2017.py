"""Recordings of the PhysioNet/CinC Challenge 2017: single-lead, 300 Hz, from a hand-held device.

Source: Clifford et al., CinC 2017, doi:10.22489/CinC.2017.065-469; PhysioNet, challenge-2017 1.0.0.
The form is the input of paper A: A/D counts, the first 30 s, shorter recordings centred in zeros.
"""

import hashlib
import re
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ecgadv.data import cache, verify
from ecgadv.data.dataset import Dataset, class_counts
from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, why

RECORDS = tuple(f"A{number:05d}" for number in range(1, 8529))
CLASSES = ("N", "AF", "O", "~")
SYMBOLS = ("N", "A", "O", "~")  # of the classes in REFERENCE-v*.csv
FS = 300  # Hz
LENGTH = 9000  # samples, 30 s
UNIT_MV = 0.001  # 1000 counts per millivolt in every header

LABELS = "REFERENCE-v3"
# SHA-256 of each version of the labels that circulates; v3 is the one to use.
VERSIONS = {
    "v0": "bb80d19c91239fc4272bd86815504ceeb35031c5cec0f6e55e4c001afdb97a81",
    "v2": "995a380d29f7aa45eb50fd907462bf2f7a3492e0f7ed33870f023753463f79fd",
    "v3": "ae517e474b0bc89a7517ad876b5b4dadc6c94f680d0665c04746db9432df855b",
}
# SHA-256 of all signals, whole and in the order of RECORDS: the headers' checksums are all 0.
SIGNALS = "8a257fb08210697a26833c6fdff5205f4e29f89aa25f02d984f2d2052309705b"
# What `cache.digest` gives of the prepared arrays, the signals unpacked.
ARRAYS = "a66b1efbbe04dd614d0c0486fe2244c752cc4331a48dd566f0b6852c695f5d77"
# Records whose signals are the same; all four are N in v3.
DUPLICATES = (("A00227", "A01176"), ("A02656", "A03123"))
# Which records Han et al. hold out: no seed gives the draw, so it is written down.
HELD_OUT_LIST = Path(__file__).with_name("cinc2017_heldout.txt")

ARCHIVE = "training2017.zip"
MEND = "run `ecgadv data fetch challenge-2017`, then `ecgadv data prepare challenge-2017`"
NOTE = (
    "PhysioNet/CinC Challenge 2017, training set: raw counts (1 count = 1 uV), the first 30 s at "
    "300 Hz, shorter recordings centred in zeros. Who was recorded is not published. A00227 = "
    "A01176 and A02656 = A03123 are the same signals. The 300 records of sample2017 are copies of "
    "records here, 271 that Han trains on and 29 that he holds out: they are never read."
)

_HEADER = re.compile(r"\S+ 1 300 .*\s+\S+ 16\+24 1000/mV 16 0 ")


def read_labels(raw_dir, *, version="v3"):
    """The labels of all records in one version.

    Args:
        raw_dir: folder with REFERENCE-v0.csv, REFERENCE-v2.csv, REFERENCE-v3.csv.
        version: one of VERSIONS.

    Returns:
        int64 (8528,), index into CLASSES, in the order of RECORDS.

    Raises:
        EcgadvError: the version is unknown, or its file is missing or not the published one.
    """
    if version not in VERSIONS:
        raise EcgadvError(f"no labels {version!r}: use one of {', '.join(VERSIONS)}")
    path = Path(raw_dir) / f"REFERENCE-{version}.csv"
    if not path.is_file():
        raise EcgadvError(f"no labels at {path}: run `ecgadv data fetch challenge-2017`")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != VERSIONS[version]:
        raise EcgadvError(
            f"{path} has sha256 {found}, published: {VERSIONS[version]}: delete it and run "
            "`ecgadv data fetch challenge-2017` again"
        )
    label = dict(line.split(",") for line in content.decode().split())
    return np.array([SYMBOLS.index(label[name]) for name in RECORDS], np.int64)


def read_signals(raw_dir, names):
    """Yield the whole signal of each record, verified against its header.

    The headers of this database state a checksum of 0 whatever the signal, and 565 of them another
    first value than it has, so only length, rate and gain can be verified here; `prepare` verifies
    a hash of all signals.

    Args:
        raw_dir: folder with training2017.zip, or with training2017/ or its .hea and .mat files.
        names: the records wanted.

    Yields:
        int16 (T,), A/D counts, 300 Hz.

    Raises:
        EcgadvError: a file is missing or damaged.
    """
    with _files(Path(raw_dir)) as read:
        for name in names:
            try:
                text = read(f"{name}.hea").decode(errors="replace")
                if not _HEADER.match(text):
                    raise EcgadvError("its header is not of one lead at 300 Hz and 1000 counts/mV")
                stated = verify.parse_header(text, name)
                signal = verify.parse_signals(read(f"{name}.mat"), stated)
            except DAMAGED as error:
                raise EcgadvError(
                    f"record {name} in {raw_dir} cannot be read ({why(error)}): "
                    "run `ecgadv data fetch challenge-2017` again"
                ) from error
            yield signal[:, 0].astype(np.int16, copy=False)


@contextmanager
def _files(raw_dir):
    """A function from the name of a record's file to its bytes, from the zip or a folder."""
    archive, folder = raw_dir / ARCHIVE, raw_dir / "training2017"
    if not archive.is_file():
        folder = folder if folder.is_dir() else raw_dir
        yield lambda name: (folder / name).read_bytes()
        return
    try:
        content = zipfile.ZipFile(archive)
    except DAMAGED as error:
        raise EcgadvError(
            f"{archive} is damaged ({why(error)}): run `ecgadv data fetch challenge-2017`"
        ) from error
    with content:
        yield lambda name: content.read(f"training2017/{name}")


def centred(signals, length):
    """Signals of any length in one array: the first `length` samples, or centred in zeros.

    Of an odd number of zeros the smaller half goes first.

    Args:
        signals: sequence of N arrays (T,), T at least 1.
        length: samples of each row, L.

    Returns:
        (x, start, kept): x float32 (N, 1, L); start and kept int64 (N,), where in x each signal
        starts and how many of its samples are there.

    Source: PROTOCOLS 2.1 (cd/utils/create_data.py, cd/utils/DataLoader.py).
    """
    kept = np.array([min(len(signal), length) for signal in signals], np.int64)
    start = (length - kept) // 2
    x = np.zeros((len(signals), 1, length), np.float32)
    for row, signal, first, count in zip(x[:, 0], signals, start, kept, strict=True):
        row[first : first + count] = signal[:count]
    return x, start, kept


def prepare(raw_dir, out, *, progress=None):
    """Read the 8,528 records of `raw_dir` and write the prepared cache `out`, about 36 MB.

    Args:
        raw_dir: folder with REFERENCE-v3.csv and training2017.zip or its unpacked files.
        out: the .npz to write.
        progress: called with each record's name when it is done.

    Returns:
        dict: `records`, `padded` (shorter than 30 s), `cut` (longer) and `classes`.

    Raises:
        EcgadvError: a file is missing or damaged, or the signals are not the published ones.
    """
    y = read_labels(raw_dir)
    digest, parts, whole = hashlib.sha256(), [], []
    for name, signal in zip(RECORDS, read_signals(raw_dir, RECORDS), strict=True):
        digest.update(signal.astype("<i2", copy=False))
        parts.append(signal[:LENGTH].copy())
        whole.append(len(signal))
        if progress is not None:
            progress(name)
    if digest.hexdigest() != SIGNALS:
        raise EcgadvError(
            f"the signals in {raw_dir} have sha256 {digest.hexdigest()}, published: {SIGNALS}: "
            "delete them and run `ecgadv data fetch challenge-2017` again"
        )
    arrays = {
        "counts": np.concatenate(parts),
        "length": np.array([len(part) for part in parts], np.uint16),
        "y": y.astype(np.uint8),
    }
    cache.check(arrays, expected=ARRAYS, source=raw_dir, mend=MEND)
    arrays["counts"] = cache.pack(arrays["counts"])
    cache.write(out, arrays, {"name": "challenge-2017", "labels": LABELS})
    return {
        "records": len(whole),
        "padded": int(np.less(whole, LENGTH).sum()),
        "cut": int(np.greater(whole, LENGTH).sum()),
        "classes": class_counts(y, CLASSES),
    }


def load(path):
    """The prepared recordings as a Dataset of (8528, 1, 9000) microvolts; needs numpy alone.

    Raises:
        EcgadvError: the cache is missing, damaged or of another dataset.
    """
    arrays, _ = cache.read(path, name="challenge-2017", mend=MEND)
    arrays["counts"] = cache.unpack(arrays["counts"])
    cache.check(arrays, expected=ARRAYS, source=path, mend=MEND)
    ends = np.cumsum(arrays["length"], dtype=np.int64)
    x, start, length = centred(np.split(arrays["counts"], ends[:-1]), LENGTH)
    return Dataset(
        name="challenge-2017",
        x=x,
        y=arrays["y"],
        length=length,
        start=start,
        record=np.array(RECORDS),
        onset=np.zeros(len(RECORDS)),
        unit_mv=np.full(len(RECORDS), UNIT_MV),
        classes=CLASSES,
        fs=float(FS),
        unit="uV",
        labels=f"challenge-2017 {LABELS}",
        note=NOTE,
    )


def held_out():
    """The names of the 853 records that Han et al. hold out: str (853,), ascending."""
    lines = HELD_OUT_LIST.read_text().splitlines()
    numbers = " ".join(line for line in lines if not line.startswith("#")).split()
    return np.array([f"A{number:0>5}" for number in numbers])
