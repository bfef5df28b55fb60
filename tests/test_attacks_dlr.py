"""The DLR loss against the paper's formulas, and where it finds what the margin does not."""

import itertools

import pytest
import torch
from torch import nn

from ecgadv.attacks import apgd, fgsm, pgd
from ecgadv.attacks.gradient import attack_loss, logit_gradient
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def by_formula(z, y, target, order):
    """The loss of one sample's logits z (K,), given which place each rank has in them."""
    first, second, third = (z[place] for place in order[:3])
    if target is None:
        return -(z[y] - (second if order[0] == y else first)) / (first - third)
    return -(z[y] - z[target]) / (first - (third + z[order[3]]) / 2)


def samples(classes, count=12):
    """Logits (count, K), labels and other classes; half of the labels are the largest logit."""
    generator = torch.Generator().manual_seed(classes)
    z = 3 * torch.randn(count, classes, generator=generator, dtype=torch.float64)
    y = torch.randint(classes, (count,), generator=generator)
    y[::2] = z[::2].argmax(-1)
    return z, y, (y + 1 + torch.arange(count) % (classes - 1)) % classes


CASES = [(k, targeted) for k in (3, 4, 5, 10, 30) for targeted in (False, True) if k > 2 + targeted]


@pytest.mark.parametrize(("classes", "targeted"), CASES)
def test_value_and_gradient_are_those_of_the_formula(classes, targeted):
    z, y, other = samples(classes)
    target = other if targeted else None
    value, gradient = (f("dlr", z, y, target) for f in (attack_loss, logit_gradient))
    for i in range(len(z)):
        row = z[i].clone().requires_grad_()
        order = row.argsort(descending=True).tolist()
        expected = by_formula(row, int(y[i]), int(other[i]) if targeted else None, order)
        torch.testing.assert_close(value[i], expected.detach())
        torch.testing.assert_close(gradient[i], torch.autograd.grad(expected, row)[0])


def test_the_formula_by_hand():
    z, y = torch.tensor([[5.0, 1.0, 3.0, -1.0]]), torch.tensor([0])
    torch.testing.assert_close(attack_loss("dlr", z, y), torch.tensor([-2 / 4]))
    aimed = attack_loss("dlr", z, y, torch.tensor([3]))
    torch.testing.assert_close(aimed, torch.tensor([-6 / 5]))
    torch.testing.assert_close(attack_loss("dlr", z, torch.tensor([1])), torch.tensor([4 / 4]))


@pytest.mark.parametrize("targeted", [False, True])
def test_neither_shift_nor_scale_of_the_logits_matters(targeted):
    z, y, other = samples(6)
    target = other if targeted else None
    value, gradient = (f("dlr", z, y, target) for f in (attack_loss, logit_gradient))
    for scale, shift in ((1e-12, 0.0), (1e9, 0.0), (1.0, 40.0), (0.5, -7.0)):
        moved = scale * z + shift
        torch.testing.assert_close(attack_loss("dlr", moved, y, target), value)
        torch.testing.assert_close(scale * logit_gradient("dlr", moved, y, target), gradient)
    # Which is to say that along neither the loss has a slope.
    torch.testing.assert_close(gradient.sum(-1), torch.zeros_like(value))
    torch.testing.assert_close((gradient * z).sum(-1), torch.zeros_like(value))


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    "tied", [[2, 2, 0, -1, -3], [2, 0, 0, 0, -3], [2, 1, 1, 0, 0], [2, 1, 0, 0, 0], [2, 2, 2, 0, 0]]
)
def test_among_equal_logits_the_gradient_is_that_of_one_order(tied, targeted):
    z = torch.tensor(tied, dtype=torch.float64)
    for y in range(5):
        t = (y + 2) % 5
        target = torch.tensor([t]) if targeted else None
        label = torch.tensor([y])
        if not targeted and z[0] == z[2]:
            continue  # the divisor is 0: below
        found = logit_gradient("dlr", z[None], label, target)[0]
        of_orders = []
        for order in itertools.permutations(range(5)):
            if all(z[a] >= z[b] for a, b in itertools.pairwise(order)):
                row = z.clone().requires_grad_()
                loss = by_formula(row, y, t if targeted else None, order)
                of_orders.append(torch.autograd.grad(loss, row)[0])
                torch.testing.assert_close(
                    attack_loss("dlr", z[None], label, target)[0], loss.detach()
                )
        assert any(torch.allclose(found, one) for one in of_orders)


@pytest.mark.parametrize("targeted", [False, True])
def test_a_divisor_of_zero_leaves_the_margin(targeted):
    z, y = torch.tensor([[1.0, 1.0, 1.0, 1.0, -2.0]] * 2), torch.tensor([1, 4])
    target = torch.tensor([2, 0]) if targeted else None
    torch.testing.assert_close(attack_loss("dlr", z, y, target), torch.tensor([0.0, 3.0]))
    found = logit_gradient("dlr", z, y, target)
    if targeted:
        assert torch.equal(found, logit_gradient("margin", z, y, target))
    # From y to one of the largest.
    assert found[0, 1] == -1 and found[1, 4] == -1 and (found == 1).sum(-1).tolist() == [1, 1]
    assert (found[:, :4].amax(-1) == 1).all() and (found.abs().sum(-1) == 2).all()


class Constant(nn.Module):
    """The same logits whatever it is shown."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x):
        return self.logits + 0 * x.sum((-2, -1))[:, None]


def test_an_attack_on_a_network_of_equal_logits_goes_on():
    x, y = torch.rand(3, 1, 9), torch.zeros(3, dtype=torch.int64)
    with pytest.warns(UserWarning, match="gradient of 'dlr' is zero for 3 of 3"):
        found = apgd(Constant(*[0.0] * 5), x, y, Threat(0.1), steps=3, loss="dlr", targets=2)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("classes", "options", "needed"),
    [(2, {}, "without a target needs 3"), (3, {"targets": 1}, "with targets needs 4")],
)
def test_too_few_classes_are_named_with_what_to_use(classes, options, needed):
    x, y = torch.rand(3, 1, 9), torch.zeros(3, dtype=torch.int64)
    network = Constant(1.0, *[0.0] * (classes - 1))
    words = f"'dlr' {needed} .*not {classes}; use loss='margin'"
    with pytest.raises(EcgadvError, match=words) as caught:
        apgd(network, x, y, Threat(0.1), steps=2, loss="dlr", **options)
    assert "\n" not in str(caught.value)
    with pytest.warns(UserWarning, match="gradient of 'margin' is zero"):
        apgd(network, x, y, Threat(0.1), steps=2, loss="margin", **options)


class Louder(nn.Module):
    """Class 0 falls along v = w . x, while all logits grow louder with it.

    With v up by 0.8 of the budget class 1 wins, but the margin of logits -(0.8 - v) exp(10 v)
    first falls, until v = 0.7: what it sees is how to make the network quieter.
    """

    def __init__(self, eps, length):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        weight = torch.randn(length, generator=generator, dtype=torch.float64)
        self.weight = weight / (weight.abs().sum() * eps)  # the budget takes v up or down by 1

    def forward(self, x):
        v = (x[:, 0] - 0.5) @ self.weight
        others = v.new_tensor([0.0, -1.0, -2.0]).expand(len(v), 3)
        return (10 * v).exp()[:, None] * torch.cat([0.8 - v[:, None], others], -1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_breaks_a_network_whose_loudness_misleads_the_margin(norm):
    # In the direction of the weights the l2 ball of this radius reaches as far.
    eps, network = 0.1, Louder(0.1, 60)
    if norm == "l2":
        eps = 1 / float(network.weight.norm())
    x = 0.5 + 0 * torch.rand(16, 1, 60, dtype=torch.float64)
    y, threat = torch.zeros(16, dtype=torch.int64), Threat(eps, norm)

    def held(attack, **options):
        found = attack(network, x, y, threat, generator=torch.Generator().manual_seed(0), **options)
        threat.check(found, x)
        return int((network(found).argmax(-1) == y).sum())

    for options in ({}, {"targets": 1}):
        assert held(apgd, steps=20, restarts=2, **options) == 16
        assert held(apgd, steps=20, loss="dlr", **options) == 0
    assert held(pgd, steps=20, step_size=eps / 4, loss="dlr") == 0
    assert held(fgsm, loss="dlr") == 0
