"""Penalties of paper A on networks that couple the samples of a batch (rows A14 to A17)."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from ecgadv.defenses import jacobian, nsr
from ecgadv.errors import EcgadvError
from ecgadv.models import BeatMLP, build

PAPER_A = {"beta": 44.0, "norm": "l2", "divisor": 1}


def coupled():
    """A smooth network with batch norm, in training mode."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(-2), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)
    ).double()


def setting():
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(12, 1, 6, dtype=torch.float64, generator=generator)
    y = coupled()(x).argmax(-1)
    y[:3] = (y[:3] + 1) % 3
    return coupled(), x, y


def slopes(model, x, label, step=1e-5):
    """Gradient of sum_n z_label(x_n) to x (B, C, L) by central differences."""
    gradient = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        sums = []
        for sign in (1, -1):
            moved = x.clone()
            moved[place] += sign * step
            with torch.no_grad():
                sums.append(float(model(moved)[:, label].sum()))
        gradient[place] = (sums[0] - sums[1]) / (2 * step)
    return gradient


def entropy_by_hand(logits, y):
    rows = zip(logits.detach().numpy(), y.tolist(), strict=True)
    return -sum(log_softmax(z)[label] for z, label in rows) / len(y)


def test_the_jacobian_of_paper_a_is_the_mean_squared_frobenius_norm():
    model, x, y = setting()
    norms = [float((slopes(model, x, label) ** 2).sum()) for label in range(3)]
    wanted = entropy_by_hand(model(x), y) + 44 * sum(norms) / 12
    assert jacobian.loss(model, x, y, **PAPER_A).item() == pytest.approx(wanted, rel=1e-8)


def han():
    torch.manual_seed(0)
    model = build("han-cnn", classes=4, width=1 / 16).double()
    with torch.no_grad():
        model.output.weight.mul_(5)
    return model


def frobenius(logits, x):
    """Mean squared Frobenius norm, class by class and sample by sample."""
    total = 0.0
    for label in range(logits.shape[-1]):
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), x, create_graph=True)
        for sample in gradient:
            total = total + sample.square().sum()
    return total / len(x)


@pytest.mark.parametrize("own_pass", [False, True])
def test_the_jacobian_of_hans_network_in_training(own_pass):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(5, 1, 70, dtype=torch.float64, generator=generator)
    y = torch.tensor([0, 1, 2, 3, 1])
    model, other = han(), han()
    torch.manual_seed(9)
    found = jacobian.loss(model, x, y, **PAPER_A, own_pass=own_pass)

    torch.manual_seed(9)  # the same units drop out
    inputs = x.clone().requires_grad_()
    logits = other(inputs)
    entropy = nn.functional.cross_entropy(logits, y)
    if own_pass:
        logits = other(inputs)
    penalty = frobenius(logits, inputs)
    wanted = entropy + 44 * penalty
    assert 44 * penalty > 0.1
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=0.0)
    ours = torch.autograd.grad(found, list(model.parameters()))
    theirs = torch.autograd.grad(wanted, list(other.parameters()))
    for mine, brute in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, brute, rtol=1e-8, atol=1e-10)
    for mine, brute in zip(model.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, brute)
    assert model.blocks[0].norm.num_batches_tracked == (2 if own_pass else 1)


def squares_and_margin(logits, y):
    """L1 + L2 in plain loops."""
    squares, terms = 0.0, []
    for z, label in zip(logits.detach().numpy(), y.tolist(), strict=True):
        squares += sum((value - float(c == label)) ** 2 for c, value in enumerate(z))
        if z.argmax() == label:
            terms += [
                1 - z[label] + v for c, v in enumerate(z) if c != label and 1 - z[label] + v > 0
            ]
    return squares / len(y) + sum(terms) / len(terms)


def class_by_class(model, x, y, *, max_noise=1.0):
    """L3 from one pass for each class over its samples that the whole batch gets right."""
    with torch.no_grad():
        correct = model(x).argmax(-1) == y
    logs = []
    for label in range(3):
        members = [n for n in range(len(y)) if correct[n] and y[n] == label]
        if not members:
            continue
        with torch.no_grad():
            signals = model(x[members])[:, label].tolist()
        gradients = slopes(model, x[members], label)
        for signal, gradient in zip(signals, gradients, strict=True):
            ratio = max_noise * np.abs(gradient).sum() / (abs(signal) + 0.01)
            logs.append(math.log(1 + ratio))
    return sum(logs) / len(logs)


@pytest.mark.parametrize("max_noise", [1.0, 250.0])
def test_nsr_with_a_pass_for_each_class_equals_loops(max_noise):
    model, x, y = setting()
    assert y[3:].bincount().min() > 1  # batch norm needs two samples of every class
    l3 = class_by_class(model, x, y, max_noise=max_noise)
    wanted = squares_and_margin(model(x), y) + 0.7 * l3
    options = {"beta": 0.7, "max_noise": max_noise}
    found = nsr.loss(model, x, y, per_class_pass=True, **options)
    assert found.item() == pytest.approx(wanted, rel=1e-8)
    assert found.item() != pytest.approx(nsr.loss(model, x, y, **options).item(), rel=1e-3)


def test_passes_for_each_class_move_the_running_statistics():
    model, x, y = setting()
    norm = model[2]
    nsr.loss(model, x, y, beta=1.0)
    assert norm.num_batches_tracked == 1
    before = copy.deepcopy(model)
    nsr.loss(model, x, y, beta=1.0, per_class_pass=True)
    assert norm.num_batches_tracked == 1 + 1 + 3
    with torch.no_grad():
        correct = before(x).argmax(-1) == y
        for label in range(3):
            before(x[correct & (y == label)])
    torch.testing.assert_close(norm.running_mean, before[2].running_mean)
    torch.testing.assert_close(norm.running_var, before[2].running_var)


@pytest.mark.parametrize("gate", [False, True])
def test_passes_change_nothing_without_batch_norm_and_dropout(gate):
    torch.manual_seed(2)
    model = BeatMLP(length=6, classes=3, width=7).double()
    _, x, _ = setting()
    y = model(x).argmax(-1)
    y[:4] = (y[:4] + 1) % 3
    losses = [
        lambda **more: jacobian.loss(model, x, y, **PAPER_A, **more),
        lambda **more: nsr.loss(model, x, y, beta=1.0, gate=gate, **more),
    ]
    for loss, option in zip(losses, ("own_pass", "per_class_pass"), strict=True):
        one, several = loss(), loss(**{option: True})
        torch.testing.assert_close(one, several, rtol=1e-12, atol=0.0)
        gradients = [torch.autograd.grad(v, list(model.parameters())) for v in (one, several)]
        for mine, other in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


def test_gradients_through_the_passes_pass_gradcheck():
    _, x, y = setting()

    def net(w1, w2):
        def forward(x):
            h = x.flatten(-2) @ w1.T
            return torch.tanh((h - h.mean(0)) / (h.var(0, correction=0) + 0.1).sqrt()) @ w2.T

        return forward

    generator = torch.Generator().manual_seed(5)
    w1 = torch.randn(4, 6, dtype=torch.float64, generator=generator).requires_grad_()
    w2 = torch.randn(3, 4, dtype=torch.float64, generator=generator).requires_grad_()
    y = net(w1, w2)(x).argmax(-1)
    y[0] = (y[0] + 1) % 3
    for loss in (
        lambda *w: jacobian.loss(net(*w), x, y, **PAPER_A, own_pass=True),
        lambda *w: nsr.loss(net(*w), x, y, beta=1.0, per_class_pass=True),
    ):
        assert torch.autograd.gradcheck(loss, (w1, w2), atol=1e-5, rtol=1e-4)


def test_a_batch_with_no_right_sample_has_no_noise_to_signal_ratio():
    model, x, _ = setting()
    y = (coupled()(x).argmax(-1) + 1) % 3
    wanted = nsr.squared_error(model(x), y)
    found = nsr.loss(model, x, y, beta=1.0, per_class_pass=True)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert model[2].num_batches_tracked == 2  # the two passes of the whole batch
    found.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_mask_is_that_of_the_class():
    class Masked(nn.Module):
        uses_mask = True

        def __init__(self):
            super().__init__()
            self.inner = coupled().eval()

        def forward(self, x, mask=None):
            return self.inner(x * mask)

    x = setting()[1]
    mask = torch.arange(6) < torch.arange(1, 13)[:, None, None]
    y = Masked()(x, mask).argmax(-1)
    found = nsr.loss(Masked(), x, y, mask, beta=1.0, per_class_pass=True)
    wanted = nsr.loss(Masked(), x, y, mask, beta=1.0)
    torch.testing.assert_close(found, wanted)
    own = jacobian.loss(Masked(), x, y, mask, **PAPER_A, own_pass=True)
    torch.testing.assert_close(own, jacobian.loss(Masked(), x, y, mask, **PAPER_A))


def test_a_pass_for_each_class_takes_one_seed_at_a_time():
    model, x, y = setting()
    with pytest.raises(EcgadvError, match=r"per_class_pass=True with x of shape \(1, 12, 1, 6\)"):
        nsr.loss(model.eval(), x[None], y[None], beta=1.0, per_class_pass=True)
