"""`ecgadv figures`: list the citable figures, or copy some."""

from pathlib import Path

from ecgadv.cli import arguments

EXAMPLES = """\
A figure is five files: SVG, PNG and PDF drawings, a CSV of what is plotted, and a JSON with caption
and provenance. `make book` makes them.

examples:
  ecgadv figures                                    list the citable figures
  ecgadv figures fig-data-beats --out my-paper      copy the files of one
"""


def add(commands):
    """`ecgadv figures [ID ...]`."""
    about = "list the citable figures, or copy some"
    parser = arguments.add_command(commands, "figures", about=about, epilog=EXAMPLES)
    parser.add_argument("ids", metavar="ID", nargs="*", help="figures to copy (default: list all)")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="where to")
    parser.set_defaults(action=_figures)


def _figures(options):
    from ecgadv.figures import shelf

    registry, made = Path("book/figures.yml"), Path("_build/executed/figures")
    if options.ids:
        print("\n".join(map(str, shelf.copy(options.ids, registry, made, options.out))))
    else:
        print("\n".join(shelf.listing(registry, made)))
