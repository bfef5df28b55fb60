"""Recordings of CPSC 2018: twelve leads, 500 Hz, nine classes, in either of their two forms.

Source: Liu et al., J. Med. Imaging Health Inform. 8(7), 2018. The organisers' form is a MATLAB
structure a record and REFERENCE.csv; PhysioNet's is that of the Challenge 2020 (Perez Alday et al.,
Physiol. Meas. 41(12), 2020), with the classes in the headers. What is kept is the authors' input
(PROTOCOLS 3.6): the first 30,720 samples of every record.
"""

import csv
import re
from pathlib import Path

import numpy as np

from ecgadv.data import cache, cpsc2018_split, leads, wfdb16
from ecgadv.data.dataset import class_counts
from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, why

# In the order of REFERENCE.csv, which numbers them from 1.
CLASSES = ("N", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE")
# What headers call them: SNOMED CT codes as the Challenge 2020 maps them, or words.
SNOMED = {
    "426783006": "N",
    "164889003": "AF",
    "270492004": "I-AVB",
    "164909002": "LBBB",
    "59118001": "RBBB",
    "284470004": "PAC",
    "164884008": "PVC",
    "429622005": "STD",
    "164931005": "STE",
}
WORDS = {"Normal": "N"} | {name: name for name in CLASSES[1:]}
RECORDS = 6877
FS = 500  # Hz
LENGTH, MOST = 33_792, 30_720  # samples of the input, and of a recording in it
SHORTEST, LONGEST = 6 * FS, 145 * FS  # samples; the longest of the published ones has 144 s

REFERENCE = "REFERENCE.csv"
ICBEB = "cpsc2018-icbeb"  # folder of the organisers' form, below that of the recordings
LABELS = "CPSC2018 training set, as published"
MEND = "run `ecgadv data fetch cpsc2018`, then `ecgadv data prepare cpsc2018`"
NOTE = (
    "CPSC 2018 training set: microvolts at 500 Hz, the first 61.44 s, each lead divided by its "
    "largest value, at the end of zeros; records with more than one class are left out, as the "
    "authors do. Who was recorded is not published, so one may stand on both sides of a split."
)


def read_reference(path):
    """The classes of every record in REFERENCE.csv, in the order of its rows.

    Returns:
        {record: tuple of int}, indices into CLASSES, the first label first.

    Raises:
        EcgadvError: it is missing, or a row is not a record with one to three classes of nine.
    """
    path = Path(path)
    if not path.is_file():
        raise EcgadvError(f"no labels at {path}: put the organisers' {REFERENCE} there")
    found = {}
    lines = list(csv.reader(path.read_text(encoding="latin-1").splitlines()))
    for number, row in enumerate(lines[1:], start=2):
        name, *labels = [word.strip() for word in row] or [""]
        labels = [label for label in labels if label]
        good = re.fullmatch(r"A\d{4}", name) and name not in found
        if not good or not labels or not all(re.fullmatch("[1-9]", word) for word in labels):
            raise EcgadvError(
                f"{path}, line {number}: {','.join(row)!r} is not a new record and its classes, "
                "1 to 9: use the organisers' file"
            )
        found[name] = tuple(int(label) - 1 for label in labels)
    return found


def classes_in(comments):
    """The classes that the comments of a header name: tuple of int, in their order there.

    Raises:
        EcgadvError: there is none, or one that is not of the nine.
    """
    found = re.search(r"^#\s*Dx:(.*)$", comments, re.MULTILINE)
    words = [word.strip() for word in found[1].split(",") if word.strip()] if found else []
    if not words:
        raise EcgadvError("its header names no diagnosis (Dx)")
    for word in words:
        if word not in SNOMED and word not in WORDS:
            raise EcgadvError(
                f"its header has the diagnosis {word!r}, which is no class of CPSC2018"
            )
    return tuple(CLASSES.index(SNOMED.get(word) or WORDS[word]) for word in words)


def read_icbeb(path):
    """The counts of a record in the organisers' form, rounded to whole microvolts as PhysioNet's.

    Args:
        path: a .mat with the structure ECG (sex, age, data), data float (12, T) in millivolts.

    Returns:
        int16 (12, T), microvolts.

    Raises:
        EcgadvError: the file is damaged, or a value is not finite or too large.
    """
    import scipy.io

    path = Path(path)
    try:
        signal = np.asarray(scipy.io.loadmat(path)["ECG"]["data"][0, 0], np.float64)
    except DAMAGED as error:
        raise EcgadvError(f"{path} cannot be read ({why(error)}): get it anew") from error
    if signal.ndim != 2 or len(signal) != len(leads.LEADS) or not signal.size:
        raise EcgadvError(f"{path} has data of shape {signal.shape}, expected 12 leads in rows")
    counts = np.rint(leads.COUNTS_PER_MV * signal)
    if not np.isfinite(counts).all():
        raise EcgadvError(f"{path} holds {int((~np.isfinite(counts)).sum())} values that are NaN")
    if np.abs(counts).max() >= 2**15:
        raise EcgadvError(f"{path} reaches {np.abs(signal).max():g}: millivolts are below 32.768")
    return counts.astype(np.int16)


def prepare(raw_dir, out, *, progress=None):
    """Read the records of `raw_dir`, all 6,877 or a part, and write the prepared cache `out`.

    Args:
        raw_dir: folder with training/cpsc_2018/g1... (PhysioNet's form), or with REFERENCE.csv and
            .mat files (the organisers').
        out: the .npz to write.
        progress: called with each record's name when it is done.

    Returns:
        dict: `records`, those `missing`, `with several classes`, `flat leads kept`, and `classes`.

    Raises:
        EcgadvError: a file is missing or damaged, a record has no class, or labels are not those
            that the authors split.
    """
    raw_dir = Path(raw_dir)
    read = _read_organisers if (raw_dir / REFERENCE).is_file() else _read_physionet
    names, labels, packer = [], [], leads.Packer()
    for name, counts, classes in read(raw_dir):
        if not SHORTEST <= counts.shape[1] <= LONGEST:
            raise EcgadvError(
                f"record {name} has {counts.shape[1]} samples, expected {SHORTEST} to {LONGEST} "
                f"(6 to 145 s): {MEND}"
            )
        packer.add(counts[:, :MOST])
        names.append(name)
        labels.append(classes)
        if progress is not None:
            progress(name)
    if not names:
        raise EcgadvError(f"no records of CPSC2018 in {raw_dir}: {MEND}")
    arrays = {"record": np.array(names), "label": _table(labels), **packer.arrays()}
    cache.write(out, arrays, {"name": "cpsc2018", "labels": LABELS})
    single = arrays["label"][:, 1] < 0
    return {
        "records": len(names),
        f"of {RECORDS:,} missing": RECORDS - len(names),
        "with several classes": int((~single).sum()),
        "flat leads kept": packer.flat,
        "classes": class_counts(arrays["label"][single, 0], CLASSES),
    }


def _table(labels):
    """int8 (N, 3), -1 where a record has fewer classes."""
    return np.array([(*classes, -1, -1)[:3] for classes in labels], np.int8)


def _read_physionet(raw_dir):
    """Yield (name, counts, classes) of every record in PhysioNet's form."""
    for header in sorted(raw_dir.glob("training/cpsc_2018/g*/A*.hea"), key=lambda path: path.name):
        counts, comments = wfdb16.read(header, fs=FS)
        try:
            classes = classes_in(comments)
        except EcgadvError as error:
            raise EcgadvError(f"record {header.stem}: {error}: {MEND}") from None
        yield header.stem, counts, classes


def _read_organisers(raw_dir):
    """Yield (name, counts, classes) of every record in the organisers' form."""
    reference = read_reference(raw_dir / REFERENCE)
    if len(reference) == RECORDS:
        cpsc2018_split.check(reference)
    for path in sorted(raw_dir.glob("A*.mat")):
        if path.stem not in reference:
            raise EcgadvError(f"record {path.stem} has no label in {raw_dir / REFERENCE}")
        yield path.stem, read_icbeb(path), reference[path.stem]


def read_cache(path):
    """The arrays of the prepared cache and which records have one class, bool (N,).

    Raises:
        EcgadvError: the cache is missing, damaged or of another dataset.
    """
    arrays, _ = cache.read(path, name="cpsc2018", mend=MEND)
    return arrays, arrays["label"][:, 1] < 0


def load(path, *, wanted=leads.EIGHT):
    """The prepared recordings with one class as a Dataset of (N, 8, 33792); needs numpy alone.

    Args:
        path: the prepared cache.
        wanted: names of the leads.

    Raises:
        EcgadvError: the cache is missing, damaged or of another dataset.
    """
    arrays, single = read_cache(path)
    return leads.dataset(
        leads.unpack(arrays, leads=wanted, keep=single),
        length=LENGTH,
        most=MOST,
        fs=FS,
        name="cpsc2018",
        y=arrays["label"][single, 0],
        record=arrays["record"][single],
        classes=CLASSES,
        labels=LABELS,
        note=NOTE,
    )
