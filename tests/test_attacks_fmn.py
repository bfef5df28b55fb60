"""The minimum-norm attack: closed forms, brute force on a plane, and foolbox."""

import warnings

import pytest
import torch
from small import seeded
from test_attacks_pgd import Linear, Network
from torch import nn

from ecgadv.attacks import fmn
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

FAR = 1e6


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_finds_the_distance_to_a_plane_whatever_the_unit(norm, scale):
    model = Linear(2, 9).double()
    x = scale * torch.randn(5, 2, 9, dtype=torch.float64, generator=seeded())
    y = (model(x)[:, 1] > 0).long()
    score = model(x)[:, 1].abs().detach()
    w = model.weight.detach()
    expected = score / (w.abs().sum() if norm == "linf" else w.norm())
    threat = Threat(2 * float(expected.max()), norm)
    found = fmn(model, x, y, threat, steps=30)
    share = threat.share(found, x) * threat.eps
    assert (model(found).argmax(-1) != y).all()
    torch.testing.assert_close(share, expected, rtol=2e-3, atol=0)


def test_leads_have_budgets_of_their_own_and_a_mask_holds():
    model = Linear(2, 9).double()
    x = torch.randn(5, 2, 9, dtype=torch.float64, generator=seeded(1))
    y = (model(x)[:, 1] > 0).long()
    mask = (torch.arange(9) < 6).expand(5, 1, 9)
    eps = torch.tensor([[[3.0], [1.0]]], dtype=torch.float64)
    w = torch.where(mask[0], model.weight.detach(), 0.0)
    expected = model(x)[:, 1].abs().detach() / (eps[0] * w.abs()).sum()
    threat = Threat(eps * 2 * float(expected.max()))
    found = fmn(model, x, y, threat, steps=30, mask=mask)
    threat.check(found, x, mask)
    share = threat.share(found, x) * 2 * float(expected.max())
    torch.testing.assert_close(share, expected, rtol=2e-3, atol=0)


def test_what_cannot_be_broken_within_eps_is_pushed_as_far_as_it_goes():
    model = Linear(1, 9).double()
    x = torch.randn(4, 1, 9, dtype=torch.float64, generator=seeded(2))
    y = (model(x)[:, 1] > 0).long()
    eps = 0.5 * float((model(x).detach()[:, 1].abs() / model.weight.detach().abs().sum()).min())
    found = fmn(model, x, y, Threat(eps), steps=20)
    assert (model(found).argmax(-1) == y).all()
    torch.testing.assert_close(found, x + eps * model.ascent(y).sign())


class Tent(nn.Module):
    """Four classes of a plane, by a piecewise linear network."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 12).double()
        self.last = nn.Linear(12, 4).double()
        for layer, seed in ((self.first, 5), (self.last, 6)):
            layer.weight.data.normal_(generator=seeded(seed))
            layer.bias.data.normal_(generator=seeded(seed + 10))

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(-2))))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_finds_what_a_search_of_the_whole_plane_finds(norm):
    network, reach, fine = Tent(), 1.0, 401
    x = torch.rand(12, 1, 2, dtype=torch.float64, generator=seeded(3)) * 2 - 1
    y = network(x).argmax(-1)
    ends = torch.linspace(-reach, reach, fine, dtype=torch.float64)
    grid = torch.cartesian_prod(ends, ends)
    size = grid.abs().amax(-1) if norm == "linf" else grid.norm(dim=-1)
    threat = Threat(reach, norm)
    found = fmn(network, x, y, threat, steps=100, targets=3)
    share, wrong = threat.share(found, x) * reach, network(found).argmax(-1) != y
    near = 0
    for i in range(len(x)):
        broken = network((x[i] + grid)[:, None]).argmax(-1) != y[i]
        nearest = size[broken & (size <= reach)]
        least = float(nearest.min()) if len(nearest) else FAR
        if wrong[i]:
            assert share[i] >= least - 2 * reach / fine * 1.5  # none is nearer, but for the grid
        near += (float(share[i]) if wrong[i] else FAR) <= least * 1.01
    assert near >= 11  # of 12: gradients are local


def test_no_weaker_than_the_peer_at_equal_steps():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox
    network = Network(classes=5).eval()
    x = torch.rand(40, 1, 40, generator=seeded(2))
    y = network(x).argmax(-1)
    peer = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    runs = {
        "linf": foolbox.attacks.LInfFMNAttack(steps=40),
        "l2": foolbox.attacks.DDNAttack(steps=40),
    }
    for norm, run in runs.items():
        threat = Threat(1.0 if norm == "linf" else 5.0, norm, low=0.0, high=1.0)
        theirs = run.run(peer, x, foolbox.criteria.Misclassification(y))
        found = fmn(network, x, y, threat, steps=10, targets=4)
        sizes = [
            torch.where(network(z).argmax(-1) != y, threat.share(z, x), torch.inf)
            for z in (found, theirs)
        ]
        assert sizes[0].isfinite().all()
        assert (sizes[0] <= sizes[1] * 1.02).float().mean() > 0.9
        assert sizes[0].median() <= sizes[1].median() * 1.001


def test_bad_options_are_named():
    x, y = torch.rand(2, 1, 40), torch.tensor([0, 1])
    with pytest.raises(EcgadvError, match="unknown attack loss 'ce'; choose one of margin, dlr"):
        fmn(Network(), x, y, Threat(0.1), steps=2, loss="ce")
    with pytest.raises(EcgadvError, match="0 to 3 targets"):
        fmn(Network(), x, y, Threat(0.1), steps=2, targets=4)
