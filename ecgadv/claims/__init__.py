"""The rules by which results become verdicts on what the papers claim.

`book/claims.yml` lists the claims with their rules in words, `book/reported.yml` the papers' own
numbers. A notebook judges a claim from records and saves the verdict; the front page collects them.
"""

from ecgadv.claims.finding import VERDICTS, Finding, Judgement
from ecgadv.claims.ledger import (
    NOT_RUN,
    NOT_TRANSCRIBED,
    cards,
    load_claims,
    publish,
    reported,
    save_fragment,
    statement,
)
from ecgadv.claims.rules import evidence, judge
from ecgadv.claims.stand_in import StandIn, stand_in

__all__ = [
    "NOT_RUN",
    "NOT_TRANSCRIBED",
    "VERDICTS",
    "Finding",
    "Judgement",
    "StandIn",
    "cards",
    "evidence",
    "judge",
    "load_claims",
    "publish",
    "reported",
    "save_fragment",
    "stand_in",
    "statement",
]
