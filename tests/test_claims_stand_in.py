"""What stands in for CPSC2018, on records written by hand."""

from pathlib import Path

import pytest
from recorded import LEVELS, planned, write_record

from ecgadv import claims
from ecgadv.experiments.store import Store

CLAIMS = {
    claim["id"]: claim
    for claim in claims.load_claims(Path(__file__).parents[1] / "book/claims.yml")
}


@pytest.fixture(autouse=True)
def few_levels(monkeypatch):
    import recorded

    recorded.install("twelve-leads", monkeypatch.setattr, attacks=recorded.ATTACKS)


def stores(root, *, nsr, plain, clean=(1.0, 1.0), seeds=2):
    """Write NSR and undefended networks: shares held at each level, and without an attack."""
    for seed in range(seeds):
        for defense, share, own in (("nsr-1", nsr, clean[0]), ("ce", plain, clean[1])):
            config = planned("twelve-leads", "compact", f"folds/resnet/{defense}/faithful")
            write_record(root, config, seed=seed, shares=(share,) * len(LEVELS), clean=own)
    return [Store(root)]


@pytest.mark.parametrize(
    ("nsr", "plain", "verdict"),
    [(1, 0, "partly supported"), (0, 1, "inconclusive"), (1 / 3, 1 / 3, "inconclusive")],
)
def test_it_never_says_more_than_partly(tmp_path, nsr, plain, verdict):
    found = claims.stand_in(CLAIMS["B1"], stores(tmp_path, nsr=nsr, plain=plain))
    assert found.verdict == verdict
    assert {f.subject for f in found.findings} == {"residual network"}
    assert len(found.findings) == 3 and {f.threshold for f in found.findings} == {0.10}
    start = "**CPSC2018:** not run here for want of data. **PTB-XL with CPSC2018's classes:** "
    assert found.line.startswith(start + verdict)
    assert "cannot settle it" in found.reason


@pytest.mark.parametrize(("clean", "verdict"), [((1, 1), "partly supported"), ((0, 1), "inconc")])
def test_b2_asks_for_the_clean_cost(tmp_path, clean, verdict):
    found = claims.stand_in(CLAIMS["B2"], stores(tmp_path, nsr=0, plain=0, clean=clean))
    assert found.verdict.startswith(verdict)
    assert {f.threshold for f in found.findings} == {-0.02}


def test_without_records_or_with_one_seed(tmp_path):
    empty = claims.stand_in(CLAIMS["B1"], [Store(tmp_path)])
    assert (empty.verdict, empty.findings) == (None, ())
    assert empty.line.endswith("**PTB-XL with CPSC2018's classes:** not run.")
    one = claims.stand_in(CLAIMS["B1"], stores(tmp_path, nsr=1, plain=0, seeds=1))
    assert one.verdict == "inconclusive" and "One training of each" in one.reason


def test_it_moves_no_verdict_and_only_paper_b_has_one(tmp_path):
    made = stores(tmp_path, nsr=1, plain=0)
    assert claims.judge(CLAIMS["B1"], made) is None
    assert "CPSC2018" not in {f.dataset for f in claims.stand_in(CLAIMS["B1"], made).findings}
    assert claims.stand_in(CLAIMS["A1"], made) is None
    assert [name for name, claim in CLAIMS.items() if "stand_in" in claim] == ["B1", "B2"]
