"""The proved bound against brute force on tiny networks, and against attacks."""

import itertools

import pytest
import torch
from torch import nn

from ecgadv.attacks import apgd
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.bounds import proved_margins
from ecgadv.models import BeatCNN, BeatMLP
from ecgadv.threat import Threat


class Tiny(nn.Module):
    """A ReLU network of given widths in double precision."""

    def __init__(self, *widths, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weights = [
            torch.randn(b, a, generator=generator, dtype=torch.float64)
            for a, b in itertools.pairwise(widths)
        ]
        self.biases = [torch.randn(b, generator=generator, dtype=torch.float64) for b in widths[1:]]

    def affine_layers(self):
        return list(zip(self.weights, self.biases, strict=True))

    def forward(self, x):
        h = x.flatten(1)
        for depth, (weight, bias) in enumerate(self.affine_layers()):
            h = h @ weight.T + bias
            if depth < len(self.weights) - 1:
                h = h.relu()
        return h


def margins(model, x, y):
    """z_y - max of the others, (N,)."""
    logits = model(x)
    own = logits.gather(1, y[:, None])[:, 0]
    return own - logits.scatter(1, y[:, None], -torch.inf).amax(1)


def grid(x, low, high, points):
    """All points of a regular grid over the box around one x (1, 1, 2), its corners included."""
    axes = [
        torch.linspace(float(a), float(b), points, dtype=torch.float64)
        for a, b in zip(low, high, strict=True)
    ]
    return torch.cartesian_prod(*axes).view(-1, 1, 2)


@pytest.mark.parametrize("steps", [0, 15])
@pytest.mark.parametrize("widths", [(2, 6, 3), (2, 5, 5, 3), (2, 4, 4, 4, 4)])
@pytest.mark.parametrize("eps", [0.02, 0.2, 1.0])
def test_never_above_the_least_margin_of_a_dense_grid(widths, eps, steps):
    tightness = []
    for seed in range(4):
        model = Tiny(*widths, seed=seed)
        x = torch.rand(6, 1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        y = model(x).argmax(1)
        threat = Threat(eps, low=0.0, high=1.0)
        found = proved_margins(model, x, y, threat, steps=steps)
        low, high = (end[:, 0] for end in threat.box(x))
        for i in range(len(x)):
            points = grid(x[i], low[i], high[i], 60)
            least = margins(model, points, y[i].expand(len(points))).min()
            assert found[i] <= least + 1e-9
            tightness.append(float(least - found[i]))
    if eps == 0.02:  # hardly any ReLU is open: the bound is close
        assert sum(gap < 0.05 for gap in tightness) > len(tightness) / 2


def test_exact_for_a_linear_network_within_bounds_and_mask():
    model = Tiny(8, 3, seed=1)
    x = torch.rand(5, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = model(x).argmax(1)
    mask = torch.arange(8).expand(5, 1, 8) < torch.tensor([3, 8, 1, 5, 6])[:, None, None]
    eps = torch.tensor([0.0, 0.1, 0.3, 0.7, 0.2]).view(5, 1, 1)
    threat = Threat(eps, low=0.0, high=1.0)
    found = proved_margins(model, x, y, threat, mask=mask)
    weight, bias = model.affine_layers()[0]
    for i in range(5):
        per_class = []
        for other in set(range(3)) - {int(y[i])}:
            w, b = weight[y[i]] - weight[other], bias[y[i]] - bias[other]
            value = float(b)
            for t in range(8):
                e = float(eps[i]) if mask[i, 0, t] else 0.0
                ends = [min(max(float(x[i, 0, t]) + s * e, 0.0), 1.0) for s in (-1, 1)]
                value += min(float(w[t]) * end for end in ends)
            per_class.append(value)
        assert float(found[i]) == pytest.approx(min(per_class), abs=1e-6)


def test_the_margin_itself_at_eps_0():
    torch.manual_seed(0)
    model = BeatMLP(width=16)
    x = torch.rand(7, 1, 187)
    y = torch.arange(7) % 5
    with torch.no_grad():
        wanted = margins(model, x, y).double()
    found = proved_margins(model, x, y, Threat(0.0), batch_size=3)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_raising_the_slopes_never_loosens_and_helps_where_relus_are_open():
    model = Tiny(2, 12, 12, 3, seed=5)
    x = torch.rand(20, 1, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y, threat = model(x).argmax(1), Threat(0.15)
    plain, raised = (proved_margins(model, x, y, threat, steps=n) for n in (0, 20))
    assert (raised >= plain - 1e-12).all()
    assert (raised > plain + 1e-3).any()


def test_proves_nothing_that_an_attack_breaks_and_something_that_it_does_not():
    torch.manual_seed(2)
    model = BeatMLP(length=20, width=12, classes=4)
    x = torch.rand(60, 1, 20)
    y = model(x).argmax(1)
    threat = Threat(0.15, low=0.0, high=1.0)
    proved = proved_margins(model, x, y, threat) > 0
    found = apgd(model, x, y, threat, steps=30, targets=3)
    held = model(found).argmax(1) == y
    assert not (proved & ~held).any()
    assert proved.any() and not proved.all()


def test_what_is_not_covered_is_told_in_one_line():
    x, y = torch.rand(1, 1, 187), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(EcgadvError, match="no bound for BeatCNN: give a network of affine layers"):
        proved_margins(BeatCNN(), x, y, Threat(0.1))
    with pytest.raises(EcgadvError, match="no bound for norm 'l2'"):
        proved_margins(BeatMLP(), x, y, Threat(0.1, "l2"))


X, Y = torch.tensor([[[0.2, 0.9]], [[0.5, 0.1]]], dtype=torch.float64), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": X + 2}, "x spans 2.1 to 2.9, outside the bounds 0.0 to 1.0"),
        ({"x": X * torch.nan}, "x holds 4 values that are not finite"),
        ({"x": X.numpy()}, "x is of type ndarray"),
        ({"x": torch.rand(2, 1, 3)}, "has 3 values a sample; give 2, as the first layer of Tiny"),
        ({"y": torch.tensor([0, 3])}, r"labels span 0..3, the network has 3 classes"),
        ({"y": torch.tensor([0, -1])}, r"labels span -1..0"),
        ({"y": torch.tensor([0])}, r"give class numbers of shape \(2,\)"),
        ({"mask": torch.ones(2, 2)}, r"give bool of shape \(2, 1, 2\)"),
        ({"threat": 0.1}, "the threat is 0.1; give a Threat"),
        ({"threat": Threat(torch.ones(3, 1, 1))}, r"eps of shape \(3, 1, 1\) does not fit"),
        ({"steps": -1}, "steps is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_nothing_is_proved_of_what_is_no_example_of_the_threat(change, words):
    given = {"x": X, "y": Y, "threat": Threat(0.1, low=0.0, high=1.0), **change}
    with pytest.raises(EcgadvError, match=words) as caught:
        proved_margins(Tiny(2, 4, 3), **given)
    assert "\n" not in str(caught.value)


def test_x_that_rounding_put_outside_the_bounds_is_still_in_its_box():
    model, beyond = Tiny(2, 6, 3, seed=1), 4e-6
    x = torch.tensor([[[1 + beyond, -beyond]]], dtype=torch.float64)
    y, threat = model(x).argmax(1), Threat(0.0, low=0.0, high=1.0)
    found = proved_margins(model, x, y, threat)
    for example in (x, x.clamp(0, 1)):
        assert found <= margins(model, example, y) + 1e-12


def test_equal_whatever_the_batch():
    model = Tiny(2, 8, 8, 3, seed=2)
    x = torch.rand(9, 1, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y, eps = model(x).argmax(1), torch.linspace(0, 0.3, 9, dtype=torch.float64).view(9, 1, 1)
    whole, parts = (proved_margins(model, x, y, Threat(eps), batch_size=n) for n in (9, 2))
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-9)
