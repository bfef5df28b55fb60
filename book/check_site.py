"""Check rendered pages: every link, image and anchor exists, and no text names this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ecgadv import machine

# Loaded by the page itself; a link that the reader clicks may leave the book, these may not.
LOADING = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("sheet", "href"),
}


class _Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str, str]] = []
        self.anchors: set[str] = set()
        self.unnamed_images: list[str] = []
        self.objects: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {values[name] or "" for name in ("id", "name") if name in values}
        if tag == "link" and (values.get("rel") or "") in ("stylesheet", "preload", "icon"):
            tag = "sheet"
        for name in ("href", "src"):
            if name in values:
                self.links.append((tag, name, values[name] or ""))
        if tag == "img" and "alt" not in values:
            self.unnamed_images.append(values.get("src") or "")

    def handle_data(self, data: str) -> None:
        self.objects += re.findall(r"<[\w.]+ object(?: at \w+)?>", data)


def problems(site: Path, *, folders: Iterable[Path] = ()) -> list[str]:
    """Return a line for each thing that is wrong in a folder of rendered pages.

    Args:
        site: the folder; links are resolved inside it.
        folders: absolute paths that no published file may hold; nor may it the machine's name.
    """
    static = site / "_static"  # the theme's own files, its templates among them, which are no pages
    files = [path for path in sorted(site.rglob("*.html")) if not path.is_relative_to(static)]
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in files}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        # What a cell returned had nothing to show but its type.
        found += [f"{name}: shows {shown}" for shown in page.objects]
        found += [f"{name}: image without alt: {src}" for src in page.unnamed_images]
        for tag, attribute, target in page.links:
            if reason := _broken(site, pages, path, (tag, attribute), target):
                found.append(f"{name}: {reason}: {target}")
    return found + _leaks(site, static, list(folders))


def _broken(
    site: Path, pages: dict[Path, _Page], page: Path, where: tuple[str, str], target: str
) -> str:
    """Return what is wrong with one link, or an empty string."""
    parts = urlsplit(target)
    if parts.scheme in ("http", "https") or parts.netloc:
        return "loaded from the network" if where in LOADING else ""
    if parts.scheme in ("mailto", "data", "javascript"):
        return ""
    if parts.scheme or parts.path.startswith("/"):
        return "not relative to the page"
    aim = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
    if aim.is_dir():
        aim = aim / "index.html"
    if not aim.is_relative_to(site.resolve()) or not aim.is_file():
        return "no such file"
    aimed = pages.get(site / aim.relative_to(site.resolve()))
    if parts.fragment and aimed is not None and unquote(parts.fragment) not in aimed.anchors:
        return "no such anchor"
    return ""


def _leaks(site: Path, static: Path, folders: list[Path]) -> list[str]:
    """Return the files that name this machine or one of the folders."""
    found, hosts = [], machine.hosts()
    for path in sorted(p for p in site.rglob("*") if p.is_file() and not p.is_relative_to(static)):
        content = path.read_bytes()
        try:
            told = machine.told(content.decode(), folders=folders, names=hosts)
        except UnicodeDecodeError:  # a drawing, where a short name may stand by chance
            told = machine.told(content.decode("latin-1"), folders=folders)
        found += [f"{path.relative_to(site).as_posix()}: holds {text!r}" for text in told]
    return found
