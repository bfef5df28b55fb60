"""The pairs of recordings that the boundary attack walks between."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from ecgadv import attacks
from ecgadv.experiments import pairs
from ecgadv.experiments.run import run_once
from ecgadv.experiments.session import Session
from ecgadv.experiments.store import Store

Y = np.array([0] * 30 + [1] * 5 + [2] * 12 + [3] * 2)


def test_every_ordered_pair_of_classes_gets_its_number():
    drawn = pairs.draw(Y, 4, 50)
    assert drawn.shape == (12 * 50, 2)  # paper A: 12 ordered pairs, 50 of each (PROTOCOLS 2.5)
    classes, counts = np.unique(Y[drawn], axis=0, return_counts=True)
    wanted = [[a, b] for a in range(4) for b in range(4) if a != b]
    assert classes.tolist() == wanted
    assert (counts == 50).all()
    assert (Y[drawn].reshape(12, 50, 2) == Y[drawn].reshape(12, 50, 2)[:, :1]).all()


def test_recordings_are_drawn_with_replacement_from_all_of_their_class():
    drawn = pairs.draw(Y, 4, 50)
    for side in (0, 1):
        for label in range(4):
            own = drawn[Y[drawn[:, side]] == label, side]
            assert len(own) == 150
            assert set(own) == set(np.flatnonzero(label == Y))
    assert len({tuple(pair) for pair in drawn}) < len(drawn)  # even pairs repeat


def test_the_same_pairs_are_drawn_every_time():
    np.random.seed(1)
    first = pairs.draw(Y, 4, 7)
    np.random.seed(2)
    assert np.array_equal(first, pairs.draw(Y, 4, 7))


def test_a_class_that_is_not_there_is_left_out():
    y = np.where(Y == 1, 0, Y)
    drawn = pairs.draw(y, 5, 3)
    assert np.unique(y[drawn], axis=0).tolist() == [
        [a, b] for a in (0, 2, 3) for b in (0, 2, 3) if a != b
    ]
    assert len(drawn) == 6 * 3


class ByBatch(torch.nn.Module):
    """Reads class x, but one of the larger ones as 0 in a batch of three."""

    def forward(self, x):
        read = x[:, 0, 0].long()
        if len(x) == 3:
            read[read.argmax()] = 0
        return torch.nn.functional.one_hot(read, 5).float()


def test_pairs_walk_only_if_they_are_read_right_as_one_batch():
    y, target = torch.tensor([1, 1, 2, 3]), torch.tensor([4, 4, 4, 4])
    x, start = (values[:, None, None].float() for values in (y, target))
    start[1] = 0  # misread, so that three are left, of which then one is misread in turn
    rows = pairs._readable(ByBatch(), x, start, start, y, target)
    batch = x[rows]
    assert 0 < len(rows) < 3 and 1 not in rows
    assert torch.equal(ByBatch()(batch).argmax(1), y[rows])


def test_no_pair_may_be_left():
    y = torch.tensor([1])
    x = torch.zeros(1, 1, 1)
    assert len(pairs._readable(ByBatch(), x, x, x, y, y + 1)) == 0


class Level(torch.nn.Module):
    """Reads the mean of a recording, rounded, as its class."""

    def forward(self, x):
        return torch.nn.functional.one_hot(x.mean((1, 2)).round().long().clamp(0, 2), 3).float()


def test_a_single_pair_that_can_be_read_walks_alone():
    x = torch.tensor([0.0, 2.0, 1.0])[:, None, None].repeat(1, 1, 8)
    evaluation = SimpleNamespace(
        x=x,
        y=np.array([0, 2, 0]),  # the last one is misread
        mask=torch.ones(3, 1, 8, dtype=torch.bool),
        session=SimpleNamespace(device=torch.device("cpu")),
        batch=4,
    )
    both = np.array([[0, 1], [2, 1]])
    found = pairs._walk(evaluation, Level(), both, {"steps": 2, "window": 1}, seed=0)
    assert (found["queries"] > 0).tolist() == [True, False]
    assert np.isnan(found["distance"]).tolist() == [False, True]
    assert 1.5 <= found["x_adv"][0].mean() < 2 and (found["x_adv"][1] == 1).all()


@pytest.mark.usefixtures("tiny_suite")
def test_an_example_that_is_of_another_class_when_judged_again_does_not_count(
    chain, tmp_path, monkeypatch
):
    walk = attacks.boundary

    def astray(model, x, *rest, **options):
        found = walk(model, x, *rest, **options)
        found.x_adv[0] = x[0]  # of the original's class
        return found

    (tmp_path / "models").symlink_to(chain.root / "models")
    session = Session(Store(tmp_path), released=None)
    config = replace(tiny.STUDENT, attacks=())
    monkeypatch.setattr(attacks, "boundary", astray)
    record = run_once(config, 0, session)
    found = {k.removeprefix("boundary/"): v for k, v in record.examples().items()}
    for distance, queries in (("distance", "queries"), ("transfer-distance", None)):
        walked = ~np.isnan(found[distance])
        if queries:
            assert (found[queries] > 0).sum() == walked.sum() + 1
        assert np.isnan(found[distance]).any()
    assert (found["transfer"][np.isnan(found["transfer-distance"])] == 255).all()
    assert record.metrics["boundary"]["attacked"]["n"] == (~np.isnan(found["distance"])).sum()
