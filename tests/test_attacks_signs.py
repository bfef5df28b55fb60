"""Labels of several classes at once: what is a success, the losses and their slopes."""

import itertools

import pytest
import torch
from strangers import X
from torch import nn

from ecgadv.attacks import apgd, fgsm, fmn, pgd, spsa, square
from ecgadv.attacks.gradient import attack_loss, logit_gradient, misread
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def test_success_by_hand():
    rows = {
        (2.0, -1.0, 3.0): False,
        (-0.1, -1.0, 3.0): True,  # lost
        (2.0, 0.1, 3.0): True,  # gained
        (2.0, -1.0, -3.0): False,  # the third does not count
        (0.0, -1.0, 3.0): True,  # 0 is not above 0
        (2.0, 0.0, 3.0): False,
    }
    y = torch.tensor([[2, -2, 0]], dtype=torch.int8).expand(len(rows), 3)
    assert misread(torch.tensor(list(rows)), y).tolist() == list(rows.values())


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_losses_and_slopes(loss):
    z = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(list(itertools.islice(itertools.product([2, -2, 0], repeat=4), 9, 18)))
    y = y.to(torch.int8)
    value = attack_loss(loss, z, y)
    for row in range(9):
        counted = [(int(s) / 2, z[row, k]) for k, s in enumerate(y[row]) if s]
        if loss == "margin":
            expected = max(-s * logit for s, logit in counted)
        else:
            sigmoid = [torch.sigmoid(s * logit) for s, logit in counted]
            expected = -sum(p.log() for p in sigmoid)
        torch.testing.assert_close(value[row], expected)
    (slope,) = torch.autograd.grad(value.sum(), z)
    torch.testing.assert_close(logit_gradient(loss, z.detach(), y), slope)


def test_attacks_take_them():
    network = nn.Sequential(nn.Flatten(-2), nn.Linear(20, 3))
    network[1].weight.data.normal_(generator=torch.Generator().manual_seed(0))
    x = X.repeat(5, 1, 1)
    y = torch.where(network(x) > 0, 2, -2).to(torch.int8)
    y[:5, 0] = 0
    distance = (network(x).abs() / network[1].weight.abs().sum(-1)).detach()
    least = distance.masked_fill(y == 0, torch.inf).amin(-1)
    eps = float(least.median())
    expected = least < eps * 0.999
    plain = {"steps": 20, "step_size": eps / 5}
    runs = {
        "fgsm": (fgsm, {"loss": "margin"}),
        "pgd": (pgd, {**plain, "loss": "margin"}),
        "apgd": (apgd, {"steps": 20}),
        "fmn": (fmn, {"steps": 20}),
        "square": (square, {"queries": 300}),
        "spsa": (spsa, {**plain, "samples": 64, "delta": eps / 10}),
    }
    for name, (attack, options) in runs.items():
        generator = torch.Generator().manual_seed(0)
        found = attack(network, x, y, Threat(eps), generator=generator, **options)
        broken = misread(network(found), y)
        assert (broken[~expected] <= (least[~expected] <= eps * 1.001)).all(), name
        assert broken[expected].float().mean() > (0.7 if name == "fgsm" else 0.95), name


def test_what_does_not_fit_is_told():
    network = nn.Sequential(nn.Flatten(-2), nn.Linear(20, 3))
    y = torch.full((4, 3), 2, dtype=torch.int8)
    with pytest.raises(EcgadvError, match="use loss='margin' or 'ce'"):
        apgd(network, X, y, Threat(0.1), steps=2, loss="dlr")
    with pytest.raises(EcgadvError, match="targets=1 for labels of several classes at once"):
        apgd(network, X, y, Threat(0.1), steps=2, targets=1)
    with pytest.raises(EcgadvError, match="signs of labels of shape"):
        apgd(network, X, y[:, :2], Threat(0.1), steps=2)
    with pytest.raises(EcgadvError, match=r"such as one_hot.argmax\(-1\)"):  # ones are no signs
        apgd(network, X, (y > 0).to(torch.int8), Threat(0.1), steps=2)
