"""What no setting of the theme mends in a rendered page."""

import re

UNITS = "%|[µm]?V|mm|k?Hz|ms|[kMG]B"
# What is no text, or text in which a blank counts.
_VERBATIM = re.compile(
    r"(<!--.*?-->|<(?:script|style|pre|code|textarea)\b.*?</(?:script|style|pre|code|textarea)>"
    r"|<[^>]*>)",
    re.DOTALL,
)


def mended(page: str) -> str:
    """Return a rendered page without what no setting of the theme mends."""
    # A list whose items have docutils' deprecated role is no list to a screen reader.
    page = page.replace('role="doc-biblioentry"', 'role="listitem"')
    # What reads "Search Ctrl+K" or "Show code cell source" must not be called otherwise.
    page = page.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    fold = '<summary><span class="toctree-toggle"'
    page = page.replace(fold, fold.replace(">", ' aria-label="Pages of this part">', 1))
    if 'class="math' not in page:  # 2.1 MB to draw formulas that the page does not have
        page = re.sub(r"\s*<script>window\.MathJax = .*?</script>", "", page)
        page = re.sub(r'\s*<script [^>]*src="[^"]*tex-svg\.js[^"]*"></script>', "", page)
    # 170 kB for the page that shows what a search has found; the others only lead there.
    if 'id="search-results"' not in page:
        own = r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>'
        page = re.sub(own, "", page)
    # The lines of a long signature are no list of definitions.
    page = re.sub(r"<dl>\s*((?:<dd>.*?</dd>\s*)+)</dl>", _lines, page, flags=re.DOTALL)
    field = r'(<button class="btn search-button-field [^>]*?) aria-label="[^"]*"'
    page = re.sub(field, r"\1", page)
    # 1.5 MB to draw the icons that the style sheet has as well.
    page = re.sub(r'\s*<script [^>]*src="[^"]*/fontawesome\.js[^"]*"></script>', "", page)
    # Else captions that begin with a number read "Figure 3 900 samples".
    number = r'(<span class="caption-number">(?:Figure|Table) [\d.]*\d) (?=</span>)'
    return unparted(re.sub(number, r"\1. ", page))


def unparted(page: str) -> str:
    """Return a page in whose text no line ends between a number and its unit or its name."""
    pieces = _VERBATIM.split(page)  # text, what is not, text, ...
    for number in range(0, len(pieces), 2):
        text = re.sub(rf"(?<=\d)\s(?=(?:{UNITS})(?!\w))", "\u00a0", pieces[number])
        text = re.sub(r"\b([nT])\s=\s(?=\d)", "\\1\u00a0=\u00a0", text)
        pieces[number] = re.sub(r"\b(eps|beta|lambda)\s(?=\d)", "\\1\u00a0", text)
    return "".join(pieces)


def _lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")
    return f'<div class="sig-lines">{lines}</div>'
