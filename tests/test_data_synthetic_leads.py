"""The synthetic recordings of twelve leads: the same everywhere, nine classes, learnable."""

import numpy as np
import pytest

from ecgadv import data
from ecgadv.data import synthetic_leads

FINGERPRINT = "1969974e6bac"


@pytest.fixture(scope="module")
def twelve():
    return data.load("synthetic-12")


def test_form(twelve):
    assert twelve.fingerprint.startswith(FINGERPRINT)
    assert twelve.x.shape == (540, 8, 1000) and set(twelve.counts().values()) == {60}
    assert np.abs(twelve.x).max(-1) == pytest.approx(1)
    assert 0.3 < np.median(twelve.unit_mv) < 2 and "never evidence" in twelve.note
    parts = data.split(twelve, "folds")
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [432, 54, 54]


def test_two_limb_leads_and_the_six_of_the_chest_see_one_dipole():
    # Lead I is the left arm less the right, so the row of Dower's matrix is mostly to the left;
    # II mostly to the feet; V2 mostly to the front.
    largest = np.abs(synthetic_leads.DOWER).argmax(1)
    assert largest.tolist() == [0, 1, 2, 2, 2, 0, 0, 0]


def test_what_sets_the_classes_apart_is_there(twelve):
    mv = twelve.x * twelve.unit_mv[..., None]
    of = {name: mv[twelve.y == label] for label, name in enumerate(twelve.classes)}

    def wide(signals):  # share of time that lead V6 spends far from its median
        v6 = np.abs(signals[:, 7] - np.median(signals[:, 7], -1, keepdims=True))
        return float((v6 > 0.3 * v6.max(-1, keepdims=True)).mean())

    assert wide(of["LBBB"]) > 1.5 * wide(of["N"])
    assert np.median(of["RBBB"][:, 2].max(-1)) > 2 * np.median(of["N"][:, 2].max(-1))
    assert np.median(of["STE"][:, 3], axis=-1).mean() >= np.median(of["N"][:, 3], axis=-1).mean()
