"""The ledger of claims and the papers' own numbers."""

from dataclasses import replace
from pathlib import Path

import pytest

from ecgadv import claims
from ecgadv.errors import EcgadvError

BOOK = Path(__file__).parents[1] / "book"
JUDGED = claims.Judgement(
    claim="B1",
    verdict="partly supported",
    on_data="supported",
    reason="NSR holds.",
    findings=(),
    missing=("CNN",),
    profile="paper",
    at_best="supported",
    at_worst="partly supported",
)


def test_a_claim_without_verdict_is_not_run(tmp_path):
    text = claims.cards(BOOK / "claims.yml", tmp_path)
    assert text.count("**Not run.**") == 6
    for claim in ("A1", "A2", "A3", "A4", "B1", "B2"):
        assert f"{{grid-item-card}} {claim}. " in text
        assert f"(claim-{claim.lower()})=" in text


def test_a_published_verdict_appears_with_its_reason_profile_and_link(tmp_path):
    claims.publish(JUDGED, out=tmp_path)
    text = claims.cards(BOOK / "claims.yml", tmp_path / "verdicts")
    assert "(claim-b1)=\n\n**Partly supported.** NSR holds.\n\n" in text
    assert "[Evidence for B1](#verdict-b1), profile `paper`" in text
    assert text.count("**Not run.**") == 5


def test_a_verdict_on_an_unknown_claim_is_named(tmp_path):
    claims.publish(replace(JUDGED, claim="B7"), out=tmp_path)
    with pytest.raises(EcgadvError, match="verdicts on B7"):
        claims.cards(BOOK / "claims.yml", tmp_path / "verdicts")


def test_every_claim_has_its_place_on_the_page_of_verdicts():
    page = (BOOK.parent / "notebooks/verdicts.ipynb").read_text(encoding="utf-8")
    for claim in claims.load_claims(BOOK / "claims.yml"):
        name = claim["id"]
        assert f"(verdict-{name.lower()})=" in page
        assert f"## {name}. {claim['title']}" in page
        assert f'show(\\"{name}\\", ' in page


def test_known_numbers_are_those_of_the_authors_log():
    log = {"paper": "ma2022", "network": "mlp", "defense": "nsr-0.5"}
    find = BOOK / "reported.yml"
    assert claims.reported(find, **log, attack="none", metric="accuracy") == 0.9185
    attacked = {**log, "attack": "spsa", "metric": "sensitivity"}
    values = [claims.reported(find, **attacked, **{"class": name}) for name in "NSVFQ"]
    assert values == [0.9198, 0.4383, 0.5185, 0.1605, 0.5617]


def test_numbers_not_at_hand_are_not_transcribed():
    where = {"paper": "ma2022", "network": "cnn", "defense": "nsr-0.3", "attack": "none"}
    assert claims.reported(BOOK / "reported.yml", **where) == claims.NOT_TRANSCRIBED


def test_an_ambiguous_look_up_is_refused():
    with pytest.raises(EcgadvError, match="pick one"):
        claims.reported(BOOK / "reported.yml", paper="ma2022")
