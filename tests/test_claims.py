"""The ledger of claims and the papers' own numbers."""

from pathlib import Path

import pytest

from ecgadv import claims
from ecgadv.errors import EcgadvError

BOOK = Path(__file__).parents[1] / "book"
VERDICT = {
    "verdict": "supported",
    "evidence": "NSR minus undefended.\n\n* n = 3",
    "page": "notebooks/04-paper-b",
    "profile": "paper",
}


def test_a_claim_without_verdict_is_not_run(tmp_path):
    text = claims.ledger(BOOK / "claims.yml", tmp_path)
    assert text.count("not run") == 6
    for claim in ("A1", "A2", "A3", "A4", "B1", "B2"):
        assert f"* - {claim}\n" in text


def test_a_saved_verdict_appears_with_evidence_profile_and_page(tmp_path):
    claims.save_verdict("B1", **VERDICT, out=tmp_path)
    text = claims.ledger(BOOK / "claims.yml", tmp_path / "verdicts")
    assert "- [**supported**](#claim-b1)" in text
    assert "(claim-b1)=\n**B1, supported.** " in text
    lead = "NSR minus undefended. Profile `paper`; see {doc}`/notebooks/04-paper-b`."
    assert f"{lead}\n\n* n = 3\n" in text
    assert text.count("not run") == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "proved"}, "use one of supported, partly supported"),
        ({"evidence": " "}, "without evidence"),
        ({"profile": "demo"}, "real recordings only"),
    ],
)
def test_bad_verdicts_are_refused(tmp_path, changes, message):
    with pytest.raises(EcgadvError, match=message):
        claims.save_verdict("B1", **(VERDICT | changes), out=tmp_path)


def test_a_verdict_on_an_unknown_claim_is_named(tmp_path):
    claims.save_verdict("B7", **VERDICT, out=tmp_path)
    with pytest.raises(EcgadvError, match="verdicts on B7"):
        claims.ledger(BOOK / "claims.yml", tmp_path / "verdicts")


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
