"""Text that a notebook shows as part of its page."""

import re


def literal(text: str) -> str:
    """Return markdown that shows a stranger's text as it is: no tag, link or table of its own."""
    return re.sub(r"([!-/:-@[-`{-~])", r"\\\1", text)


class Markdown(str):
    """MyST markdown; a notebook cell that ends in one shows it as text of the page."""

    def _repr_markdown_(self) -> str:
        return str(self)
