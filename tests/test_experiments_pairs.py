"""The pairs of recordings that the boundary attack walks between."""

import numpy as np

from ecgadv.experiments import pairs

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
