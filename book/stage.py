"""Put sources, executed notebooks, figures and generated tables where the renderer reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml
from execute import emptied

from ecgadv import claims, figures
from ecgadv.experiments import provenance

PAGES = ("*.md", "*.bib")
# Pages of the repository that a page of the book includes.
INCLUDED = ("CHANGELOG.md", "CONTRIBUTING.md")
# What notebooks write for other pages.
FRAGMENTS = ("effects-protocol-a", "effects-protocol-b")
ANSWER = "fig-answer"  # the figure of the front page


def stage(
    book: Path,
    executed: Path,
    target: Path,
    *,
    notebooks: Path,
    registry: Sequence[dict[str, str]],
) -> None:
    """Make the renderer's source folder anew.

    Args:
        book: the chapters, the API reference and the assets, in the repository's root.
        executed: the executed notebooks, with `figures/`, `downloads/`, `verdicts/` and
            `fragments/`, `networks/`.
        target: the folder to make; what was there is removed.
        notebooks: the stripped notebooks, offered for download beside the executed ones.
        registry: the entries of figures.yml, which say what notebook makes which figure.
    """
    emptied(target)
    for pattern in PAGES:
        for page in sorted(book.glob(pattern)):
            shutil.copyfile(page, target / page.name)
    for folder in ("api", "assets"):
        shutil.copytree(book / folder, target / folder)
    for made in ("figures", "downloads"):
        if (executed / made).is_dir():
            shutil.copytree(executed / made, target / made)
    origin = {entry["id"]: entry["notebook"] for entry in registry}
    if (executed / "networks").is_dir():
        shutil.copytree(executed / "networks", target / "assets" / "networks")
    built = edition()
    script = f"window.edition = {json.dumps(built)};\n"
    (target / "assets" / "edition.js").write_text(script, encoding="utf-8")
    for notebook in sorted(executed.glob("*.ipynb")):
        (target / "sources").mkdir(exist_ok=True)
        shutil.copyfile(notebooks / notebook.name, target / "sources" / notebook.name)
        text = without_injected(json.loads(notebook.read_text(encoding="utf-8")))
        embed_figures(text, executed / "figures", origin=origin, book=built)
        (target / "notebooks").mkdir(exist_ok=True)
        (target / "notebooks" / notebook.name).write_text(json.dumps(text), encoding="utf-8")
    generate(book, executed, target / "generated")


def generate(book: Path, executed: Path, folder: Path) -> None:
    """Write what pages include: files of the repository, verdicts, and what notebooks wrote."""
    folder.mkdir()
    for name in INCLUDED:
        shutil.copyfile(book.parent / name, folder / name)
    texts = {"claims": claims.cards(book / "claims.yml", executed / "verdicts")}
    texts["answer"] = answer(executed / "figures")
    for name in FRAGMENTS:
        saved = executed / "fragments" / f"{name}.md"
        here = saved.exists()
        texts[name] = saved.read_text(encoding="utf-8") if here else f"*{claims.NOT_RUN}*\n"
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def answer(folder: Path) -> str:
    """Return the figure that answers the book's question, for the front page."""
    saved = folder / f"{ANSWER}.json"
    if not saved.exists():
        return f"*{claims.NOT_RUN}*\n"
    described = json.loads(saved.read_text(encoding="utf-8"))
    return "\n".join(
        [
            f":::{{figure}} /figures/{ANSWER}.svg",
            f":alt: {described['alt']}",
            ":class: dark-light citable",
            "",
            f"{described['caption']} Files and citation: {{numref}}`{ANSWER}`.",
            ":::",
        ]
    )


def without_injected(notebook: dict) -> dict:
    """Return the notebook without the cell by which the build tells it where to write."""
    cells = [
        cell
        for cell in notebook["cells"]
        if "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    return {**notebook, "cells": cells}


def edition() -> dict[str, str]:
    """Return title, year, and version and commit of the book, as citations give them."""
    title = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))["title"]
    cited = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
    commit, dirty = provenance.commit()
    version = f"version {cited['version']} at commit {commit[:9]}{' with changes' * dirty}"
    return {"title": title, "year": cited["date-released"][:4], "edition": version}


def embed_figures(
    notebook: dict, folder: Path, *, origin: dict[str, str], book: dict[str, str]
) -> None:
    """Replace each saved figure among a notebook's outputs by its numbered entry in the book."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            saved = output.get("data", {}).get(figures.MIME)
            if saved is not None:
                source = f"/sources/{origin[saved['id']]}"
                text = figures.markdown(saved["id"], folder, notebook=source, book=book)
                output["data"] = {"text/markdown": text}
                output["metadata"] = {}
