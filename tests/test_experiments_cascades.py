"""The cascade of `ecgadv.evaluate` as an attack of a config, and in its record."""

from dataclasses import replace

import numpy as np
import pytest
import tiny

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import evaluate as evaluation
from ecgadv.experiments import whole
from ecgadv.experiments.config import Attack
from ecgadv.experiments.exposure import subset
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session, load_model
from ecgadv.experiments.store import Store
from ecgadv.experiments.verify import verify
from ecgadv.training import OutOfTime

LEVELS = (0.02, 0.05)
CONFIG = replace(tiny.PLAIN, attacks=(Attack("standard", "fast", LEVELS, per_class=5),))


@pytest.fixture(scope="module")
def made(beats, tmp_path_factory):
    """(a store with one record, the record)."""
    with pytest.MonkeyPatch.context() as patch:
        tiny.install(beats, patch.setattr)
        store = Store(tmp_path_factory.mktemp("cascade"))
        return store, run_once(CONFIG, 0, Session(store, released=None))


def test_a_record_has_the_flags_of_evaluate_on_the_chosen_beats(made, monkeypatch, beats):
    tiny.install(beats, monkeypatch.setattr)
    record, examples = made[1], made[1].examples()
    chosen = subset(examples["label"].astype(int), 5)
    x, y = (values[examples["id"][chosen]] for values in (beats.x, beats.y))
    model = load_model(CONFIG, beats, record.weights)
    report = evaluation.evaluate(model, x, y, eps=LEVELS, low=0.0, high=1.0, attacks="fast")
    numbers = record.metrics["attacks"]["standard"]
    assert numbers["cascade"] == report.attacks == ["apgd-margin", "fmn"]
    assert numbers["n"] == chosen.sum() == 25
    assert [i["name"] for i in numbers["indicators"]] == [i.name for i in report.indicators]
    for level, eps in enumerate(LEVELS):
        held, by = (examples[f"{kind}/standard/{eps:g}"] for kind in ("held", "by"))
        np.testing.assert_array_equal(held[chosen], report.held(eps))
        assert (held[~chosen] == 255).all() and (by[~chosen] == 255).all()
        # Exactly those that are read right and do not hold were broken, by one of the cascade.
        right = examples["prediction"] == examples["label"]
        assert ((by != 255) == (right & (held == 0))).all()
        assert set(by[by != 255]) <= {0, 1}
        assert numbers["accuracy"][level] == pytest.approx((held == 1).sum() / 25)
    whole.check(record, weights=True)
    assert verify(record, Session(made[0], released=None), retrain=False).largest == 0


def test_a_record_without_its_attackers_is_not_whole(made, monkeypatch):
    record = made[1]
    lacking = {k: v for k, v in record.examples().items() if k != "by/standard/0.05"}
    monkeypatch.setattr(type(record), "examples", lambda self: lacking)
    with pytest.raises(EcgadvError, match=r"by/standard/0\.05 is missing"):
        whole.check(record, weights=False)


def test_a_cascade_that_was_stopped_goes_on_where_it_was(made, beats, tmp_path, monkeypatch):
    tiny.install(beats, monkeypatch.setattr)
    seen = []

    def told(text, share):
        seen.append(text)
        if len(seen) == stop:
            raise OutOfTime

    def run():
        seen.clear()
        session = Session(Store(tmp_path), released=Store(made[0].root), on_progress=told)
        return run_once(CONFIG, 0, session)

    stop = 3  # two attacks at the first level are done
    with pytest.raises(OutOfTime):
        run()
    assert [text.split(",")[0] for text in seen] == ["apgd-margin", "fmn", "apgd-margin"]
    stop = None
    again = run()
    assert [text.split(",")[0] for text in seen] == ["apgd-margin", "fmn", "done"]
    for name, values in made[1].examples().items():
        np.testing.assert_array_equal(values, again.examples()[name])
    assert not list(tmp_path.glob("checkpoints/*/*"))
