"""Beats of the MIT-BIH Arrhythmia Database, from its WFDB records.

Source: Moody & Mark, IEEE Eng. Med. Biol. 20(3), 2001; PhysioNet, mitdb 1.0.0.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgadv.data import beats, cache
from ecgadv.data.beats import CLASSES
from ecgadv.data.dataset import class_counts
from ecgadv.errors import EcgadvError
from ecgadv.files import DAMAGED, why

RECORDS = tuple(
    str(number)
    for number in (
        *(100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 111, 112, 113, 114, 115, 116),
        *(117, 118, 119, 121, 122, 123, 124, 200, 201, 202, 203, 205, 207, 208, 209, 210),
        *(212, 213, 214, 215, 217, 219, 220, 221, 222, 223, 228, 230, 231, 232, 233, 234),
    )
)
# de Chazal et al., IEEE Trans. Biomed. Eng. 51(7), 2004, table I, after ANSI/AAMI EC57: escape
# beats e and j belong to N (some repositories put them in S). Kachuee et al., table II, is the
# same mapping, so one constant serves both: it alone gives the csv's class totals and the DS1 and
# DS2 totals of de Chazal, and the tests check both.
AAMI = {
    "N": ("N", "L", "R", "e", "j"),
    "S": ("A", "a", "J", "S"),
    "V": ("V", "E"),
    "F": ("F",),
    "Q": ("/", "f", "Q"),
}
CLASS_OF = {symbol: CLASSES.index(name) for name, group in AAMI.items() for symbol in group}

# Beats of the 48 records without the last one of each: the class totals of the csv.
TOTALS = {"N": 90_589, "S": 2_779, "V": 7_236, "F": 803, "Q": 8_039}

# What `cache.digest` gives of all arrays of the prepared cache: class totals do not see a beat that
# moved, and the annotation files have no checksum of their own.
ARRAYS = "8b1550addfde01213cb21b4d993ae8d04d75b757dd072618e905d23595f65251"

FS = beats.RECORDED_FS  # Hz, of the records
GAIN, BASELINE, UNIT = 200, 1024, "mV"  # of both leads of every record
NO_SAMPLE = -(2**11)  # WFDB format 212 writes this where a sample is missing

LABELS = "mitdb 1.0.0 .atr, AAMI classes of de Chazal 2004"
MEND = "run `ecgadv data fetch mitdb`, then `ecgadv data prepare mitdb`"
NOTE = (
    "MIT-BIH Arrhythmia Database 1.0.0, first lead (MLII in 45 of 48 records), cut by the rule "
    "that gives the rows of the Kaggle heartbeat csv bit for bit: every third sample of 360 Hz, "
    "so 120 Hz, min-max normalised per beat. Records 201 and 202 are the same subject."
)


@dataclass(frozen=True)
class Record:
    """One record: its first lead and all its annotations."""

    name: str
    signal: np.ndarray  # (T,) int, A/D counts about the baseline, 360 Hz
    gain: float  # counts per millivolt
    samples: np.ndarray  # (n,) int64, where the annotations stand, at 360 Hz
    symbols: np.ndarray  # (n,) str, MIT-BIH annotation codes

    @property
    def is_beat(self):
        """Which annotations are beats, bool (n,)."""
        return np.isin(self.symbols, list(CLASS_OF))


def read_record(folder, name):
    """Read one record through wfdb and verify it.

    Args:
        folder: where NAME.hea, NAME.dat and NAME.atr lie.
        name: the record, such as "100".

    Raises:
        EcgadvError: a file is missing, truncated or corrupt, or a sample is missing.
    """
    path = Path(folder) / name
    mend = f"delete {path}.* and run `ecgadv data fetch mitdb` again"
    for suffix in ("hea", "dat", "atr"):
        if not Path(f"{path}.{suffix}").is_file():
            raise EcgadvError(f"record {name}: {path}.{suffix} is missing: {mend}")
    # wfdb parses a truncated annotation file without a word; a whole one ends in a zero word.
    if not Path(f"{path}.atr").read_bytes().endswith(b"\0\0"):
        raise EcgadvError(f"record {name}: {path}.atr is truncated: {mend}")
    try:
        record, annotation = _parse(path)
    except DAMAGED as error:
        raise EcgadvError(f"record {name} cannot be read ({why(error)}): {mend}") from error
    _verify(record, annotation, name, mend)
    found = Record(
        name=name,
        signal=record.d_signal[:, 0].astype(np.int64) - record.baseline[0],
        gain=float(record.adc_gain[0]),
        samples=annotation.sample.astype(np.int64),
        symbols=np.array(annotation.symbol),
    )
    if found.is_beat.sum() < 2:
        n = found.is_beat.sum()
        raise EcgadvError(f"record {name} has {n} annotated beats, needs 2: {mend}")
    return found


def _parse(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wfdb 4.3.1 on pandas 3
        import wfdb

        return wfdb.rdrecord(str(path), physical=False), wfdb.rdann(str(path), "atr")


def _verify(record, annotation, name, mend):
    """Raise EcgadvError unless the signals match the header and the annotations fit the signal."""
    if record.d_signal is None:
        raise EcgadvError(f"record {name} has no signals, by its header: {mend}")
    for stated in zip(record.adc_gain, record.baseline, record.units, strict=True):
        if stated != (GAIN, BASELINE, UNIT):
            raise EcgadvError(
                f"record {name} has gain, baseline and unit {stated}, expected "
                f"{(GAIN, BASELINE, UNIT)}: {mend}"
            )
    if record.fs != FS:
        raise EcgadvError(f"record {name} has {record.fs} Hz, expected {FS}: {mend}")
    if len(record.d_signal) != record.sig_len:
        raise EcgadvError(
            f"record {name} has {len(record.d_signal)} samples, its header says "
            f"{record.sig_len}: {mend}"
        )
    if None in record.checksum:
        raise EcgadvError(
            f"record {name}: its header gives no checksum, so it is cut short: {mend}"
        )
    # rdrecord only parses the checksum; a header may write it signed or not.
    for found, stated in zip(record.calc_checksum(), record.checksum, strict=True):
        if (found - stated) % 2**16:
            raise EcgadvError(
                f"record {name}: signal checksum is {found % 2**16}, its header says "
                f"{stated % 2**16}: {mend}"
            )
    if (record.d_signal[:, 0] == NO_SAMPLE).any():
        raise EcgadvError(f"record {name} has missing samples (NaN) in its first lead: {mend}")
    samples = annotation.sample
    if not len(samples) or samples[0] < 0 or samples[-1] >= record.sig_len:
        raise EcgadvError(f"record {name}: annotations do not fit its signal: {mend}")
    if (np.diff(samples) < 0).any():
        raise EcgadvError(f"record {name}: annotations are not in order of time: {mend}")


def cut_beats(record):
    """Cut the rows of one record: of every beat but one that is its last annotation.

    Returns:
        dict: what `beats.cut` gives, and for every row `y`, `record` and `gain` (counts/mV).
    """
    found = beats.cut(record.signal, record.samples, record.is_beat)
    n = len(found["length"])
    return {
        **found,
        "y": np.array(
            [CLASS_OF[symbol] for symbol in record.symbols[found["annotation"]]], np.uint8
        ),
        "record": np.full(n, record.name),
        "gain": np.full(n, record.gain, np.float32),
    }


def prepare(raw_dir, out, *, progress=None):
    """Read the 48 records of `raw_dir` and write the prepared cache `out`.

    Args:
        raw_dir: folder with the WFDB files.
        out: the .npz to write.
        progress: called with each record's name when it is done.

    Returns:
        dict: `annotations`, `beats` (annotated), `kept` and `classes` ({class: beats kept}).

    Raises:
        EcgadvError: a record is missing or corrupt, or the beats are not those of the database.
    """
    parts, annotated, beat_count = [], 0, 0
    for name in RECORDS:
        record = read_record(raw_dir, name)
        parts.append(cut_beats(record))
        annotated += len(record.symbols)
        beat_count += int(record.is_beat.sum())
        if progress is not None:
            progress(name)
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    classes = class_counts(arrays["y"], CLASSES)
    if classes != TOTALS:
        raise EcgadvError(
            f"the annotations in {raw_dir} give {classes}, expected {TOTALS}: "
            "delete its .atr files and run `ecgadv data fetch mitdb` again"
        )
    mend = f"delete the .hea, .dat and .atr files in {raw_dir} and {MEND}"
    cache.check(arrays, expected=ARRAYS, source=raw_dir, mend=mend)
    counts = {"annotations": annotated, "beats": beat_count, "kept": len(arrays["y"])}
    cache.write(out, arrays, {"name": "mitdb", "labels": LABELS, **counts})
    return {**counts, "classes": classes}


def load(path):
    """The prepared MIT-BIH beats as a Dataset of (109446, 1, 187); needs numpy alone.

    Raises:
        EcgadvError: the cache is missing, damaged or not of MIT-BIH beats as they are cut now.
    """
    arrays, _ = cache.read(path, name="mitdb", mend=MEND)
    cache.check(arrays, expected=ARRAYS, source=path, mend=MEND)
    return beats.assemble(arrays, name="mitdb", labels=LABELS, note=NOTE)
