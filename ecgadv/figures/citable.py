"""The five files that make a figure citable, and its entry in the book.

A figure `fig-x` is published as `fig-x.svg`, `.png` and `.pdf` (the drawing), `fig-x.csv` (what is
plotted) and `fig-x.json` (caption, alternative text, and the provenance of the numbers). The same
data give the same bytes.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgadv import machine
from ecgadv.errors import EcgadvError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf", "csv", "json")
MIME = "application/vnd.ecgadv.figure+json"

PROVENANCE = (
    "command",
    "commit",
    "config",
    "data",
    "device",
    "labels",
    "seeds",
    "versions",
)
CAPTION_WORDS = 60
_ID = re.compile(r"fig-[a-z0-9]+(-[a-z0-9]+)*")
_ABSOLUTE = re.compile(r"(?<![\w.:/~*-])/[\w.~-]+/|(?<!\w)[A-Za-z]:\\")


@dataclass(frozen=True)
class Saved:
    """A figure on disk; Jupyter shows its drawing, the book its whole entry."""

    id: str
    folder: Path

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what Jupyter displays, the drawing, and the id by which the book finds it."""
        png = (self.folder / f"{self.id}.png").read_bytes()
        described = json.loads((self.folder / f"{self.id}.json").read_text(encoding="utf-8"))
        bundle = {"image/png": png, "text/plain": described["alt"], MIME: {"id": self.id}}
        return bundle, {"image/png": {"width": 560}}


def save(
    fig: Figure,
    id: str,
    *,
    title: str,
    data: Mapping[str, Sequence[Any]],
    caption: str,
    alt: str,
    provenance: Mapping[str, Any],
    out: str | Path,
) -> Saved:
    """Write the five files of a figure and close it.

    Args:
        fig: the drawing.
        id: its stable name, `fig-` and lower-case words joined by hyphens; also its anchor.
        title: a few words, for the citation.
        data: what is plotted, named columns of equal length.
        caption: what it shows, with n, seeds, attack and the unit of eps (MyST markdown).
        alt: what a reader who cannot see it needs to know, in one paragraph of plain text.
        provenance: at least the fields of `PROVENANCE`, all of them JSON.
        out: the folder, made if missing.

    Returns:
        The saved figure, which a notebook cell can display.

    Raises:
        EcgadvError: a bad id, an empty text, a long caption, columns of unequal length, a
            provenance field that is missing, or a text in it with an absolute path or the name of
            this machine.
    """
    _check_texts(id, {"title": title, "caption": caption, "alt": alt})
    _check_provenance(id, provenance)
    rows = _rows(id, data)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "id": id,
        "title": title,
        "caption": " ".join(caption.split()),
        "alt": " ".join(alt.split()),
        "columns": list(data),
        "rows": len(rows),
        "provenance": dict(provenance),
    }
    _save_drawing(fig, id, folder)
    with (folder / f"{id}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([list(data), *rows])
    text = json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False, default=_plain)
    (folder / f"{id}.json").write_text(text + "\n", encoding="utf-8")
    return Saved(id, folder)


def _check_texts(id: str, texts: Mapping[str, str]) -> None:
    if not _ID.fullmatch(id):
        raise EcgadvError(f"figure id {id!r}: use 'fig-' and lower-case words joined by hyphens")
    for name, text in texts.items():
        if not text.strip() or "\n\n" in text.strip():
            raise EcgadvError(f"{name} of {id} is {text!r}: give it one paragraph of text")
    if (count := len(texts["caption"].split())) > CAPTION_WORDS:
        words = f"{CAPTION_WORDS} at the most, the rest is for the page"
        raise EcgadvError(f"caption of {id} has {count} words: {words}")


def _save_drawing(fig: Figure, id: str, folder: Path) -> None:
    """Write svg, png and pdf, the same bytes whenever they are written, and close the figure."""
    import matplotlib
    from matplotlib import pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": id}):
        fig.savefig(folder / f"{id}.svg", metadata={"Date": None})
        fig.savefig(folder / f"{id}.png", metadata={"Software": None})
        fig.savefig(folder / f"{id}.pdf", metadata={"CreationDate": None})
    plt.close(fig)


def provenance_of(records: Iterable[Any]) -> dict[str, Any]:
    """Collect the provenance of the records behind a figure.

    Args:
        records: `ecgadv.experiments` records; each has `key`, `seed` and `run`.

    Returns:
        The fields of `PROVENANCE`; one that differs between the records is a sorted list. What
        the runs took is in the records: the same numbers made again give the same bytes.

    Raises:
        EcgadvError: no record.
    """
    records = list(records)
    if not records:
        raise EcgadvError("a figure needs at least one record behind it: run its experiment first")
    runs = [record.run for record in records]
    return {
        "command": _one_or_all(run["command"] for run in runs),
        "commit": _one_or_all(run["commit"] + ("+" if run["dirty"] else "") for run in runs),
        "config": sorted(record.key for record in records),
        "data": _one_or_all(f"{run['data']['name']} {run['data']['fingerprint']}" for run in runs),
        "device": _one_or_all(run["device"] for run in runs),
        "labels": _one_or_all(run["data"]["labels"] for run in runs),
        "seeds": sorted({record.seed for record in records}),
        "versions": runs[0]["versions"],
    }


def provenance_live(
    environment: Mapping[str, Any], dataset: Any, *, seeds: Sequence[int], config: str
) -> dict[str, Any]:
    """Describe a figure that its notebook computes itself, from no record.

    Args:
        environment: what `ecgadv.experiments.provenance.environment` returns.
        dataset: the `ecgadv.data.Dataset` it is drawn from.
        seeds: every seed that the notebook uses for it.
        config: what was done, in a few words.
    """
    return {
        "command": "make book",
        "commit": environment["commit"] + ("+" if environment["dirty"] else ""),
        "config": config,
        "data": f"{dataset.name} {dataset.fingerprint}",
        "device": environment["device"],
        "labels": dataset.labels,
        "seeds": list(seeds),
        "versions": environment["versions"],
    }


def markdown(id: str, folder: str | Path, *, notebook: str, book: Mapping[str, str]) -> str:
    """Return the MyST markdown of a saved figure: drawing, caption, files, source, citation.

    Args:
        id: the figure's id, its anchor on the page and its name for `{numref}`.
        folder: where `save` put its files; the book serves them under `/figures`.
        notebook: path of the notebook that makes it, from the root of the book.
        book: for the citation, its `title`, `year`, and `edition`: version and commit.
    """
    described = json.loads((Path(folder) / f"{id}.json").read_text(encoding="utf-8"))
    source = described["provenance"]
    links = " · ".join(f"{{download}}`{f.upper()} </figures/{id}.{f}>`" for f in FORMATS)
    short = ", ".join(c[:9] for c in _listed(source["commit"]))
    data = ", ".join(name[:30] for name in _listed(source["data"]))
    seeds = ", ".join(map(str, source["seeds"]))
    return "\n".join(
        [
            f"::::{{figure}} /figures/{id}.svg",
            f":name: {id}",
            f":alt: {described['alt']}",
            ":class: dark-light citable",
            "",
            described["caption"],
            "::::",
            "",
            f":::{{dropdown}} Files, source and citation of `{id}`",
            f"Files: {links}",
            "",
            f"Made by {{download}}`{Path(notebook).name} <{notebook}>` from data `{data}` with "
            f"seeds {seeds} at commit {short}, by "
            + ", ".join(f"`{command}`" for command in _listed(source["command"]))
            + ".",
            "",
            f"Cite as: The ecgadv authors ({book['year']}). “{described['title']}”, figure `{id}` "
            f"of *{book['title']}*, {book['edition']}, from runs at commit {short}.",
            ":::",
        ]
    )


def _rows(id: str, data: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return the rows of the CSV."""
    columns = {name: [_plain(value) for value in values] for name, values in data.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths or min(lengths.values()) == 0 or len(set(lengths.values())) > 1:
        raise EcgadvError(f"data of {id} has lengths {lengths}: give columns of one length, not 0")
    return list(zip(*columns.values(), strict=True))


def _check_provenance(id: str, provenance: Mapping[str, Any]) -> None:
    missing = sorted(set(PROVENANCE) - set(provenance))
    if missing:
        raise EcgadvError(f"provenance of {id} lacks {', '.join(missing)}: add these fields")
    hosts = machine.hosts()
    for text in _texts(provenance):
        if _ABSOLUTE.search(text) or machine.told(text, names=hosts):
            raise EcgadvError(
                f"provenance of {id} holds {text!r}: use relative paths and no machine names"
            )


def _texts(value: Any) -> Iterable[str]:
    """Yield every text in nested JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _one_or_all(values: Iterable[str]) -> str | list[str]:
    distinct = sorted(set(values))
    return distinct[0] if len(distinct) == 1 else distinct


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Return numpy's scalars and arrays as Python's own, whose text is the shortest exact one."""
    return value.tolist() if hasattr(value, "tolist") else value
