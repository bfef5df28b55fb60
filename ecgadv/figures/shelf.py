"""Find and copy the citable figures that a build of the book has made."""

import shutil
from pathlib import Path

from ecgadv.errors import EcgadvError
from ecgadv.figures.citable import FORMATS


def registered(registry: Path) -> list[dict[str, str]]:
    """Return the entries of book/figures.yml: id, notebook and title."""
    import yaml

    if not registry.exists():
        raise EcgadvError(f"no {registry} here; run this in a checkout of the repository")
    return yaml.safe_load(registry.read_text(encoding="utf-8"))


def listing(registry: Path, made: Path) -> list[str]:
    """Return one line a figure: its id, title, notebook, and whether it is there."""
    entries = registered(registry)
    width = max(len(entry["id"]) for entry in entries)
    return [
        f"{entry['id']:{width}}  {'made' if not _missing(entry['id'], made) else 'not made'}  "
        f"{entry['notebook']}: {entry['title']}"
        for entry in entries
    ]


def copy(names: list[str], registry: Path, made: Path, out: Path) -> list[Path]:
    """Copy the five files of each figure and return their new paths.

    Raises:
        EcgadvError: a name that is not registered, or a figure that no build has made.
    """
    known = [entry["id"] for entry in registered(registry)]
    copied = []
    for name in names:
        if name not in known:
            raise EcgadvError(f"no figure {name!r}; `ecgadv figures` lists the {len(known)}")
        if missing := _missing(name, made):
            raise EcgadvError(f"{made / missing[0]} is not there; run `make book` first")
        out.mkdir(parents=True, exist_ok=True)
        for suffix in FORMATS:
            file = f"{name}.{suffix}"
            copied.append(Path(shutil.copyfile(made / file, out / file)))
    return copied


def _missing(name: str, made: Path) -> list[str]:
    return [f"{name}.{s}" for s in FORMATS if not (made / f"{name}.{s}").is_file()]
