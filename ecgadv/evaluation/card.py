"""The card of a report: the answer first, then what broke what, then whether to believe it.

A report is an `ecgadv.evaluation.report.Report`, which asks for its card.
"""

import html

import numpy as np


def lines(report) -> tuple[str, list[dict[str, str]], list[str]]:
    """Return the headline, a row for each level, and the lines below."""
    clean = report.accuracy()
    n, kind = len(report.right), "groups" if len(report.groups) else "examples"
    headline = f"{_percent(clean)} of {n} examples are read right without an attack."
    rows = []
    for level, eps in enumerate(report.eps):
        broken = report.breaker[level]
        by = [f"{name} {int((broken == k).sum())}" for k, name in enumerate(report.attacks)]
        row = {"eps": _budget(report, eps)}
        row["read right in the worst case"] = _percent(report.accuracy(eps))
        if not report.several:
            row["class-balanced"] = _percent(report.accuracy(eps, balanced=True))
        row["broken first by"] = ", ".join(e for e in by if not e.endswith(" 0")) or "none"
        rows.append(row)
    below = [_smallest(report), _spent(report), f"Intervals: 95 %, bootstrap over {kind}."]
    return headline, rows, [*below, *_checks(report), *report.about["notes"]]


def as_text(report) -> str:
    """Return the card as text."""
    headline, rows, below = lines(report)
    body = [f"  {name}: {value}" for row in rows for name, value in row.items()]
    return "\n".join([headline, *body, *below])


def as_html(report) -> str:
    """Return the card for a notebook."""
    headline, rows, below = lines(report)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(value)}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    said = "".join(f"<li>{html.escape(line)}</li>" for line in below)
    return (
        f'<div class="ecgadv-card"><p><strong>{html.escape(headline)}</strong></p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{said}</ul></div>"
    )


def _budget(report, eps: float) -> str:
    """Return a level of eps in words, with the median example's microvolts where they are known."""
    unit, known = report.about["unit"], np.isfinite(report.microvolts).all()
    if own := report.about.get("own_eps"):
        text = f"each one's own, {own[0]:g} to {own[1]:g} {unit}"
        return f"{text} (median {report.in_microvolts(eps):.3g} µV)" if known else text
    return f"{eps:g} {unit} ({report.in_microvolts(eps):.3g} µV)" if known else f"{eps:g} ({unit})"


def _percent(interval) -> str:
    ends = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    return f"{100 * interval.estimate:.1f} % ({ends})"


def _smallest(report) -> str:
    found = report.smallest[report.right]
    if not len(found) or not np.isfinite(np.median(found)):
        return "Less than half of what is read right was broken at any eps tried."
    of = " of its own" if "own_eps" in report.about else ""
    line = f"Half of what is read right breaks at eps {np.median(found):.3g}{of} or less"
    if np.isfinite(report.microvolts).all():
        volts = np.median(found * report.microvolts[report.right])
        line += f", {volts:.3g} µV"
    return line + "."


def _spent(report) -> str:
    # Not the seconds, which are in the table: the same evaluation prints the same card.
    forward, backward, _ = report.spent.sum(axis=(0, 1))
    return f"{forward:,.0f} forward and {backward:,.0f} backward passes of single examples."


def _checks(report) -> list[str]:
    """Say which checks of the attack failed."""
    n = len(report.indicators)
    if not report.failed:
        return [f"All {n} checks of the attack passed."]
    first = f"{len(report.failed)} of {n} checks failed: do not believe the accuracy above."
    return [first, *(f"FAILED: {i.name}, {100 * i.value:.1f} % of examples" for i in report.failed)]
