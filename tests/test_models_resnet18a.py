"""The network of twelve leads: size, rates, what the mask does, and its slopes."""

import formulas
import pytest
import torch
from torch import nn

from ecgadv import models
from ecgadv.errors import EcgadvError
from ecgadv.models import pullback

SMALL = {"classes": 4, "leads": 2, "width": 3, "blocks": 2, "stride": 1, "pool": False}


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return models.build("resnet18a", **SMALL).double()


def test_size_is_the_papers_and_the_narrow_forms():
    def size(**options):
        return sum(p.numel() for p in models.build("resnet18a", **options).parameters())

    assert size() == 4_994_953
    assert size(classes=8, width=32, blocks=6, stride=1, pool=False) == 315_976


@torch.no_grad()
def test_logits_of_the_authors_network():
    # From the authors' own network with the weights and the input of `formulas`, float64.
    x, mask = formulas.batch()
    logits = formulas.network()(x[:1], mask[:1])
    expected = [-0.2766364658589518, -0.2160966054107278, 0.012111777365625732]
    assert logits[0, :3].tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "length", "positions"),
    [({}, 33_792, 31), ({"stride": 1, "pool": False, "blocks": 6}, 1000, 14)],
)
def test_positions_and_what_each_sees(options, length, positions):
    model = models.build("resnet18a", width=1, **options)
    x = torch.zeros(1, 8, length)
    assert model.features(x).shape[-1] == positions
    seen = model.position_weights(torch.ones(1, 1, length), positions)
    # The last window may reach beyond the end, and counts for as much of it as there is.
    step = model.downsampling
    last = (length - (positions - 1) * step) / (3 * step)
    assert seen[0, 0, :-1].eq(1).all()
    assert float(seen[0, 0, -1]) == pytest.approx(min(1, last))


def test_what_the_mask_does(small):
    torch.manual_seed(1)
    x = torch.randn(3, 2, 60, dtype=torch.float64)
    mask = torch.arange(60) >= torch.tensor([0, 20, 60])[:, None, None]
    h = small.features(x)
    assert torch.allclose(small(x, mask), small.output(small.mean_over_time(h, x, mask)))
    assert torch.allclose(small(x, mask)[0], small(x)[0], atol=1e-2)
    # A record of which nothing is seen is read as if all of it were.
    assert torch.allclose(small(x, mask)[2], small(x)[2], atol=1e-6)
    # Positions count by how much of their window is recording, from half on: by hand.
    share = [float(mask[1, 0, p * 4 : p * 4 + 12].sum()) / 12 for p in range(h.shape[-1])]
    weight = torch.tensor([s if s >= 0.5 else 0 for s in share], dtype=torch.float64)
    by_hand = small.output((h[1] * weight).sum(-1) / (weight.sum() + 1e-8))
    assert torch.allclose(small(x, mask)[1], by_hand, atol=1e-12)


def test_each_channel_is_normalised_by_itself(small):
    x = torch.randn(2, 2, 60, dtype=torch.float64)
    together, alone = small(x), torch.cat([small(x[:1]), small(x[1:])])
    assert torch.allclose(together, alone, atol=1e-12)
    small.train()
    assert torch.equal(small(x), together)
    assert all(m.num_groups == m.num_channels for m in small.modules() if type(m) is nn.GroupNorm)


def test_its_slopes_are_those_of_finite_differences(small):
    torch.manual_seed(2)
    x = torch.randn(2, 2, 40, dtype=torch.float64)
    logits, pull = pullback(small, x)
    rows = torch.eye(4, dtype=torch.float64)[:, None].expand(4, 2, 4)
    slopes = pull(rows)
    assert slopes.shape == (4, 2, 2, 40)
    step = 1e-6 * torch.randn_like(x)
    change = (small(x + step) - small(x - step)) / 2
    assert torch.allclose((slopes * step).sum((-2, -1)).T, change, atol=1e-10)
    assert torch.allclose(logits, small(x))


@pytest.mark.parametrize("shape", [(2, 60), (1, 3, 60), (1, 2, 8)])
def test_refuses_what_does_not_fit(small, shape):
    with pytest.raises(EcgadvError, match="2 leads, 9 samples or more"):
        small(torch.zeros(shape, dtype=torch.float64))


def test_refuses_a_size_of_nothing():
    with pytest.raises(EcgadvError, match="width 0, blocks 8"):
        models.build("resnet18a", width=0)
