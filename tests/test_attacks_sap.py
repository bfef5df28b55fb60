"""SAP's one kernel against its definition with 25 kernels, and what its perturbations keep."""

import math

import pytest
import torch
from torch import nn

from ecgadv.attacks import sap, sap_kernel
from ecgadv.attacks.sap import smooth
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def gaussian(size, sigma):
    t = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-0.5 * (t / sigma) ** 2)
    return weights / weights.sum()


OPTIONS = {"pgd_steps": 4, "smooth_steps": 6, "step_size": 0.02}
KERNELS = [gaussian(size, sigma) for size in (5, 7, 11, 15, 19) for sigma in (1, 3, 5, 7, 10)]


def smooth_by_25_convolutions(theta):
    """Mean over the kernels of theta (B, C, L) convolved with each, zero 'same' padding."""
    flat = theta.reshape(-1, 1, theta.shape[-1])
    total = 0
    for kernel in KERNELS:
        total = total + nn.functional.conv1d(
            flat, kernel.to(theta.dtype).view(1, 1, -1), padding=len(kernel) // 2
        )
    return (total / len(KERNELS)).view(theta.shape)


def sap_by_definition(model, x, y, eps, low=-9.0, high=9.0, options=None):
    """Both phases with a loss value and autograd through all 25 convolutions; last iterate."""
    options = options or OPTIONS

    def climb(theta, perturb, steps):
        for _ in range(steps):
            theta = theta.detach().requires_grad_()
            logits = model((x + perturb(theta)).clamp(low, high))
            loss = nn.functional.cross_entropy(logits, y, reduction="sum")
            ascent = torch.autograd.grad(loss, theta)[0].sign()
            theta = (theta.detach() + options["step_size"] * ascent).clamp(-eps, eps)
        return theta

    rough = climb(torch.zeros_like(x), lambda theta: theta, options["pgd_steps"])
    start = (x + rough).clamp(low, high) - x
    theta = climb(start, smooth_by_25_convolutions, options["smooth_steps"])
    return (x + smooth_by_25_convolutions(theta)).clamp(low, high)


class Network(nn.Module):
    """A small network in float64; its masked mean over time makes padding invisible to it."""

    uses_mask = True

    def __init__(self, leads=1, classes=3):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.first = nn.Conv1d(leads, 8, 1).double()
            self.last = nn.Linear(8, classes).double()

    def forward(self, x, mask=None):
        features = torch.tanh(3 * self.first(x))
        if mask is None:
            return 5 * self.last(features.mean(-1))
        return 5 * self.last((features * mask).sum(-1) / mask.sum(-1))


def batch(*shape, seed=0):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, Network(shape[-2])(x).argmax(-1)


def test_kernel_has_the_published_gains():
    kernel = sap_kernel()
    assert kernel.shape == (19,) and kernel.dtype == torch.float64
    assert math.isclose(kernel.sum(), 1.0, abs_tol=1e-14)
    torch.testing.assert_close(kernel, kernel.flip(0), atol=1e-16, rtol=0)
    assert math.isclose(kernel.norm(), 0.337, abs_tol=5e-4)
    for hertz, gain in {5: 0.96, 10: 0.85, 20: 0.55, 30: 0.33, 40: 0.22, 60: 0.07}.items():
        t = torch.arange(-9, 10, dtype=torch.float64)
        amplitude = float((kernel * torch.cos(2 * math.pi * hertz / 300 * t)).sum())
        assert math.isclose(amplitude, gain, abs_tol=0.0051)
    at_100 = float((kernel * torch.cos(2 * math.pi * 100 / 300 * t)).sum())
    assert math.isclose(abs(at_100), 0.004, abs_tol=5e-4)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (3, 1, 187), (2, 2, 1001)])
def test_one_kernel_equals_twenty_five(shape):
    theta = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(smooth(theta), smooth_by_25_convolutions(theta), atol=1e-6, rtol=0)


def test_smoothing_is_its_own_adjoint():
    generator = torch.Generator().manual_seed(1)
    u, v = torch.randn(2, 1, 40, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((smooth(u) * v).sum(), (u * smooth(v)).sum())


@pytest.mark.parametrize("shape", [(1, 1, 30), (4, 2, 51)])
def test_equals_its_definition(shape):
    x, y = batch(*shape)
    model = Network(shape[1])
    expected = sap_by_definition(model, x, y, 0.06)
    found = sap(model, x, y, Threat(0.06), keep="last", **OPTIONS)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert (found - x).abs().max() <= 0.06 + 1e-12


def test_mask_only_afterwards_restores_the_padding_of_the_faithful_attack():
    x, y = batch(3, 1, 40)
    mask = torch.arange(40) < torch.tensor([40, 31, 12]).view(3, 1, 1)

    class Blind(Network):
        uses_mask = False

    expected = torch.where(mask, sap_by_definition(Blind(), x, y, 0.06), x)
    found = sap(Blind(), x, y, Threat(0.06), keep="last", mask=mask, mask_inside=False, **OPTIONS)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    inside = sap(Blind(), x, y, Threat(0.06), keep="last", mask=mask, **OPTIONS)
    assert not torch.allclose(inside, found)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_mask_inside_equals_the_recording_without_padding(keep):
    short, y = batch(2, 1, 25)
    padded = nn.functional.pad(short, (6, 14))
    mask = nn.functional.pad(torch.ones(2, 1, 25, dtype=torch.bool), (6, 14))
    expected = sap(Network(), short, y, Threat(0.06), keep=keep, **OPTIONS)
    found = sap(Network(), padded, y, Threat(0.06), keep=keep, mask=mask, **OPTIONS)
    torch.testing.assert_close(found[..., 6:31], expected)
    assert not found[..., :6].any() and not found[..., 31:].any()


def test_best_breaks_whatever_any_smooth_iterate_breaks():
    model = Network()
    x, y = batch(40, 1, 60)
    threat = Threat(0.22)
    ever = torch.zeros(40, dtype=torch.bool)
    options = {"pgd_steps": 3, "step_size": 0.08}
    for steps in range(1, 9):
        last = sap(model, x, y, threat, smooth_steps=steps, keep="last", **options)
        ever |= model(last).argmax(-1) != y
    best = sap(model, x, y, threat, smooth_steps=8, **options)
    now = model(best).argmax(-1) != y
    assert (now >= ever).all() and 4 < int(now.sum()) < 36
    # What is returned is smooth: a rough example has far more energy at the highest frequency.
    ripple = (best - x).diff(dim=-1).norm() / (best - x).norm()
    assert ripple < 0.6


def levelled(model, x):
    """The network with logits of mean 0 over x (B, C, L), so that their classes differ."""
    model.last.bias.data -= model(x).detach().mean(0) / 5
    return model, model(x).argmax(-1)


def test_best_is_the_first_misclassified_iterate_or_that_of_highest_loss():
    x, _ = batch(40, 1, 60)
    model, y = levelled(Network(), x)
    options = {"pgd_steps": 1, "smooth_steps": 6, "step_size": 0.005}
    expected, broke_at = x.clone(), torch.full((40,), -1)
    highest = torch.full((40,), -torch.inf, dtype=torch.float64)
    for steps in range(7):
        iterate = sap_by_definition(model, x, y, 0.03, options=options | {"smooth_steps": steps})
        logits = model(iterate).detach()
        loss = nn.functional.cross_entropy(logits, y, reduction="none")
        wrong = logits.argmax(-1) != y
        better = (broke_at < 0) & (wrong | (loss > highest))
        expected[better], highest[better] = iterate[better], loss[better]
        broke_at[(broke_at < 0) & wrong] = steps
    assert {-1, 0, 1, 2} <= set(broke_at.tolist())
    found = sap(model, x, y, Threat(0.03), **options)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize(("low", "high"), [(0.2, 0.8), (0.2, None), (None, 0.8)])
def test_bounds_hold(low, high, keep):
    x, y = batch(6, 2, 50)
    threat, x = Threat(0.3, low=low, high=high), x.clamp(0.2, 0.8)
    found = sap(Network(2), x, y, threat, keep=keep, **OPTIONS)
    threat.check(found, x)
    assert (found == 0.2).any() or (found == 0.8).any()


class Rough(Network):
    """Neighbours pull in opposite directions, so what is clipped steers theta or does not."""

    def forward(self, x, mask=None):
        return super().forward(x * torch.linspace(-3, 3, x.shape[-1], dtype=x.dtype).sin())


def test_with_bounds_equals_its_definition_too():
    x, y = batch(6, 2, 50)
    x = x.clamp(0.4, 0.6)
    expected = sap_by_definition(Rough(2), x, y, 0.06, 0.4, 0.6)
    found = sap(Rough(2), x, y, Threat(0.06, low=0.4, high=0.6), keep="last", **OPTIONS)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_within_bounds_those_who_stay_go_on_as_if_alone():
    x, threat = batch(40, 1, 50)[0].clamp(0.3, 0.7), Threat(0.1, low=0.3, high=0.7)
    model, y = levelled(Rough(), x)
    options = {"pgd_steps": 2, "smooth_steps": 8, "step_size": 0.005}
    together = sap(model, x, y, threat, **options)
    assert 8 < int((model(together).argmax(-1) == y).sum()) < 32
    for i in range(40):
        alone = sap(model, x[i : i + 1], y[i : i + 1], threat, **options)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_budgets_per_sample_survive_the_shrinking_batch():
    x, y = batch(12, 1, 60)
    eps = torch.linspace(0.01, 0.5, 12, dtype=torch.float64).view(12, 1, 1)
    together = sap(Network(), x, y, Threat(eps), pgd_steps=3, smooth_steps=8, step_size=0.08)
    for i in range(12):
        alone = sap(Network(), x[i : i + 1], y[i : i + 1], Threat(float(eps[i])), pgd_steps=3,
                    smooth_steps=8, step_size=0.08)  # fmt: skip
        torch.testing.assert_close(together[i : i + 1], alone)


def test_leading_seed_dimension_equals_runs_of_single_seeds():
    class Stack(nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = nn.Parameter(weight)

        def forward(self, x):
            return torch.tanh(x.flatten(-2)) @ self.weight

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 40, 4, generator=generator, dtype=torch.float64)
    x = torch.rand(3, 5, 2, 20, generator=generator, dtype=torch.float64)
    y = torch.randint(4, (3, 5), generator=generator)
    for keep in ("best", "last"):
        together = sap(Stack(weight), x, y, Threat(0.06), keep=keep, **OPTIONS)
        for seed in range(3):
            rows = slice(seed, seed + 1)
            alone = sap(Stack(weight[rows]), x[rows], y[rows], Threat(0.06), keep=keep, **OPTIONS)
            torch.testing.assert_close(together[rows], alone)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pgd_steps": 0}, "pgd_steps is 0"),
        ({"smooth_steps": -1}, "smooth_steps is -1"),
        ({"step_size": -0.1}, "step_size is -0.1"),
        ({"threat": Threat(0.1, "l2")}, "sap knows only norm 'linf'"),
    ],
)
def test_bad_options_are_refused(change, words):
    x, y = batch(2, 1, 20)
    arguments = {"threat": Threat(0.1)} | OPTIONS | change
    with pytest.raises(EcgadvError, match=words):
        sap(Network(), x, y, **arguments)
