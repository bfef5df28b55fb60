"""What the chapter on paper A says in words, and which signs of failed attacks stop it."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from recorded_a import held, results, rows, some_networks, write

from ecgadv.claims import load_claims
from ecgadv.pages import (
    chosen_a,
    drawings_a,
    failures,
    failures_a,
    sentences_a,
    tables_a,
    verdicts_a,
)

REPORTED = Path(__file__).parents[1] / "book/reported.yml"


@pytest.fixture
def some(tmp_path):
    return some_networks(tmp_path)


def test_a_constant_answer_ends_the_headline_table(some):
    *_, last = rows(tables_a.attacked(some, REPORTED))
    assert last[:3] == ("always “N”", "50.0", "50.0")  # 20 of 40


def test_an_open_difference_is_not_called_more(tmp_path):
    """One seed gains and the other does not: Student's t includes 0, and so does the bootstrap."""
    for seed, share in enumerate((1, 0.5)):
        write(tmp_path, "at-10/faithful", seed=seed, share=0.5)
        write(tmp_path, "adt-1/faithful", seed=seed, share=share)
    adt, hardened = (results(tmp_path).one(defense=d) for d in ("adt-1", "at-10"))
    assert "(no clear difference)" in sentences_a.gain(adt, hardened, "sap", 10.0)
    every = chosen_a.chosen(results(tmp_path))
    text = sentences_a._highest(every, 10.0)
    assert text.endswith("with no clear difference from SAP adversarial training, eps 10 µV.")


def test_what_han_report_stands_beside_ours(some):
    text = sentences_a.beside_han(some["ce", "faithful"], REPORTED)
    assert "turned **74.0 %**" in text
    assert "turned **100.0 %** (bootstrap 100.0\u00a0to\u00a0100.0, 40 records" in text
    assert "not run" in sentences_a.beside_han(None, REPORTED)


def test_unfinished_walks_are_told(some):
    text = sentences_a.walks(some)
    assert "6 pairs of records were drawn, 2 for each" in text
    assert "Of these 5 to 5 were walked" not in text
    assert "Of these 5 were walked" in text
    assert "150 iterations, the authors' 8,000. These walks are **unfinished**" in text
    near = drawings_a.distances(some)
    plt.close(near.fig)
    assert "6 pairs drawn from 40 test records, 5 of them walked" in near.caption
    assert "unfinished" in near.caption


def test_limits_name_dropout_and_students_factor(some, tmp_path):
    claims = verdicts_a_claims()
    judged = [verdicts_a.judge(claim, results(tmp_path)) for claim in claims]
    text = sentences_a.limits(results(tmp_path), judged)
    assert "**No dropout.** The network of profile `compact`" in text
    assert "reaches 12.7 standard errors" in text
    assert "it would be 2.0" in text
    assert sentences_a.limits(results(tmp_path / "nothing"), [None]) == ""


def verdicts_a_claims():
    listed = load_claims(REPORTED.with_name("claims.yml"))
    return [claim for claim in listed if claim["id"] in verdicts_a.RULES]


def test_sentences(some, tmp_path):
    compact = results(tmp_path)
    text = sentences_a.in_short(some, [None])
    assert "Under SAP 20 + 20 at 10 µV: undefended **0.0 %**;" in text
    assert "ADT minus undefended: +100.0 [+100.0, +100.0] points (clearly more)." in text
    assert "without an attack +0.0 [+0.0, +0.0] points (no clear difference)" in text
    assert "ADT, T = 1 has the highest accuracy." in text
    assert "answering N, the most frequent class, is right for 50.0 %" in text
    nothing = results(tmp_path / "nothing")
    assert "not run" in sentences_a.in_short(chosen_a.chosen(nothing), [])
    assert "not run" in sentences_a.shown(nothing)
    text = sentences_a.shown(compact)
    assert "10 records, 0 of them released" in text
    assert "20 N, 6 AF, 10 O, 4 ~" in text
    assert sentences_a.preferred({"compact": compact}, nothing) is compact
    table = rows(tables_a.planned(compact))
    found = {row[0]: row[1:] for row in table}
    assert found["ours"] == ("ADT, T = 5 (2 of 4 seeds)", "ADT, T = 2; ADT, T = 10; ADT, T = 20")
    assert found["rescaled"] == ("nothing", "NSR, beta 1, per millivolt")


@pytest.mark.parametrize(("share", "falls"), [(0, True), (0.5, False)])
def test_the_undefended_network_must_fall_at_the_largest_level(tmp_path, share, falls):
    write(tmp_path, "ce/faithful", share=share)
    (found,) = results(tmp_path).all
    signs = failures_a.signs(found)
    (must,) = (sign for sign in signs if sign.must_hold)
    assert must.indicator.name == "PGD: 25 µV holds"
    if falls:
        failures.refuse(signs)
        assert "for 0.0 %, at most 5 % allowed" in sentences_a.bound(signs)
    else:
        with pytest.raises(failures.AttackFailedError, match="25 µV holds"):
            failures.refuse(signs)


def test_signs_of_failed_attacks(tmp_path):
    write(tmp_path, "at-10/faithful", share=1, **{"held__transfer-sap__10": held(0.5)})
    (found,) = results(tmp_path).all
    signs = failures_a.signs(found)
    failures.refuse(signs)
    failed = {sign.indicator.name for sign in signs if sign.failed}
    assert failed == {"PGD: 25 µV holds", "SAP 20 + 20: beaten by SAP 20 + 20, transferred"}
    assert "the checks here only inform" in sentences_a.bound(signs)
