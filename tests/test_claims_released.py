"""The verdicts on the released records, number by number, as they stood when last looked at.

After a release that moves them, `python tests/test_claims_released.py` writes them anew; the diff
shows what moved.
"""

import json
import re
from pathlib import Path

import pytest

from ecgadv import claims
from ecgadv.experiments.store import Store, released_folder

FROZEN = Path(__file__).with_name("released_verdicts.json")
CLAIMS = {
    claim["id"]: claim
    for claim in claims.load_claims(Path(__file__).parents[1] / "book/claims.yml")
}


def described(claim):
    """The verdict, its reason, and each finding: value, both intervals, n and seeds."""
    found = claims.judge(claim, [Store(released_folder())])
    names = ("verdict", "on_data", "reason", "profile", "at_best", "at_worst")
    return {
        **{name: getattr(found, name) for name in names},
        "missing": list(found.missing),
        "findings": [
            [
                *(f.measure, f.subject, f.counts, f.threshold, f.reached, f.estimate.value),
                *(f.estimate.seeds.low, f.estimate.seeds.high),
                *(f.estimate.both.low, f.estimate.both.high),
                *(f.estimate.both.n_examples, f.estimate.seeds.n_seeds),
            ]
            for f in found.findings
        ],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def _records_are_read_once(folder, monkeypatch):
    monkeypatch.setattr("ecgadv.results.kept.FOLDER", str(folder))


@pytest.mark.parametrize("claim", CLAIMS)
def test_verdicts_on_released_records_have_not_moved(claim):
    now, frozen = described(CLAIMS[claim]), json.loads(FROZEN.read_text(encoding="utf-8"))[claim]
    for new, old in zip(now.pop("findings"), frozen.pop("findings"), strict=True):
        numbers = [[value for value in row[3:] if value is not None] for row in (new, old)]
        assert new[:3] == old[:3]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-12)
    assert now == frozen


if __name__ == "__main__":
    verdicts = {name: described(claim) for name, claim in CLAIMS.items()}
    text = json.dumps(verdicts, ensure_ascii=False, indent=1)
    FROZEN.write_text(re.sub(r"\n {4,}", " ", text) + "\n", encoding="utf-8")
