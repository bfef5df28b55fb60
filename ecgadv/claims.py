"""What the papers claim and report, and what the records say of it.

`book/claims.yml` lists the claims, `book/reported.yml` the papers' own numbers. A notebook judges
a claim from records and saves the verdict; the book's front page collects them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ecgadv.errors import EcgadvError

NOT_RUN = "not run"
NOT_TRANSCRIBED = "not transcribed"
VERDICTS = ("supported", "partly supported", "not supported", "inconclusive")


def save_verdict(
    claim: str, *, verdict: str, evidence: str, page: str, profile: str, out: str | Path
) -> Path:
    """Write the verdict on one claim for the front page.

    Args:
        claim: its id in claims.yml.
        verdict: one of `VERDICTS`.
        evidence: what was measured and on what, then a paragraph or list with the numbers, n,
            seeds and intervals (MyST markdown).
        page: the page of the book that shows the evidence.
        profile: profile of the records behind it; the synthetic `demo` proves nothing.
        out: the notebook's output folder; the file goes to its `verdicts/`.

    Raises:
        EcgadvError: an unknown verdict, no evidence, or one that rests on synthetic beats.
    """
    if verdict not in VERDICTS:
        raise EcgadvError(f"verdict {verdict!r} on {claim}: use one of {', '.join(VERDICTS)}")
    if not evidence.strip():
        raise EcgadvError(f"verdict on {claim} without evidence: give its numbers, n and interval")
    if profile == "demo":
        raise EcgadvError(f"verdict on {claim} from profile 'demo': judge real recordings only")
    path = Path(out) / "verdicts" / f"{claim}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = {"verdict": verdict, "evidence": evidence, "page": page, "profile": profile}
    path.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def save_fragment(name: str, text: str, *, out: str | Path) -> Path:
    """Write generated text (MyST markdown) that another page of the book includes.

    Args:
        name: the page includes `generated/NAME.md`.
        text: what it says.
        out: the notebook's output folder; the file goes to its `fragments/`.
    """
    path = Path(out) / "fragments" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load_claims(path: str | Path) -> list[dict[str, str]]:
    """Return the claims of claims.yml: `id`, `paper`, `text`, `source`."""
    import yaml

    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def ledger(claims: str | Path, verdicts: str | Path) -> str:
    """Return a MyST table of the claims and verdicts so far, and under it the evidence.

    Args:
        claims: claims.yml.
        verdicts: folder of the saved verdicts; a claim without one is "not run".

    Raises:
        EcgadvError: a verdict on a claim that the list does not have.
    """
    listed = load_claims(claims)
    folder = Path(verdicts)
    known = {claim["id"] for claim in listed}
    if strange := sorted(path.stem for path in folder.glob("*.json") if path.stem not in known):
        raise EcgadvError(f"verdicts on {', '.join(strange)}: the claims are {sorted(known)}")
    lines = [":::{list-table}", ":header-rows: 1", ":class: ledger", ":widths: auto", ""]
    rows, evidence = [("", "Claim", "Verdict")], []
    for claim in listed:
        row, shown = _row(claim, folder / f"{claim['id']}.json")
        rows.append(row)
        evidence += shown
    for row in rows:
        lines += [("* - " if number == 0 else "  - ") + cell for number, cell in enumerate(row)]
    return "\n".join([*lines, ":::", "", *evidence])


def reported(path: str | Path, **where: Any) -> float | str:
    """Return a number that a paper or its authors' code reports, or "not transcribed".

    Args:
        path: reported.yml.
        where: the fields that pick one entry, such as `paper="B", network="mlp"`.

    Raises:
        EcgadvError: no entry or more than one has these fields.
    """
    import yaml

    entries = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    found = [e for e in entries if all(e.get(name) == value for name, value in where.items())]
    if len(found) != 1:
        raise EcgadvError(f"{len(found)} entries of {Path(path).name} have {where}: pick one")
    value = found[0]["value"]
    return NOT_TRANSCRIBED if value is None else value


def _row(claim: dict[str, str], path: Path) -> tuple[tuple[str, str, str], list[str]]:
    """Return one row of the ledger, and the lines of its evidence."""
    said = f"{claim['text']} {{cite:p}}`{claim['paper']}`"
    if not path.exists():
        return (claim["id"], said, NOT_RUN), []
    found = json.loads(path.read_text(encoding="utf-8"))
    anchor = f"claim-{claim['id'].lower()}"
    lead, _, numbers = found["evidence"].partition("\n\n")
    lead += f" Profile `{found['profile']}`; see {{doc}}`/{found['page']}`."
    lines = [f"({anchor})=", f"**{claim['id']}, {found['verdict']}.** {lead}", "", numbers, ""]
    return (claim["id"], said, f"[**{found['verdict']}**](#{anchor})"), lines
