"""HopSkipJump: the distance to a plane, what it asks, and that it beats the boundary walk."""

import pytest
import torch
from small import seeded
from test_attacks_pgd import Linear, Network

from ecgadv.attacks import boundary, hopskipjump
from ecgadv.errors import EcgadvError


def plane(pairs=4):
    """A linear model, and recordings of both its classes in turn."""
    model = Linear(1, 24).double()
    x = torch.randn(200, 1, 24, dtype=torch.float64, generator=seeded(1))
    y = model(x).argmax(-1)
    sides = [x[y == side][:pairs] for side in (0, 1)]
    return model, sides[0], torch.zeros(pairs, dtype=torch.int64), sides[1]


def test_comes_near_the_distance_to_a_plane():
    model, x, y, start = plane()
    options = {"target": None, "max_queries": 1200}
    found = hopskipjump(model, x, y, start, generator=seeded(), **options)
    expected = model(x).detach()[:, 1].abs() / model.weight.detach().norm()
    assert (model(found.x_adv).argmax(-1) == 1).all()
    assert (found.distance >= expected * (1 - 1e-9)).all()
    assert (found.distance <= expected * 1.05).all()
    torch.testing.assert_close(found.distance, (found.x_adv - x).norm(dim=(1, 2)))


def test_smooth_probes_find_a_smooth_normal_sooner():
    model, x, _, _ = plane(pairs=8)
    model.weight.data = torch.sin(torch.linspace(0, 3, 24, dtype=torch.float64))[None]
    label = model(x).argmax(-1)
    start = torch.where((label == 0)[:, None, None], 9 * model.weight.data, -9 * model.weight.data)
    white, smooth = (
        hopskipjump(
            model, x, label, start, target=None, max_queries=200, window=w, generator=seeded()
        )
        for w in (1, 9)
    )
    assert (smooth.distance <= white.distance).all()
    assert smooth.distance.mean() < 0.97 * white.distance.mean()


def test_counts_every_recording_that_the_network_judges():
    class Counting(Linear):
        rows = 0

        def forward(self, x):
            self.rows += len(x)
            return super().forward(x)

    _, x, y, start = plane()
    model = Counting(1, 24).double()
    found = hopskipjump(model, x, y, start, target=None, max_queries=333, generator=seeded())
    assert found.queries.tolist() == [333] * 4
    assert model.rows == 4 * 333


def test_the_mask_holds_and_a_target_is_met():
    network = Network().double()
    x = torch.rand(60, 1, 40, dtype=torch.float64, generator=seeded(2))
    label = network(x).argmax(-1)
    mask = (torch.arange(40) < 30).expand(60, 1, 40)
    start = torch.rand(60, 1, 40, dtype=torch.float64, generator=seeded(3))
    wanted = network(torch.where(mask, start, x)).argmax(-1)
    rows = (wanted != label).nonzero().flatten()[:8]
    options = {"target": wanted[rows], "mask": mask[rows], "max_queries": 400}
    found = hopskipjump(network, x[rows], label[rows], start[rows], generator=seeded(), **options)
    assert torch.equal(network(found.x_adv).argmax(-1), wanted[rows])
    assert torch.equal(found.x_adv[~mask[rows]], x[rows][~mask[rows]])


def test_beats_the_boundary_walk_at_equal_queries():
    network = Network()
    x = torch.rand(40, 1, 40, generator=seeded(4))
    y = network(x).argmax(-1)
    other = torch.stack([(y != label).nonzero()[0, 0] for label in y])
    given = network, x, y, x[other]
    options = {"target": None, "max_queries": 400, "generator": seeded()}
    hops = hopskipjump(*given, **options)
    walk = boundary(*given, steps=10_000, window=1, **options)
    assert (hops.distance < walk.distance).float().mean() > 0.9
    assert hops.distance.median() < 0.8 * walk.distance.median()


def test_what_does_not_fit_is_told():
    model, x, y, start = plane()
    with pytest.raises(EcgadvError, match="start, as masked, is not of the class wanted"):
        hopskipjump(model, x, y, x, target=None, max_queries=10)
    with pytest.raises(EcgadvError, match="window is 4; give an odd number"):
        hopskipjump(model, x, y, start, target=None, max_queries=10, window=4)
