"""The claims and the papers' own numbers, and the verdicts as pages show them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecgadv.claims.finding import Judgement
from ecgadv.claims.reasons import capital
from ecgadv.errors import EcgadvError

NOT_RUN = "not run"
NOT_TRANSCRIBED = "not transcribed"


def load_claims(path: str | Path) -> list[dict[str, Any]]:
    """Return the claims of claims.yml: `id`, `paper`, `title`, `text`, `source`, `rule`."""
    import yaml

    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


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


def statement(claim: Mapping, judgement: Judgement | None) -> str:
    """Return a claim and its verdict with the reason, and folded the rule (MyST markdown)."""
    margin = f"{100 * claim['rule']['margin']:g}"
    verdict, reason = (judgement.verdict, judgement.reason) if judgement else (NOT_RUN, "")
    lines = [
        f"> {claim['text']} {{cite:p}}`{claim['paper']}`",
        "",
        f"**{capital(verdict)}.** {reason}".rstrip(),
        "",
    ]
    if judgement:
        lines += [f"**What would change it.** {judgement.outlook}", ""]
    rule = claim["rule"]["text"].replace("{margin}", margin)
    return "\n".join([*lines, f":::{{dropdown}} The rule for {claim['id']}", rule, ":::", ""])


def publish(judgement: Judgement, *, out: str | Path) -> Path:
    """Write the verdict on one claim for the front page.

    Args:
        judgement: of `judge`.
        out: the notebook's output folder; the file goes to its `verdicts/`.
    """
    path = Path(out) / "verdicts" / f"{judgement.claim}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = {name: getattr(judgement, name) for name in ("verdict", "reason", "profile")}
    path.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def cards(claims: str | Path, verdicts: str | Path) -> str:
    """Return the claims with their verdicts and reasons, a card each (MyST markdown).

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
    lines = ["::::{grid} 1 1 2 2", ":gutter: 3", ""]
    for claim in listed:
        lines += _card(claim, folder / f"{claim['id']}.json")
    return "\n".join([*lines, "::::", ""])


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


def _card(claim: Mapping, path: Path) -> list[str]:
    """Return the lines of one card; its anchor is what older links to the front page name."""
    name = claim["id"]
    lines = [f":::{{grid-item-card}} {name}. {claim['title']}", f"(claim-{name.lower()})=", ""]
    if path.exists():
        saved = json.loads(path.read_text(encoding="utf-8"))
        link = f"[Evidence for {name}](#verdict-{name.lower()}), profile `{saved['profile']}`"
        lines += [f"**{capital(saved['verdict'])}.** {saved['reason']}", "", link]
    else:
        lines += [f"**{capital(NOT_RUN)}.**"]
    return [*lines, ":::", ""]
