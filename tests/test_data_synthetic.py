"""The synthetic beats: the same everywhere, shaped like MIT-BIH's, learnable and fragile."""

import numpy as np
import pytest

from ecgadv import data

FINGERPRINT = "ed145b8a6eec"


def test_the_same_on_every_call_and_platform(synthetic):
    another = data.load("synthetic")
    for values in (another.x, another.y, another.length, another.onset, *another.facts.values()):
        values[:] = 0
    assert data.load("synthetic").fingerprint == synthetic.fingerprint
    assert synthetic.fingerprint.startswith(FINGERPRINT)


def test_form(synthetic):
    assert synthetic.x.shape == (6000, 1, 187)
    assert len(np.unique(synthetic.record)) == 40
    assert (synthetic.x.min(-1) == 0).all() and (synthetic.x.max(-1) == 1).all()
    assert np.median(synthetic.x[:, 0, 0]) > 0.99
    assert not synthetic.x[~synthetic.mask()].any()
    shares = np.array(list(synthetic.counts().values())) / 6000
    assert shares[0] < 0.6 and shares.min() > 0.08
    assert len(np.unique(synthetic.length)) > 50
    assert synthetic.unit_mv.min() > 0.5 and synthetic.unit_mv.max() < 5
    assert "never evidence" in synthetic.note


def test_r_peaks_are_in_order(synthetic):
    for name in np.unique(synthetic.record):
        assert (np.diff(synthetic.onset[synthetic.record == name]) > 0).all()


@pytest.mark.parametrize(("split_name", "floor"), [("beatwise", 0.85), ("interpatient", 0.75)])
def test_a_linear_network_learns_it_and_small_noise_breaks_it(synthetic, split_name, floor):
    split = data.split(synthetic, split_name)
    weights = ridge(synthetic, split.train)
    logits = features(synthetic.x[split.test]) @ weights
    y = synthetic.y[split.test]
    correct = logits.argmax(1) == y
    assert floor < correct.mean() < 0.99
    # Closed form: linf noise of eps takes eps * ||w_y - w_i||_1 from the margin over class i.
    rows = np.arange(len(y))
    margin = logits[rows, y][:, None] - logits
    reach = np.abs(weights[:-1].T[y][:, None] - weights[:-1].T[None]).sum(-1)
    margin[rows, y] = np.inf
    reach[rows, y] = 0
    assert (margin > 0.1 * reach).all(1).mean() < 0.1


def features(x):
    return np.concatenate([x[:, 0], np.ones((len(x), 1))], axis=1).astype(np.float64)


def ridge(dataset, index):
    """Least-squares weights (188, 5) to one-hot targets."""
    a, target = features(dataset.x[index]), np.eye(5)[dataset.y[index]]
    return np.linalg.solve(a.T @ a + 3 * np.eye(a.shape[1]), a.T @ target)
