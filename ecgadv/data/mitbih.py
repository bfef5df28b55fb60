"""MIT-BIH Arrhythmia Database: WFDB records to beats in the form of the Kaggle heartbeat csv.

The database: Moody & Mark, IEEE Eng. Med. Biol. 20(3), 2001. The form of a beat: Kachuee et al.,
arXiv:1805.00794, section III-A, and the rows of the csv that its authors published.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgadv.data import cache
from ecgadv.data.dataset import Dataset
from ecgadv.errors import EcgadvError

RECORDS = tuple(
    str(number)
    for number in (
        *(100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 111, 112, 113, 114, 115, 116),
        *(117, 118, 119, 121, 122, 123, 124, 200, 201, 202, 203, 205, 207, 208, 209, 210),
        *(212, 213, 214, 215, 217, 219, 220, 221, 222, 223, 228, 230, 231, 232, 233, 234),
    )
)
CLASSES = ("N", "S", "V", "F", "Q")

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

FS_RECORD, FS = 360, 125
UP, DOWN = 25, 72  # 125 Hz / 360 Hz
WINDOW = 10 * FS_RECORD
STRETCH = 1.2  # a beat spans this many median RR intervals
LENGTH = 187
SEARCH = 1  # samples at 125 Hz between the annotation and the peak it marks
NO_SAMPLE = -(2**11)  # WFDB format 212 writes this where a sample is missing

LABELS = "mitdb 1.0.0 .atr, AAMI classes of de Chazal 2004"
MEND = "run `ecgadv data fetch mitdb`, then `ecgadv data prepare mitdb`"
NOTE = (
    "MIT-BIH Arrhythmia Database 1.0.0, first lead (MLII in 45 of 48 records), resampled from "
    "360 to 125 Hz per record, min-max normalised per beat. Records 201 and 202 are the same "
    "subject."
)


@dataclass(frozen=True)
class Record:
    """One record: its first lead and its annotated beats."""

    name: str
    signal: np.ndarray  # (T,) int, A/D counts about the baseline, 360 Hz
    gain: float  # counts per millivolt
    r_peaks: np.ndarray  # (n,) int64, samples at 360 Hz
    symbols: np.ndarray  # (n,) str, MIT-BIH beat codes
    annotations: int  # all annotations, beats or not


def read_record(folder, name):
    """Read one record through wfdb and verify it.

    Args:
        folder: where NAME.hea, NAME.dat and NAME.atr lie.
        name: the record, such as "100".

    Raises:
        EcgadvError: a file is missing, truncated or corrupt, or a sample is missing.
    """
    import wfdb

    path = Path(folder) / name
    mend = f"delete {path}.* and run `ecgadv data fetch mitdb` again"
    for suffix in ("hea", "dat", "atr"):
        if not Path(f"{path}.{suffix}").is_file():
            raise EcgadvError(f"record {name}: {path}.{suffix} is missing: {mend}")
    try:
        record = wfdb.rdrecord(str(path), physical=False)
        annotation = wfdb.rdann(str(path), "atr")
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise EcgadvError(f"record {name} cannot be read ({_line(error)}): {mend}") from error
    _verify(record, annotation, name, mend)
    symbols = np.array(annotation.symbol)
    beats = np.isin(symbols, list(CLASS_OF))
    return Record(
        name=name,
        signal=record.d_signal[:, 0].astype(np.int64) - record.baseline[0],
        gain=float(record.adc_gain[0]),
        r_peaks=annotation.sample[beats].astype(np.int64),
        symbols=symbols[beats],
        annotations=len(symbols),
    )


def _line(error):
    return " ".join(str(error).split()) or type(error).__name__


def _verify(record, annotation, name, mend):
    """Raise EcgadvError unless the signals match the header and the annotations fit the signal."""
    if record.fs != FS_RECORD:
        raise EcgadvError(f"record {name} has {record.fs} Hz, expected {FS_RECORD}: {mend}")
    if len(record.d_signal) != record.sig_len:
        raise EcgadvError(
            f"record {name} has {len(record.d_signal)} samples, its header says "
            f"{record.sig_len}: {mend}"
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
    if len(samples) < 2 or samples[0] < 0 or samples[-1] >= record.sig_len:
        raise EcgadvError(f"record {name}: annotations do not fit its signal: {mend}")
    if (np.diff(samples) < 0).any():
        raise EcgadvError(f"record {name}: annotations are not in order of time: {mend}")


def resample(signal):
    """A whole record from 360 to 125 Hz, rounded to A/D counts: (T,) int -> (ceil(T*25/72),) int.

    Polyphase, over the record and not over 10 s windows, so that no window edge rings.
    """
    from scipy.signal import resample_poly

    return np.rint(resample_poly(signal.astype(np.float64), UP, DOWN)).astype(np.int64)


def window_rr(r_peaks):
    """Median RR interval of the 10 s window each beat starts in: (n,) -> (n - 1,) samples.

    An interval belongs to the window of its first beat; the last beat has none and is dropped, as
    the csv drops it.
    """
    intervals = np.diff(r_peaks)
    windows = r_peaks[:-1] // WINDOW
    median = np.empty(len(intervals))
    for window in np.unique(windows):
        inside = windows == window
        median[inside] = np.median(intervals[inside])
    return median


def cut_beats(record):
    """Cut one record into beats.

    Args:
        record: a Record with n beats.

    Returns:
        dict of arrays for the n - 1 beats that have a successor: `counts`, uint16, all beats end to
        end, each less its own minimum; `length` and `range` (n - 1,), a beat's samples and its
        maximum count; `y`, `record`, `onset` (R sample at 360 Hz) and `gain` (counts/mV).
    """
    signal = resample(record.signal)
    onset = record.r_peaks[:-1]
    length = np.rint(STRETCH * window_rr(record.r_peaks) * UP / DOWN).astype(np.int64)
    pieces = []
    for r, n in zip(onset, np.minimum(length, LENGTH), strict=True):
        start = _peak(signal, round(int(r) * UP / DOWN))
        piece = signal[start : start + max(n, 1)]
        pieces.append(piece - piece.min())
    return {
        "counts": np.concatenate(pieces).astype(np.uint16),
        "length": np.array([len(piece) for piece in pieces], np.uint8),
        "range": np.array([piece.max() for piece in pieces], np.uint16),
        "y": np.array([CLASS_OF[symbol] for symbol in record.symbols[:-1]], np.uint8),
        "record": np.full(len(onset), record.name),
        "onset": onset.astype(np.int32),
        "gain": np.full(len(onset), record.gain, np.float32),
    }


def _peak(signal, r):
    """The highest sample within SEARCH of r: annotations stand about, not on, the resampled peak.

    With it the median beat starts at its maximum, as the rows of the csv do (without: at 0.976).
    """
    first = max(min(r, len(signal) - 1) - SEARCH, 0)
    return first + int(np.argmax(signal[first : r + SEARCH + 1]))


def prepare(raw_dir, out, *, progress=None):
    """Read the 48 records of `raw_dir` and write the prepared cache `out`.

    Args:
        raw_dir: folder with the WFDB files.
        out: the .npz to write.
        progress: called with each record's name when it is done.

    Returns:
        dict: `annotations`, `beats` (annotated), `kept` and `classes` ({class: beats kept}).

    Raises:
        EcgadvError: a record is missing or corrupt, or the class totals are not the published ones.
    """
    parts, annotations, beats = [], 0, 0
    for name in RECORDS:
        record = read_record(raw_dir, name)
        parts.append(cut_beats(record))
        annotations += record.annotations
        beats += len(record.symbols)
        if progress is not None:
            progress(name)
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    found = np.bincount(arrays["y"], minlength=len(CLASSES))
    classes = {name: int(n) for name, n in zip(CLASSES, found, strict=True)}
    if classes != TOTALS:
        raise EcgadvError(
            f"the annotations in {raw_dir} give {classes}, expected {TOTALS}: "
            "delete its .atr files and run `ecgadv data fetch mitdb` again"
        )
    counts = {"annotations": annotations, "beats": beats, "kept": len(arrays["y"])}
    cache.write(out, arrays, {"name": "mitdb", "labels": LABELS, **counts})
    return {**counts, "classes": classes}


def load(path):
    """The prepared MIT-BIH beats as a Dataset of (109446, 1, 187); needs numpy alone.

    Raises:
        EcgadvError: the cache is missing, damaged or not of MIT-BIH beats.
    """
    arrays, meta = cache.read(path, mend=MEND)
    if meta.get("name") != "mitdb":
        raise EcgadvError(f"{path} holds {meta.get('name')!r}, expected 'mitdb': {MEND}")
    return assemble(arrays, labels=meta["labels"])


def assemble(arrays, *, labels=LABELS):
    """A Dataset from the arrays of `cut_beats`: x = counts / range, exactly, padded to 187."""
    length = arrays["length"].astype(np.int64)
    # A flat beat has range 0; it becomes all zeros, and its unit one A/D count.
    span = np.maximum(arrays["range"], 1).astype(np.float32)
    x = np.zeros((len(length), 1, LENGTH), np.float32)
    inside = np.arange(LENGTH) < length[:, None, None]
    x[inside] = arrays["counts"].astype(np.float32) / np.repeat(span, length)
    return Dataset(
        name="mitdb",
        x=x,
        y=arrays["y"],
        length=length,
        record=arrays["record"],
        onset=arrays["onset"],
        unit_mv=span / arrays["gain"],
        classes=CLASSES,
        fs=float(FS),
        unit="normalised",
        labels=labels,
        note=NOTE,
    )
