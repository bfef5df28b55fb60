"""Recordings of PTB-XL with the classes of CPSC2018: twelve leads, ten seconds, 100 or 500 Hz.

Source: Wagner et al., Scientific Data 7:154, 2020; PhysioNet, ptb-xl 1.0.3, doi:10.13026/kfzx-aw45,
CC BY 4.0. Its own statements are SCP-ECG codes, several a recording; which of them are CPSC2018's
classes, and that exactly one of these is wanted, is our choice.
"""

import ast
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgadv.data import cache, leads, resample, wfdb16
from ecgadv.data import cpsc2018 as cpsc
from ecgadv.data.dataset import class_counts
from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, why

# Whatever likelihood is stated: of rhythms and forms it is 0 where nobody gave one.
CODES = {
    "NORM": "N",
    "AFIB": "AF",
    "1AVB": "I-AVB",
    "CLBBB": "LBBB",
    "CRBBB": "RBBB",
    "PAC": "PAC",
    "PVC": "PVC",
    "STD_": "STD",
    "STE_": "STE",
}
CLASSES = cpsc.CLASSES[:8]  # ST elevation has 11 recordings, too few to learn from
SECONDS = 10
RATES = {"ptb-xl": 100, "ptb-xl-500": 500}  # Hz, by dataset
FOLDER = {100: "filename_lr", 500: "filename_hr"}
FOLDS = {"train": tuple(range(1, 9)), "validation": (9,), "test": (10,)}
# Normal recordings that are used, so that every copy of the database gives the same dataset.
NORMAL_LIST = Path(__file__).with_name("ptbxl_normal.txt")

DATABASE = "ptbxl_database.csv"
LABELS = "PTB-XL 1.0.3, one of CPSC2018's classes"
NOTE = (
    "PTB-XL 1.0.3: recordings with exactly one statement among those of CPSC2018's classes but ST "
    "elevation (11), of normal ones a listed 1,000; microvolts, each lead divided by its largest "
    "value. Folds 9 and 10, which the authors recommend for validation and test, are those that a "
    "cardiologist checked."
)
SHIFTED_NOTE = (
    "CPSC 2018 training set as a network trained on PTB-XL meets it: resampled to 100 Hz, the "
    "first ten seconds, each lead divided by its largest value, at the end of zeros; records with "
    "one class, ST elevation left out."
)


@dataclass(frozen=True)
class Row:
    """What the database says of one recording."""

    ecg_id: int
    patient: int
    fold: int
    label: int  # index into CLASSES
    file: str  # without its suffix


def mend(name):
    """How to get a dataset whose files are missing or damaged."""
    return f"run `ecgadv data fetch {name}`, then `ecgadv data prepare {name}`"


def read_database(path, *, rate):
    """The recordings of PTB-XL that are used, in the order of their numbers.

    Args:
        path: ptbxl_database.csv. Age and the like may be missing in it, and are not read.
        rate: 100 or 500, Hz.

    Returns:
        list of Row.

    Raises:
        EcgadvError: it is missing, a column or a value is not what it should be, or the
            recordings of a patient lie in two of the parts that the folds make.
    """
    path = Path(path)
    if not path.is_file():
        raise EcgadvError(f"no {path}: {mend('ptb-xl')}")
    normal = set(np.array(NORMAL_LIST.read_text().split("\n", 1)[1].split(), int).tolist())
    found = []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                label = _label(row["scp_codes"])
                entry = label, int(row["ecg_id"]), int(float(row["patient_id"]))
                fold, name = int(row["strat_fold"]), row[FOLDER[rate]]
            except (*DAMAGED, SyntaxError) as error:
                raise EcgadvError(
                    f"{path}, line {number}: {why(error)}: {mend('ptb-xl')}"
                ) from None
            if label is None or (label == 0 and entry[1] not in normal):
                continue
            if not 1 <= fold <= 10:
                raise EcgadvError(f"{path}, line {number}: fold {fold}, expected 1 to 10")
            found.append(Row(ecg_id=entry[1], patient=entry[2], fold=fold, label=label, file=name))
    if not found:
        raise EcgadvError(f"{path} has no recording of {', '.join(CLASSES)}: {mend('ptb-xl')}")
    _check_patients(found)
    return sorted(found, key=lambda row: row.ecg_id)


def _label(codes):
    """The class of a recording's statements, None unless exactly one is of a class."""
    statements = ast.literal_eval(codes)
    if not isinstance(statements, dict) or not statements:
        raise ValueError(f"scp_codes is {codes!r}, expected statements with their likelihoods")
    of_classes = [CODES[code] for code in statements if code in CODES]
    if len(of_classes) != 1 or of_classes[0] not in CLASSES:
        return None
    return CLASSES.index(of_classes[0])


def _check_patients(found):
    """Raise EcgadvError if a patient has recordings in two parts."""
    part_of = {fold: part for part, folds in FOLDS.items() for fold in folds}
    home = {}
    for row in found:
        if home.setdefault(row.patient, part_of[row.fold]) != part_of[row.fold]:
            raise EcgadvError(
                f"patient {row.patient} has recordings in {home[row.patient]} and in "
                f"{part_of[row.fold]} (ecg_id {row.ecg_id}): the folds are not PTB-XL's"
            )


def prepare(raw_dir, out, *, name="ptb-xl", progress=None):
    """Read the recordings used below `raw_dir` and write the prepared cache `out`.

    Args:
        raw_dir: folder with ptbxl_database.csv and records100/ or records500/.
        out: the .npz to write.
        name: "ptb-xl" (100 Hz) or "ptb-xl-500".
        progress: called with each recording's file when it is done.

    Returns:
        dict: `records`, `patients`, `flat leads kept`, and `classes`.

    Raises:
        EcgadvError: a file is missing or damaged, or not of ten seconds.
    """
    rate = RATES[name]
    found = read_database(Path(raw_dir) / DATABASE, rate=rate)
    packer = leads.Packer()
    for row in found:
        counts, _ = wfdb16.read(Path(raw_dir) / f"{row.file}.hea", fs=rate)
        if counts.shape[1] != SECONDS * rate:
            raise EcgadvError(
                f"recording {row.file} has {counts.shape[1]} samples, expected {SECONDS * rate}"
            )
        packer.add(counts)
        if progress is not None:
            progress(row.file)
    columns = ("ecg_id", "patient", "fold", "label")
    arrays = {column: np.array([getattr(row, column) for row in found]) for column in columns}
    cache.write(out, arrays | packer.arrays(), {"name": name, "labels": LABELS})
    return {
        "records": len(found),
        "patients": len(np.unique(arrays["patient"])),
        "flat leads kept": packer.flat,
        "classes": class_counts(arrays["label"], CLASSES),
    }


def load(path, *, name="ptb-xl", wanted=leads.EIGHT):
    """The prepared recordings as a Dataset of (N, 8, 1000) or (N, 8, 5000); needs numpy alone.

    Its facts give each recording's `patient` and `fold`.

    Args:
        path: the prepared cache.
        name: "ptb-xl" or "ptb-xl-500".
        wanted: names of the leads.

    Raises:
        EcgadvError: the cache is missing, damaged or of another dataset.
    """
    arrays, _ = cache.read(path, name=name, mend=mend(name))
    return leads.dataset(
        leads.unpack(arrays, leads=wanted),
        length=SECONDS * RATES[name],
        fs=RATES[name],
        name=name,
        y=arrays["label"],
        record=np.array([f"{ecg_id:05d}" for ecg_id in arrays["ecg_id"]]),
        classes=CLASSES,
        labels=LABELS,
        note=NOTE,
        facts={"patient": arrays["patient"], "fold": arrays["fold"]},
    )


def load_cpsc(path):
    """The prepared records of CPSC2018 in the form and with the classes of PTB-XL at 100 Hz.

    Raises:
        EcgadvError: the cache is missing, damaged or of another dataset.
    """
    arrays, single = cpsc.read_cache(path)
    keep = single & (arrays["label"][:, 0] < len(CLASSES))
    signals = leads.unpack(arrays, leads=leads.EIGHT, keep=keep)
    fs = RATES["ptb-xl"]
    return leads.dataset(
        (resample.slower(signal, cpsc.FS // fs) for signal in signals),
        length=SECONDS * fs,
        fs=fs,
        name="cpsc2018-100",
        y=arrays["label"][keep, 0],
        record=arrays["record"][keep],
        classes=CLASSES,
        labels=cpsc.LABELS,
        note=SHIFTED_NOTE,
    )
