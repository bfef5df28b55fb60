"""What of this machine a text gives away: its name, and folders of its disk.

Both are looked for as such: a machine called `h1` is not the heading `<h1>`, and a folder /code
is neither `</code>` nor the end of an address.
"""

import html
import json
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

# What goes before a name or a path if it is a part of a longer one, or of a tag.
_BEFORE = r"(?<![\w.<~/-])"
# What may go before it all the same: what begins an address, and an escaped break of a line.
_BEGINS = r"(?<=://)|(?<=\\[nrt])"
_TAG_END = r"(?<!</)"
_AFTER = r"(?![\w-]|\.\w)"


def homes() -> list[Path]:
    """Return the home folder of who runs this; a user of a container may have none."""
    try:
        return [Path.home()]
    except RuntimeError:
        return []


def hosts() -> list[str]:
    """Return the machine's names, the full and the short one.

    A name of letters alone, such as "laptop" or "runner", is also a word, and one of digits alone
    also a number: these are left out.
    """
    full = socket.gethostname()
    names = dict.fromkeys((full, full.partition(".")[0]))
    return [name for name in names if not name.isalpha() and re.search(r"[^\W\d_]", name)]


def told(text: str, *, folders: Iterable[Path] = (), names: Iterable[str] = ()) -> list[str]:
    """Return the folders and names that a text holds.

    Args:
        text: what is to be published.
        folders: absolute paths, looked for as they are and as JSON, HTML and addresses spell them;
            the root of a disk is in every text, and is not looked for.
        names: of machines.
    """
    paths = [folder for folder in folders if folder != folder.parent]
    found = [str(path) for path in paths if any(_is_in(text, s) for s in _spellings(str(path)))]
    return found + [name for name in names if _is_in(text, name)]


def _is_in(text: str, token: str) -> bool:
    if token not in text:  # much faster, and mostly the case
        return False
    sign = re.escape(token)
    return re.search(rf"(?:{_BEFORE}|{_BEGINS}){_TAG_END}{sign}{_AFTER}", text) is not None


def _spellings(path: str) -> set[str]:
    return {path, json.dumps(path)[1:-1], html.escape(path), quote(path)}
