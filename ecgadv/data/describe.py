"""A dataset in words for `ecgadv data info`: its files, counts, labels, hashes and splits."""

import hashlib
import re
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np

from ecgadv import data
from ecgadv.data import verify
from ecgadv.data.catalogue import SOURCES
from ecgadv.errors import EcgadvError

# Datasets that PhysioNet does not hold, each with where it comes from.
OTHERS = {
    "synthetic": "made in memory, not recorded from anybody",
    "synthetic-12": "made in memory, not recorded from anybody; twelve leads",
    "kaggle": "the heartbeat csv of paper B, which needs an account and is not fetched here",
}
SPLITS = {
    "challenge-2017": ("han", "han-validated", "han-selected"),
    "cpsc2018": ("authors",),
    "kaggle": ("kaggle",),
    "ptb-xl": ("folds",),
    "ptb-xl-500": ("folds",),
    "synthetic-12": ("folds",),
}
USUAL_SPLITS = ("beatwise", "interpatient")
WIDTH = 100


def describe(name, *, root=None):
    """What is known of a dataset, as lines of text.

    Args:
        name: a PhysioNet dataset, described as missing if it is not there, or one of OTHERS.
        root: folder of the recordings; `data_root()` if None.

    Raises:
        EcgadvError: no such dataset; its prepared cache or the csv is damaged, or there is no csv.
    """
    root = Path(data.data_root() if root is None else root)
    if name in OTHERS:
        return [f"{name}: {OTHERS[name]}", *_dataset(name, root)]
    if name not in SOURCES:
        raise EcgadvError(f"no dataset '{name}': use one of {', '.join([*SOURCES, *OTHERS])}")
    source = SOURCES[name]
    lines = [
        f"{name}: {source.title}",
        _line("cite", f"{source.citation}; Goldberger et al., Circulation 101(23), 2000"),
        _line("licence", source.licence),
        *_raw(source, root / source.path),
    ]
    cache = root / "prepared" / f"{name}.npz"
    if cache.is_file():
        return [*lines, f"prepared: {cache}", *_dataset(name, root)]
    return [*lines, f"prepared: no {cache}; `ecgadv data prepare {name}` writes it"]


def _line(key, text):
    return f"  {key:<10}{text}"


def _wrapped(key, text):
    """A line of text, broken at the width of the table."""
    return textwrap.wrap(_line(key, text), WIDTH, subsequent_indent=" " * 12)


def _raw(source, folder):
    """The files below `folder`: how many of those wanted are sound, and their labels."""
    checks, published = verify.manifest(source, folder)
    problem = verify.missing_sums(folder, source=source) if folder.is_dir() else None
    if problem is not None:
        return [f"raw: {problem}; `ecgadv data fetch {source.name}` repairs it"]
    if not checks:
        return [f"raw: nothing in {folder}; `ecgadv data fetch {source.name}` gets it"]
    unsound = verify.unsound(folder, checks)
    sound = sorted(set(checks) - set(unsound))
    size = sum((folder / name).stat().st_size for name in sound)
    by = verify.SUMS if published else "sizes and checksums in their headers"
    lines = [
        f"raw: {folder}",
        _line("files", f"{len(sound)} of {len(checks)}, {size / 1e6:.1f} MB, verified by {by}"),
    ]
    if unsound:
        mend = f"`ecgadv data fetch {source.name}` mends it"
        return [*lines, _line("damaged", f"{_some(unsound)} missing or not as published; {mend}")]
    lines.append(_line("sha256", f"{_digest(folder, sound)} (of their sums and names)"))
    return lines + _labels(source, folder, sound)


def _some(names):
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + more


def _digest(folder, names):
    """One hash for many files: of the lines that sha256sum would print for them."""
    lines = "".join(f"{verify.sha256(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def _labels(source, folder, names):
    """Records and label counts of the raw files, as far as they can be told without signals."""
    lines = []
    for name in names:
        if re.fullmatch(r"REFERENCE-v\d\.csv", name):
            rows = (folder / name).read_text(errors="replace").split()
            found = _counts(row.partition(",")[2] for row in rows)
            lines.append(_line(name[10:12], f"{found}, sha256 {verify.sha256(folder / name)}"))
    headers = [name for name in names if name.endswith(".hea")]
    if headers:
        there = f"{len(headers):,} of {source.records:,}"
        lines.append(_line("records", there + ("" if len(headers) == source.records else ": PART")))
    if source.groups:
        found = _counts(label for name in headers for label in _diagnoses(folder / name))
        lines.append(_line("labels", f"{found} (a record may have several)"))
    return lines


def _diagnoses(header):
    text = header.read_text(errors="replace")  # a comment may hold a name in Latin-1
    found = re.search(r"^# ?Dx: *(.+)$", text, re.MULTILINE)
    return found[1].strip().split(",") if found else ["none"]


def _counts(labels):
    return ", ".join(f"{label} {n:,}" for label, n in sorted(Counter(labels).items()))


def _dataset(name, root):
    """Counts, classes, labels, hash and splits of a dataset that can be loaded."""
    dataset = data.load(name, root=root)
    lines = [
        _line("x", f"{'x'.join(map(str, dataset.x.shape))} float32 at {dataset.fs:g} Hz"),
        _line("records", f"{len(np.unique(dataset.record))}"),
        _line("unit", f"{dataset.unit}: {_millivolts(dataset.unit_mv)}"),
        _line("labels", dataset.labels),
        _line("sha256", dataset.fingerprint),
        *_wrapped("note", dataset.note),
        _row("samples", [*dataset.classes, "all"]),
        _row("  all", _numbers(dataset, None)),
    ]
    for split_name in SPLITS.get(name, USUAL_SPLITS):
        split = data.split(dataset, split_name, seed=0)
        lines += _wrapped(f"{split_name}, seed {split.seed}: ", split.note)
        for part in ("train", "validation", "test"):
            lines.append(_row(f"    {part}", _numbers(dataset, getattr(split, part))))
    return lines


def _millivolts(unit_mv):
    """What one unit is in millivolts, in words."""
    if np.isnan(unit_mv).any():
        return "how many millivolts is not known"
    low, middle, high = np.percentile(unit_mv, [1, 50, 99])
    if unit_mv.min() == unit_mv.max():
        return f"1 is {middle:.3g} mV"
    return f"1 is {middle:.3g} mV (1 to 99 %: {low:.3g} to {high:.3g} mV)"


def _numbers(dataset, index):
    counts = list(dataset.counts(index).values())
    return [f"{n:,}" for n in (*counts, sum(counts))]


def _row(title, cells):
    return f"{title:<16}" + "".join(f"{cell:>9}" for cell in cells)
