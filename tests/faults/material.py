"""What the campaign damages: a few recordings, and what is prepared of them.

They are real where $ECGADV_TEST_PHYSIONET has them, laid out as PhysioNet's files/ are, and made
elsewhere. Databases of so few recordings are pinned as the whole ones are.
"""

import hashlib
import io
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import sums
from loopback import with_sums

from ecgadv.data import cache, catalogue, cinc2017, mitbih

REAL = "ECGADV_TEST_PHYSIONET"
BEATS = ("100", "118")
SHORT = tuple(f"A{number:05d}" for number in range(1, 13))


def real() -> bool:
    """Return whether the recordings are real ones."""
    return bool(os.environ.get(REAL))


def mitdb() -> dict[str, bytes]:
    """Return the files of two records of MIT-BIH by name."""
    if folder := os.environ.get(REAL):
        path = Path(folder) / catalogue.source("mitdb").path
        names = [f"{name}.{kind}" for name in BEATS for kind in ("hea", "dat", "atr")]
        return {name: (path / name).read_bytes() for name in names}
    return {name: content for record in BEATS for name, content in _made_beats(record).items()}


def _made_beats(record: str) -> dict[str, bytes]:
    """Return half a minute of spikes and their annotations, as wfdb writes them."""
    import wfdb

    rng = np.random.default_rng(int(record))
    signal = 1024 + rng.integers(-20, 20, (11_000, 2))
    peaks = np.cumsum(rng.integers(250, 400, 25))
    signal[peaks] += 300
    about = {"fs": 360, "units": ["mV"] * 2, "sig_name": ["MLII", "V1"], "fmt": ["212"] * 2}
    gains = {"adc_gain": [200] * 2, "baseline": [1024] * 2}
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrsamp(record, d_signal=signal, write_dir=folder, **about, **gains)
        symbols = np.resize(list("NNNVNAF/"), len(peaks))
        wfdb.wrann(record, "atr", peaks, symbols, write_dir=folder)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def challenge() -> dict[str, bytes]:
    """Return an archive of twelve recordings of the 2017 challenge, and their labels."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in _recordings().items():
            packed.writestr(zipfile.ZipInfo(f"training2017/{name}"), content)
    lines = "".join(f"{name},{cinc2017.SYMBOLS[n % 4]}\n" for n, name in enumerate(SHORT))
    return {cinc2017.ARCHIVE: archive.getvalue(), "REFERENCE-v3.csv": lines.encode()}


def _recordings() -> dict[str, bytes]:
    if folder := os.environ.get(REAL):
        path = Path(folder) / catalogue.source("challenge-2017").path / cinc2017.ARCHIVE
        with zipfile.ZipFile(path) as archive:
            names = [f"{name}.{kind}" for name in SHORT for kind in ("hea", "mat")]
            return {name: archive.read(f"training2017/{name}") for name in names}
    made, rng = {}, np.random.default_rng(0)
    for name in SHORT:
        counts = rng.integers(-900, 900, rng.integers(2700, 9100)).astype("<i2")
        lines = f"{name} 1 300 {len(counts)}\n{name}.mat 16+24 1000/mV 16 0 {counts[0]} 0 0 ECG\n"
        made[f"{name}.hea"] = lines.encode()
        prefix = struct.pack("<5i", 30, 1, len(counts), 0, 4) + b"val\0"
        made[f"{name}.mat"] = prefix + counts.tobytes()
    return made


def lay(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder, with a SHA256SUMS.txt of what they are now."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in with_sums(files).items():
        (folder / name).write_bytes(content)


@contextmanager
def pinned(root: Path) -> Iterator[None]:
    """Lay both databases under `root`, and let the package take them for the whole ones."""
    made = {"mitdb": mitdb(), "challenge-2017": challenge()}
    records = {"mitdb": BEATS, "challenge-2017": SHORT}
    with ExitStack() as stack:
        for name, files in made.items():
            known = catalogue.source(name)
            lay(root / known.path, files)
            source = replace(known, files=tuple(files), records=len(records[name]))
            stack.enter_context(patch.dict(catalogue.SOURCES, {name: source}))
        for module, name in ((mitbih, "mitdb"), (cinc2017, "challenge-2017")):
            stack.enter_context(patch.object(module, "RECORDS", records[name]))
            for field, value in _pins(module, root / catalogue.source(name).path).items():
                stack.enter_context(patch.object(module, field, value))
        yield


def _pins(module, folder: Path) -> dict[str, object]:
    """Return what a database's module knows of the true arrays, made of the files in `folder`."""
    if module is mitbih:
        y = [mitbih.cut_beats(mitbih.read_record(folder, name))["y"] for name in BEATS]
        counts = np.bincount(np.concatenate(y), minlength=len(mitbih.CLASSES))
        pins = {"TOTALS": dict(zip(mitbih.CLASSES, counts.tolist(), strict=True))}
    else:
        signals = b"".join(s.tobytes() for s in cinc2017.read_signals(folder, SHORT))
        labels = (folder / "REFERENCE-v3.csv").read_bytes()
        pins = {"SIGNALS": hashlib.sha256(signals).hexdigest()}
        pins["VERSIONS"] = {"v3": hashlib.sha256(labels).hexdigest()}
    seen = []
    with (
        patch.multiple(module, **pins),
        patch.object(cache, "check", lambda arrays, **_: seen.append(sums.of_arrays(arrays))),
    ):
        module.prepare(folder, folder / "unused.npz")
    (folder / "unused.npz").unlink()
    return pins | {"ARRAYS": seen[0]}
