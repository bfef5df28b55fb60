"""NSR and Jacobian penalties against loops over samples and classes in float64 (PROTOCOLS 3.3)."""

import math

import numpy as np
import pytest
import torch

from ecgadv.defenses import jacobian, nsr
from ecgadv.errors import EcgadvError
from ecgadv.models import BeatCNN, BeatMLP
from ecgadv.models.stacking import stack

EPS0 = 0.01


def beats(n, length, *, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, length, dtype=torch.float64, generator=generator, **options)


def mlp(seed=0):
    """A ReLU network whose logits have either sign."""
    torch.manual_seed(seed)
    model = BeatMLP(length=9, classes=4, width=7).double()
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.normal_(std=0.3)
    return model


def labels_for(model, x, *, right):
    """Labels that the model gives to the first `right` samples, and wrong ones for the rest."""
    y = model(x).argmax(-1).detach()
    y[right:] = (y[right:] + 1) % 4
    return y


def by_hand(model, x):
    """Logits (B, K) and Jacobians (B, K, L) of the MLP as numpy products, sample by sample."""
    layers = [
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in model.layers
    ]
    logits, jacobians = [], []
    for sample in x.detach().numpy():
        h, slope = sample.ravel(), np.eye(sample.size)
        for depth, (weight, bias) in enumerate(layers):
            h, slope = weight @ h + bias, weight @ slope
            if depth < 3:
                slope = slope * (h > 0)[:, None]
                h = np.maximum(h, 0)
        logits.append(h)
        jacobians.append(slope)
    return np.array(logits), np.array(jacobians)


def nsr_by_hand(logits, jacobians, y, *, beta, gate, max_noise=1.0, stabiliser=EPS0):
    """L1 + L2 + beta * L3 in plain loops."""
    squares, terms, ratios = 0.0, [], []
    for z, rows, label in zip(logits, jacobians, y.tolist(), strict=True):
        for c, value in enumerate(z):
            squares += (value - (1.0 if c == label else 0.0)) ** 2
        if z.argmax() != label:
            continue
        for c, value in enumerate(z):
            if c != label and 0 < 1 - z[label] + value < 2:
                terms.append(1 - z[label] + value)
        norm = sum(abs(g) for g in rows[label])
        signal = abs(z[label])
        if gate and z[label] <= 0:
            norm = signal = 0.0
        ratios.append(max_noise * norm / (signal + stabiliser))
    margin = sum(terms) / len(terms) if terms else 0.0
    penalty = sum(math.log(1 + r) for r in ratios) / len(ratios) if ratios else 0.0
    return squares / len(logits) + margin + beta * penalty


@pytest.mark.parametrize("gate", [False, True])
def test_nsr_equals_loops_over_samples(gate):
    model, x = mlp(), beats(11, 9)
    y = labels_for(model, x, right=7)
    with torch.no_grad():
        top = model(x)[:7].max(-1).values
        model.layers[4].bias.sub_(top.median() + 1e-3)  # some are right with a negative logit
    logits, jacobians = by_hand(model, x)
    own = logits[np.arange(7), y[:7]]
    assert (own < 0).any()
    assert (own > 0).any()
    wanted = nsr_by_hand(logits, jacobians, y, beta=0.4, gate=gate)
    found = nsr.loss(model, x, y, beta=0.4, gate=gate)
    assert found.item() == pytest.approx(wanted, rel=1e-12)
    other = nsr_by_hand(logits, jacobians, y, beta=0.4, gate=not gate)
    assert found.item() != pytest.approx(other, rel=1e-3)


def test_nsr_options():
    model, x = mlp(), beats(6, 9)
    y = labels_for(model, x, right=6)
    wanted = nsr_by_hand(*by_hand(model, x), y, beta=1, gate=False, max_noise=0.3, stabiliser=0.5)
    found = nsr.loss(model, x, y, beta=1, max_noise=0.3, stabiliser=0.5)
    assert found.item() == pytest.approx(wanted, rel=1e-12)


def test_squared_error_and_margin_by_their_formulas():
    logits = torch.tensor(
        [[0.9, 0.4, -0.3], [0.2, 0.7, 0.6], [2.0, 0.1, 0.2], [0.3, 0.2, 0.1]], dtype=torch.float64
    )
    y = torch.tensor([0, 1, 0, 2])
    squares = [0.1**2 + 0.4**2 + 0.3**2, 0.2**2 + 0.3**2 + 0.6**2]
    squares += [1.0**2 + 0.1**2 + 0.2**2, 0.3**2 + 0.2**2 + 0.9**2]
    assert nsr.squared_error(logits, y).item() == pytest.approx(sum(squares) / 4)
    # Sample 0: 1 - .9 + .4 = .5 (and -.2 is out); sample 1: .5 and .9; sample 2: -.9, -.8 are out;
    # sample 3 is classified wrong.
    assert nsr.margin(logits, y).item() == pytest.approx((0.5 + 0.5 + 0.9) / 3)


def jacobian_by_hand(jacobians, norm, divisor):
    total = 0.0
    for rows in jacobians:
        for row in rows:
            total += sum(abs(g) if norm == "l1" else g * g for g in row)
    return total / (len(jacobians) * divisor)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("divisor", [1, 187])
def test_jacobian_equals_loops_over_samples_and_classes(norm, divisor):
    model, x = mlp(), beats(8, 9)
    y = labels_for(model, x, right=5)
    logits, jacobians = by_hand(model, x)
    entropy = 0.0
    for z, label in zip(logits, y.tolist(), strict=True):
        entropy -= z[label] - math.log(sum(math.exp(value) for value in z))
    wanted = entropy / 8 + 0.9 * jacobian_by_hand(jacobians, norm, divisor)
    found = jacobian.loss(model, x, y, beta=0.9, norm=norm, divisor=divisor)
    assert found.item() == pytest.approx(wanted, rel=1e-12)


def test_unknown_norm_of_the_jacobian():
    with pytest.raises(EcgadvError, match=r"unknown norm 'linf' of the Jacobian; choose l1, l2, "):
        jacobian.loss(mlp(), beats(2, 9), torch.tensor([0, 1]), beta=1.0, norm="linf")


PENALTIES = {
    "nsr": lambda model, x, y, **more: nsr.loss(model, x, y, beta=0.4, **more),
    "nsr, gate": lambda model, x, y, **more: nsr.loss(model, x, y, beta=0.4, gate=True, **more),
    "jacobian, l1": lambda model, x, y, **more: jacobian.loss(model, x, y, beta=0.9, **more),
    "jacobian, l2": lambda model, x, y, **more: jacobian.loss(
        model, x, y, beta=0.9, norm="l2", divisor=3, **more
    ),
}
each_penalty = pytest.mark.parametrize("loss", PENALTIES.values(), ids=PENALTIES)


def one_by_one(model, x, y, name):
    """The same losses from one sample and one logit at a time, differentiable."""
    rows, zs = [], []
    for sample in x:
        sample = sample[None].clone().requires_grad_()
        z = model(sample)[0]
        grads = [torch.autograd.grad(v, sample, create_graph=True)[0].flatten() for v in z]
        rows.append(torch.stack(grads))
        zs.append(z)
    if name.startswith("jacobian"):
        entropy = sum(z.logsumexp(0) - z[label] for z, label in zip(zs, y, strict=True))
        power, divisor = (1, 187) if name.endswith("l1") else (2, 3)
        penalty = sum(row.abs().pow(power).sum() for row in rows)
        return entropy / len(x) + 0.9 * penalty / (len(x) * divisor)
    total, terms, logs = 0.0, [], []
    for z, row, label in zip(zs, rows, y.tolist(), strict=True):
        total = total + sum((v - float(c == label)) ** 2 for c, v in enumerate(z))
        if int(z.argmax()) != label:
            continue
        terms += [1 - z[label] + v for c, v in enumerate(z) if c != label and 1 - z[label] + v > 0]
        if name.endswith("gate") and z[label] <= 0:
            logs.append(torch.zeros((), dtype=z.dtype))
        else:
            logs.append(torch.log(1 + row[label].abs().sum() / (z[label].abs() + EPS0)))
    margin = sum(terms) / len(terms) if terms else 0.0
    return total / len(x) + margin + 0.4 * sum(logs) / max(len(logs), 1)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_parameter_gradients_equal_those_of_single_samples(name, kind):
    torch.manual_seed(3)
    cnn = BeatCNN(length=160, classes=4, width=3).double()
    model, x = (mlp(), beats(6, 9)) if kind == "mlp" else (cnn, beats(4, 160))
    y = labels_for(model, x, right=3)
    found, wanted = PENALTIES[name](model, x, y), one_by_one(model, x, y, name)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found, parameters, materialize_grads=True)
    theirs = torch.autograd.grad(wanted, parameters, materialize_grads=True)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-11)
    assert any(gradient.abs().max() > 0.01 for gradient in ours)


@each_penalty
def test_parameter_gradients_pass_gradcheck_on_a_smooth_network(loss):
    generator = torch.Generator().manual_seed(2)
    x, y = beats(3, 5), torch.tensor([0, 1, 2])

    def net(w1, b1, w2, b2):
        return lambda x: torch.tanh(x.flatten(-2) @ w1.T + b1) @ w2.T + b2

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    w1, b1, w2, b2 = draw(4, 5), draw(4), draw(3, 4), draw(3)
    y = net(w1, b1, w2, b2)(x).argmax(-1)
    y[0] = (y[0] + 1) % 3  # one sample is wrong
    assert torch.autograd.gradcheck(
        lambda *parameters: loss(net(*parameters), x, y), (w1, b1, w2, b2), atol=1e-6, rtol=1e-5
    )


@each_penalty
def test_seeds_side_by_side_sum_up(loss):
    models = [mlp(seed) for seed in range(3)]
    x = torch.stack([beats(6, 9, seed=seed) for seed in range(3)])
    # Another number of right answers in each, none at all in the last.
    right = (5, 2, 0)
    y = torch.stack([labels_for(*p, right=n) for *p, n in zip(models, x, right, strict=True)])
    stacked = stack(models)
    together = loss(stacked, x, y)
    alone = sum(loss(model, *part) for model, *part in zip(models, x, y, strict=True))
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0.0)
    ours = torch.autograd.grad(together, list(stacked.parameters()))
    theirs = torch.autograd.grad(alone, [p for model in models for p in model.parameters()])
    for index, gradient in enumerate(ours):
        each = torch.stack(theirs[index :: len(ours)])
        torch.testing.assert_close(gradient, each, rtol=1e-10, atol=1e-12)


@each_penalty
def test_no_sample_classified_right_gives_numbers(loss):
    model, x = mlp(), beats(5, 9)
    y = labels_for(model, x, right=0)
    value = loss(model, x, y)
    value.backward()
    assert value.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_without_a_right_sample_nsr_is_the_squared_error():
    model, x = mlp(), beats(5, 9)
    y = labels_for(model, x, right=0)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(nsr.loss(model, x, y, beta=0.4), parameters)
    plain = torch.autograd.grad(nsr.squared_error(model(x), y), parameters)
    for mine, other in zip(gradients, plain, strict=True):
        torch.testing.assert_close(mine, other)


@each_penalty
def test_input_and_flags_stay_as_they_were(loss):
    model, x = mlp(), beats(5, 9)
    y, before = labels_for(model, x, right=3), x.clone()
    loss(model, x, y, mask=None).backward()
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert x.grad is None
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


@each_penalty
def test_mask_reaches_a_network_that_uses_one(loss):
    class Masked(torch.nn.Module):
        uses_mask = True

        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x, mask=None):
            return self.inner(x * mask)

    x = beats(4, 9)
    mask = torch.ones(4, 1, 9, dtype=torch.bool)
    y = labels_for(mlp(), x, right=2)
    assert loss(Masked(), x, y, mask=mask).item() == loss(mlp(), x, y).item()
    mask[..., 5:] = False
    assert loss(Masked(), x, y, mask=mask).item() != loss(mlp(), x, y).item()
