"""Text that a notebook shows as part of its page."""


class Markdown(str):
    """MyST markdown; a notebook cell that ends in one shows it as text of the page."""

    def _repr_markdown_(self) -> str:
        return str(self)
