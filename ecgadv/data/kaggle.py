"""The Kaggle heartbeat csv (shayanfazeli/heartbeat), the very input of paper B, if a user has it.

Kaggle asks for an account, so nothing here downloads it. Rows: Kachuee et al., arXiv:1805.00794;
187 samples in [0, 1], zero-padded, then the class 0 to 4. They are at 120 Hz, whatever its
description says (`ecgadv.data.beats`).
"""

import hashlib
from pathlib import Path

import numpy as np

from ecgadv.data import beats
from ecgadv.data.dataset import Dataset
from ecgadv.errors import EcgadvError

# (file, rows, bytes, sha256) of the published files.
TRAIN = (
    "mitbih_train.csv",
    87_554,
    411_503_800,
    "ae4c80504ad1d0be5c3f1b3c6ef02851e4d1b05d05805fce2a73374f083a700e",
)
TEST = (
    "mitbih_test.csv",
    21_892,
    102_892_400,
    "f3fdb3fd318275e653fac082b617d8c1ef09fca619a0606dc22c863451c77333",
)
LABELS = "Kaggle shayanfazeli/heartbeat, mitbih csv"
NOTE = (
    "The Kaggle heartbeat csv of MIT-BIH beats. It says neither the patient nor the millivolts of "
    "a beat; the length of a beat is where its trailing zeros start."
)


def load(train_csv, test_csv):
    """Both files as one Dataset: the 87,554 train rows, then the 21,892 test rows.

    `record` names the file, `onset` is the row in it, `unit_mv` is NaN (not known).

    Args:
        train_csv, test_csv: paths of mitbih_train.csv and mitbih_test.csv.

    Raises:
        EcgadvError: a file is missing or is not the published one.
    """
    parts = [_read(train_csv, *TRAIN[1:]), _read(test_csv, *TEST[1:])]
    rows = np.concatenate(parts)
    x, y = rows[:, None, :-1], rows[:, -1].astype(np.int64)
    filled = x[:, 0] != 0
    last = beats.LENGTH - np.argmax(filled[:, ::-1], axis=1)
    return Dataset(
        name="kaggle",
        x=x,
        y=y,
        length=np.where(filled.any(axis=1), last, beats.LENGTH),
        record=np.repeat(["train", "test"], [len(part) for part in parts]),
        onset=np.concatenate([np.arange(len(part)) for part in parts]),
        unit_mv=np.full(len(rows), np.nan),
        classes=beats.CLASSES,
        fs=float(beats.FS),
        unit="normalised",
        labels=LABELS,
        note=NOTE,
    )


def _read(path, rows, size, sha256):
    """One published csv, verified by size and hash before it is parsed: float32 (rows, 188)."""
    path = Path(path)
    mend = "download shayanfazeli/heartbeat from Kaggle again and unzip it unchanged"
    if not path.is_file():
        raise EcgadvError(
            f"no {path}: download shayanfazeli/heartbeat from Kaggle (it needs an account) and "
            f"put {TRAIN[0]} and {TEST[0]} into {path.parent}"
        )
    if path.stat().st_size != size:
        raise EcgadvError(f"{path} has {path.stat().st_size} bytes, published: {size}: {mend}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise EcgadvError(f"{path} has sha256 {found}, published: {sha256}: {mend}")
    table = np.loadtxt(path, dtype=np.float32, delimiter=",", ndmin=2)
    if table.shape != (rows, beats.LENGTH + 1):
        raise EcgadvError(f"{path} has shape {table.shape}, expected {(rows, beats.LENGTH + 1)}")
    return table
