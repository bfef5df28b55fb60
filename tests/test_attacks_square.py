"""Square for signals: closed forms on a linear model, the paper's schedule, and what it costs."""

import pytest
import torch
from small import seeded
from test_attacks_pgd import Linear, Network

from ecgadv.attacks import apgd, square
from ecgadv.attacks.square import Moves, shrunk
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("leads", [1, 3])
def test_comes_near_the_optimum_of_a_linear_model(norm, leads):
    model = Linear(leads, 8, scale=1e-3).double()  # small: no example may be misclassified
    x = torch.rand(3, leads, 8, dtype=torch.float64, generator=seeded())
    y = (model(x)[:, 1] > 0).long()
    up, eps = model.ascent(y), 1e-6
    found = square(model, x, y, Threat(eps, norm), queries=400, generator=seeded())
    rise = (up * (found - x)).sum((1, 2))
    best = eps * (up.abs().sum((1, 2)) if norm == "linf" else up.square().sum((1, 2)).sqrt())
    assert (rise <= best * (1 + 1e-6)).all()
    assert (rise > best * (0.99 if norm == "linf" else 0.8)).all()


def test_the_windows_shrink_as_the_paper_has_it():
    # Section 3.1: halved at 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000.
    halvings = {11: 1, 51: 2, 201: 3, 501: 4, 1001: 5, 2001: 6, 4001: 7, 6001: 8, 8001: 9}
    for query, times in {10: 0, 8000: 8, **halvings}.items():
        assert shrunk(0.8, query / 10_000) == 0.8 / 2**times


def test_a_move_is_one_window_within_the_recording_of_each_sample():
    x = torch.zeros(200, 4, 30)
    begin, end = torch.arange(200) % 7, 30 - torch.arange(200) % 5
    time = torch.arange(30)
    mask = ((time >= begin[:, None]) & (time < end[:, None]))[:, None]
    moves = Moves(x, Threat(0.5), mask, seeded())
    moved = moves.next(x, 0.25)
    changed = moved != 0
    assert (moved[changed].abs() == 0.5).all() and not changed[~mask.expand_as(x)].any()
    leads = changed.any(-1).sum(-1)
    assert set(leads.tolist()) == {1, 2, 3, 4}
    wide = changed.any(1).sum(-1)
    whole = (end - begin).double()
    expected = torch.minimum((0.25 * 4 * whole / leads).round(), whole)
    assert (wide - expected).abs().max() <= 1e-6
    for lead in changed.any(1):  # no holes
        places = lead.nonzero().flatten()
        assert len(places) == places[-1] - places[0] + 1


def test_a_move_in_l2_keeps_what_is_outside_both_windows_and_spends_eps():
    """Line by line after algorithm 3, for one sample."""
    x = torch.zeros(1, 1, 12, dtype=torch.float64)
    moves = Moves(x, Threat(2.0, "l2"), None, seeded())
    delta = torch.randn(1, 1, 12, dtype=torch.float64, generator=seeded(3))
    delta = 1.5 * delta / delta.norm()
    one, two = (torch.zeros(1, 1, 12).bool() for _ in range(2))
    one[..., 2:6], two[..., 7:11] = True, True
    bumps = torch.zeros(12, dtype=torch.float64)
    bumps[2:6] = torch.tensor([1.0, 0.5, -1.0, -0.5])
    found = moves._moved(delta, one, two, bumps.view(1, 1, 12))[0, 0]
    d = delta[0, 0]
    share = (2.0**2 - d.norm() ** 2 + d[2:6].norm() ** 2 + d[7:11].norm() ** 2).sqrt()
    shape = bumps[2:6] + d[2:6] / d[2:6].norm()
    expected = d.clone()
    expected[2:6], expected[7:11] = share * shape / shape.norm(), 0
    torch.testing.assert_close(found, expected)
    assert found.norm() == pytest.approx(2.0)


def test_bumps_are_those_of_equation_2():
    # A window of 9 reaches n = 4 from its middle: sum_{j = d + 1}^{5} 1 / j^2 at distance d.
    x = torch.zeros(1, 1, 20, dtype=torch.float64)
    bump = Moves(x, Threat(1.0, "l2"), None, None)._bump(torch.arange(9), torch.tensor(9))
    expected = [sum(1 / j**2 for j in range(abs(r - 4) + 1, 6)) for r in range(9)]
    torch.testing.assert_close(bump, torch.tensor(expected, dtype=torch.float64))


class Counting(Network):
    calls, rows = 0, 0

    def forward(self, x):
        self.calls, self.rows = self.calls + 1, self.rows + len(x)
        return super().forward(x)


def test_it_asks_as_often_as_told_and_those_who_break_ask_no_more():
    network = Counting()
    x = torch.rand(40, 1, 40, generator=seeded(1))
    y, network.calls, network.rows = network(x).argmax(-1), 0, 0
    found = square(network, x, y, Threat(0.01), queries=60, generator=seeded())
    broken = network(found).argmax(-1) != y
    assert 0 < broken.sum() < 40
    assert network.calls == 61 and network.rows < 61 * 40


def test_needs_no_gradient_and_nearly_matches_one():
    network = Network(classes=5)
    x = torch.rand(60, 1, 40, generator=seeded(2))
    y, threat = network(x).argmax(-1), Threat(0.02, low=0.0, high=1.0)

    def held(found):
        return int((network(found).argmax(-1) == y).sum())

    blind = square(lambda x: network(x).detach(), x, y, threat, queries=600, generator=seeded())
    seeing = held(apgd(network, x, y, threat, steps=30, targets=4, generator=seeded()))
    assert seeing < 40 and held(blind) <= seeing + 6


def test_what_a_sample_becomes_does_not_depend_on_who_leaves():
    network = Network().double()
    x = torch.rand(12, 1, 40, generator=seeded(4), dtype=torch.float64)
    y = network(x).argmax(-1)
    gone = torch.where(torch.arange(12) < 6, y, (y + 1) % 4)  # the second half leaves at once
    both = [
        square(network, x, labels, Threat(0.02), queries=50, generator=seeded())
        for labels in (y, gone)
    ]
    torch.testing.assert_close(both[0][:6], both[1][:6])
    assert torch.equal(both[1][6:], x[6:])


def test_bad_options_are_named():
    x, y = torch.rand(2, 1, 40), torch.tensor([0, 1])
    with pytest.raises(EcgadvError, match=r"share is 1\.5; give a number above 0, at most 1"):
        square(Network(), x, y, Threat(0.1), queries=2, share=1.5)
    with pytest.raises(EcgadvError, match="queries is 0"):
        square(Network(), x, y, Threat(0.1), queries=0)
