"""What paper B trains with on CPSC2018 beside closed forms: the rooted Jacobian, growing eps."""

import pytest
import torch
from torch import nn

from ecgadv import attacks
from ecgadv.attacks.gradient import attack_loss, logit_gradient
from ecgadv.defenses import adversarial, jacobian
from ecgadv.errors import EcgadvError
from ecgadv.experiments.growing import Growing
from ecgadv.models import pullback
from ecgadv.threat import Threat
from ecgadv.training import Samples, Schedule, _batch


class Linear(nn.Module):
    """Logits W x of x (B, 1, L); every record has the Jacobian W."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return x.squeeze(1) @ self.weight.T


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return Linear(torch.randn(3, 5, dtype=torch.float64))


X = torch.linspace(-1, 1, 20, dtype=torch.float64).view(4, 1, 5)


def test_rooted_falls_with_the_batch_and_frobenius_does_not(linear):
    length = linear.weight.norm()
    for batch in (1, 4):
        given = pullback(linear, X[:batch])
        rooted = jacobian.penalty(*given, norm="rooted", divisor=3)
        assert torch.isclose(rooted, length / (3 * batch**0.5))
        assert torch.isclose(jacobian.penalty(*given, norm="frobenius", divisor=3), length / 3)
        assert torch.isclose(jacobian.penalty(*given, norm="l2", divisor=3), length**2 / 3)


def test_random_signs_have_the_same_mean_square(linear):
    given = pullback(linear, X)
    exact = jacobian.penalty(*given, norm="l2", divisor=1)
    torch.manual_seed(0)
    found = jacobian.penalty(*given, norm="l2", divisor=1, projections=2000)
    assert found.item() == pytest.approx(exact.item(), rel=0.05)
    with pytest.raises(EcgadvError, match="not norm 'l1'"):
        jacobian.penalty(*given, norm="l1", divisor=1, projections=2)
    with pytest.raises(EcgadvError, match="unknown norm 'l3'"):
        jacobian.penalty(*given, norm="l3", divisor=1)


def test_soft_margin_and_its_gradient():
    z = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 1])
    found = attack_loss("soft-margin", z, y)
    by_hand = torch.stack([z[0, 1:].logsumexp(0) - z[0, 0], z[1, [0, 2]].logsumexp(0) - z[1, 1]])
    assert torch.allclose(found, by_hand)
    (slope,) = torch.autograd.grad(found.sum(), z)
    assert torch.allclose(logit_gradient("soft-margin", z.detach(), y), slope)


def test_only_what_is_read_right_is_attacked(linear):
    with torch.no_grad():
        y = linear(X).argmax(-1)
    y[1] = (y[1] + 1) % 3
    seen = []

    def attack(model, x, labels, *, mask):
        seen.append(x)
        return x + 1

    found = adversarial.loss(linear, X, y, attack=attack, correct_only=True)
    right = torch.tensor([0, 2, 3])
    assert torch.equal(seen[0], X[right])
    ce = nn.functional.cross_entropy
    moved = ce(linear(X[right] + 1), y[right], reduction="sum") / 4
    assert torch.isclose(found, 0.5 * ce(linear(X), y) + 0.5 * moved)
    with torch.no_grad():
        wrong = (linear(X).argmax(-1) + 1) % 3
    none = adversarial.loss(linear, X, wrong, attack=attack, correct_only=True)
    assert torch.isclose(none, 0.5 * ce(linear(X), wrong)) and len(seen) == 1
    with pytest.raises(EcgadvError, match="and labels"):
        soft = torch.eye(3, dtype=torch.float64)[[0, 1, 2, 0]]
        adversarial.loss(linear, X, soft, attack=attack, correct_only=True)


def test_eps_and_steps_grow_to_the_last_epoch(linear):
    seen = []

    def attack(model, x, y, threat, *, mask, step_size):
        seen.append((threat.eps, step_size))
        return x

    growing = Growing(attack, Threat(0.6), relative_step=0.2, first=10, epochs=70)
    growing(linear, X, None, mask=None)
    for epoch in (10, 39, 69):
        growing.begin(epoch)
        growing(linear, X, None, mask=None)
    eps, steps = zip(*seen, strict=True)
    assert eps == pytest.approx((0.6, 0.01, 0.3, 0.6))  # eps (e - 9) / 60
    assert steps == pytest.approx([0.2 * e for e in eps])


def test_the_start_reaches_the_padding_only_if_asked(linear):
    seen, mask = [], torch.tensor([[[True, True, True, False, False]]]).expand(4, 1, 5)

    class Watching(Linear):
        def forward(self, x):
            seen.append(x.detach().clone())
            return super().forward(x)

    network, y = Watching(linear.weight.detach()), torch.zeros(4, dtype=torch.int64)
    for free in (False, True):
        seen.clear()
        options = {"steps": 1, "step_size": 0.1, "keep": "last", "mask_start": not free}
        found = attacks.pgd(network, X, y, Threat(0.5), mask=mask, **options)
        assert torch.equal((seen[0] != X)[..., 3:].any(), torch.tensor(free))
        assert torch.equal(found[..., 3:], X[..., 3:])
    with pytest.raises(EcgadvError, match="mask_start=False needs"):
        attacks.pgd(network, X, y, Threat(0.5), steps=1, step_size=0.1, mask_start=False)


def test_a_training_batch_moves_earlier_with_its_mask():
    x = torch.zeros(50, 2, 30)
    x[..., 10:] = torch.arange(20.0) + 1
    mask = (torch.arange(30) >= 10).expand(50, 1, 30)
    samples = Samples(x, torch.zeros(50, dtype=torch.int64), mask)
    index = torch.arange(50)
    torch.manual_seed(0)
    moved, seen = _batch(samples, index, 8)
    starts = seen[:, 0].int().argmax(-1)
    assert set(starts.tolist()) == set(range(3, 11))  # by 0 to 7 samples
    for row, start in enumerate(starts.tolist()):
        assert torch.equal(moved[row, 0, start : start + 20], x[0, 0, 10:])
        assert seen[row].sum() == 20 and moved[row].count_nonzero() == 40
    assert torch.equal(_batch(samples, index, 0)[0], x)
    with pytest.raises(EcgadvError, match="shift is -1"):
        Schedule(shift=-1)
