"""Figures of the book: one style, a few drawings, and the files that make a figure citable."""

from ecgadv.figures.citable import (
    FORMATS,
    MIME,
    PROVENANCE,
    Saved,
    markdown,
    provenance_live,
    provenance_of,
    save,
)
from ecgadv.figures.drawings import bars, traces
from ecgadv.figures.style import look, style
from ecgadv.figures.tables import Table

__all__ = [
    "FORMATS",
    "MIME",
    "PROVENANCE",
    "Saved",
    "Table",
    "bars",
    "look",
    "markdown",
    "provenance_live",
    "provenance_of",
    "save",
    "style",
    "traces",
]
