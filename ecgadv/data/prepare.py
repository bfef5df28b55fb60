"""From raw recordings to the prepared cache, by the dataset's name."""

from functools import partial
from pathlib import Path

from filelock import FileLock

from ecgadv.data import catalogue, cinc2017, cpsc2018, data_root, mitbih, ptbxl, verify
from ecgadv.errors import EcgadvError

READERS = {
    "mitdb": mitbih.prepare,
    "challenge-2017": cinc2017.prepare,
    "cpsc2018": cpsc2018.prepare,
    **{name: partial(ptbxl.prepare, name=name) for name in ptbxl.RATES},
}


def prepare(name, *, root=None):
    """Write root/prepared/NAME.npz from the raw files below `root`.

    Args:
        name: one of READERS.
        root: folder of the recordings; `data_root()` if None.

    Returns:
        Lines of text on what was written.

    Raises:
        EcgadvError: no reader for this dataset; raw files are missing or damaged.
    """
    if name not in READERS:
        raise EcgadvError(
            f"'{name}' cannot be prepared: use one of {', '.join(READERS)}; what is synthetic "
            "and kaggle need no preparing"
        )
    source = catalogue.source(name)
    root = Path(data_root() if root is None else root)
    folder, cache = root / source.path, root / "prepared" / f"{name}.npz"
    if name == "cpsc2018" and not folder.is_dir() and (root / cpsc2018.ICBEB).is_dir():
        folder = root / cpsc2018.ICBEB  # nobody publishes sums of the organisers' form
    else:
        _check_raw(source, folder)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_name(f".{name}.lock")), _bar(source.records) as bar:
        found = READERS[name](folder, cache, progress=lambda record: bar.update())
    classes = ", ".join(f"{label} {n:,}" for label, n in found.pop("classes").items())
    counts = ", ".join(f"{n:,} {what}" for what, n in found.items())
    return [
        f"{name}: {counts} ({classes})",
        f"written to {cache} ({cache.stat().st_size / 1e6:.1f} MB)",
    ]


def _check_raw(source, folder):
    """Raise EcgadvError if the published sums are not there, or a file does not match them."""
    mend = f"run `ecgadv data fetch {source.name}`"
    if not folder.is_dir():
        raise EcgadvError(f"no recordings in {folder}: {mend}")
    if problem := verify.missing_sums(folder, source=source):
        raise EcgadvError(f"{problem}, so nothing can be verified: {mend}, which repairs it")
    checks, _ = verify.manifest(source, folder)
    damaged = verify.unsound(folder, checks)
    if damaged:
        raise EcgadvError(
            f"{len(damaged)} of {len(checks)} files in {folder} are missing or not as published, "
            f"such as {damaged[0]}: {mend}, which repairs them"
        )


def _bar(records):
    from tqdm import tqdm

    return tqdm(total=records, desc="prepare", unit="record", disable=None)
