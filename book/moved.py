"""Leave a page at each address that has moved, which leads the reader on."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import yaml

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>This page has moved</title>
<script>
const anchors = {anchors};
location.replace(anchors[location.hash.slice(1)] || "{to}" + location.hash);
</script>
</head>
<body><main><h1>This page has moved</h1><p><a href="{to}">Go to the new page.</a></p></main></body>
</html>
"""


def leave(html: Path, listed: Path) -> None:
    """Write the pages of moved.yml.

    Args:
        html: the rendered book.
        listed: moved.yml.
    """
    for entry in yaml.safe_load(listed.read_text(encoding="utf-8")):
        old = PurePosixPath(entry["page"])
        anchors = {name: _link(old, to) for name, to in entry.get("anchors", {}).items()}
        text = PAGE.format(anchors=json.dumps(anchors), to=_link(old, entry["to"]))
        (html / f"{old}.html").write_text(text, encoding="utf-8")


def _link(old: PurePosixPath, to: str) -> str:
    """Return a link from the old page to `PAGE` or `PAGE#ANCHOR`."""
    page, hash, anchor = to.partition("#")
    return f"{'../' * (len(old.parts) - 1)}{page}.html{hash}{anchor}"
