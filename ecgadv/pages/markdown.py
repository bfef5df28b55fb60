"""Text that a notebook shows as part of its page, and which records a section of it shows."""

from collections.abc import Iterable, Sequence

from ecgadv.results.records import Results
from ecgadv.results.result import Result


class Markdown(str):
    """MyST markdown; a notebook cell that ends in one shows it as text of the page."""

    def _repr_markdown_(self) -> str:
        return str(self)


def used(
    results: Results, found: Sequence[Result], what: str, suite: str, sample: str = ""
) -> Markdown:
    """Say which records a section shows, and how their runs differ from the paper's.

    Args:
        results: where they come from.
        found: those that are shown.
        what: the beginning of the text, in bold.
        suite: whose command makes them where there are none.
        sample: what to say of their test examples.
    """
    if not found:
        command = f"`ecgadv run {suite} --profile {results.profile}`"
        return Markdown(f"**{what}: not run.** {command} makes these results.")
    records = [record for result in found for record in result.records]
    released = sum(results.released(record) for record in records)
    data = records[0].run["data"]
    lines = [
        f"**{what}**: {len(found)} configurations, {len(records)} records, {released} of them "
        f"released with the book and {len(records) - released} made here; data `{data['name']}` "
        f"`{data['fingerprint'][:12]}`{sample}."
    ]
    if differs := differences(found):
        lines += ["", "How these runs differ from the paper:", "", differs]
    return Markdown("\n".join(lines))


def differences(results: Iterable[Result]) -> str:
    """Return how the configs differ from the paper's protocol, as a markdown list."""
    lines = dict.fromkeys(line for result in results for line in result.config["differs"])
    return "\n".join(f"* {line}" for line in lines)
