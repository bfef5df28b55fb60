"""What the oddities of the authors' code change, as a table for the two protocol pages.

The chapters of results compute it from the records they show and save it; book/stage.py puts it
where the protocol pages include it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgadv.claims import save_fragment
from ecgadv.figures import Table
from ecgadv.figures.tables import ends
from ecgadv.markdown import Markdown
from ecgadv.results.estimate import Estimate

HEAD = ("row", "what is compared", "measure", "effect, points", "effect, bootstrap")
HEAD += ("effect, t over seeds", "n", "seeds", "see")


@dataclass(frozen=True)
class Effect:
    """One difference that an oddity makes.

    Args:
        row: the row of the protocol page, such as "A3".
        compared: the two sides in words, the first minus the second.
        measure: what differs, with the attack and its level.
        change: the difference, with its intervals.
        see: the figure or page that shows it, as a link.
    """

    row: str
    compared: str
    measure: str
    change: Estimate
    see: str

    @property
    def cells(self) -> tuple:
        """The cells of its row of the table."""
        found = self.change
        intervals = [ends(each.low, each.high) for each in (found.both, found.seeds)]
        numbers = (f"{found:points}", *intervals)
        sizes = (f"{found.both.n_examples:,}", found.both.n_seeds)
        return (self.row, self.compared, self.measure, *numbers, *sizes, self.see)


def figure(id: str) -> str:
    """Return a link to a figure that the same records made."""
    return f"{{numref}}`{id}`"


def fragment(effects: Sequence[Effect], rows: Sequence[str], profile: str) -> Markdown:
    """Return the table of the effects and the rows without one.

    Args:
        effects: those that the records give.
        rows: all rows of the protocol page.
        profile: of the records; the synthetic `demo` measures nothing.
    """
    effects = [] if profile == "demo" else effects
    rest = [row for row in rows if row not in {effect.row for effect in effects}]
    missing = f"**Not measured:** {', '.join(rest)}.\n" if rest else ""
    if not effects:
        return Markdown(missing)
    order = sorted(effects, key=lambda effect: rows.index(effect.row))
    lead = (
        f"Profile `{profile}`. Each effect is a difference in percentage points, the first side "
        "minus the second, with two 95 % intervals: the two-level bootstrap over seeds and test "
        "examples, and Student's t over seeds. Where an interval includes 0, the records do not "
        "show that the row matters.\n"
    )
    columns = zip(*(effect.cells for effect in order), strict=True)
    table = Table(dict(zip(HEAD, columns, strict=True)))
    return Markdown("\n".join([lead, table._repr_markdown_(), missing]))


def publish(
    effects: Sequence[Effect], rows: Sequence[str], *, profile: str, page: str, out: str | Path
) -> Markdown:
    """Save the table for a protocol page and say where it stands.

    Args:
        effects, rows, profile: see `fragment`.
        page: the protocol page, such as protocol-a; the fragment is named after it.
        out: the notebook's output folder.
    """
    save_fragment(f"effects-{page}", fragment(effects, rows, profile), out=out)
    return Markdown(
        "What single oddities of the authors' code change, as far as these records measure it, is "
        f"the table at the end of {{doc}}`/{page}`."
    )
