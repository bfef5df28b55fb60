"""Attacks on soft labels: the gradient of S_q in closed form, and what has no meaning with them."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from ecgadv.attacks import adamax_pgd, fgsm, pgd, sap, uniform_noise
from ecgadv.attacks.gradient import logit_gradient
from ecgadv.errors import EcgadvError
from ecgadv.models import BeatMLP
from ecgadv.models.stacking import stack
from ecgadv.threat import Threat

LAST = {
    "fgsm": fgsm,
    "pgd": partial(pgd, steps=3, step_size=0.1, random_start=False, keep="last"),
    "pgd, l2": partial(pgd, steps=3, step_size=0.1, random_start=False, keep="last"),
    "sap": partial(sap, pgd_steps=2, smooth_steps=2, step_size=0.1, keep="last"),
    "sap, train mode": partial(
        sap, pgd_steps=2, smooth_steps=2, step_size=0.1, keep="last", train_mode=True
    ),
}
BEST = {
    "pgd": partial(pgd, steps=2, step_size=0.1),
    "sap": partial(sap, pgd_steps=2, smooth_steps=2, step_size=0.1),
    "adamax_pgd": partial(adamax_pgd, steps=2, step_size=0.1),
}
each_last = pytest.mark.parametrize("name", LAST)


class Linear(nn.Module):
    """z = W x + b."""

    def __init__(self, length, classes):
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.weight = nn.Parameter(
            torch.randn(classes, length, dtype=torch.float64, generator=generator)
        )
        self.bias = nn.Parameter(torch.randn(classes, dtype=torch.float64, generator=generator))

    def forward(self, x):
        return x[..., 0, :] @ self.weight.T + self.bias


def setting(n=6, length=12, classes=4):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 1, length, dtype=torch.float64, generator=generator)
    q = torch.rand(n, classes, dtype=torch.float64, generator=generator)
    return Linear(length, classes), x, q / q.sum(-1, keepdim=True)


def threat_of(name):
    return Threat(0.3, "l2" if name.endswith("l2") else "linf")


def one_hot(y, classes):
    return nn.functional.one_hot(y, classes).double()


@pytest.mark.parametrize("shape", [(5,), (2, 5)])
def test_the_gradient_to_the_logits_is_that_of_the_soft_cross_entropy(shape):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(*shape, 4, dtype=torch.float64, generator=generator)
    q = torch.rand(*shape, 4, dtype=torch.float64, generator=generator).softmax(-1)
    logits.requires_grad_()
    (wanted,) = torch.autograd.grad(-(q * logits.log_softmax(-1)).sum(), logits)
    torch.testing.assert_close(logit_gradient("ce", logits.detach(), q), wanted)


def test_fgsm_follows_the_closed_form_of_a_linear_network():
    model, x, q = setting()
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    wanted = []
    for sample, target in zip(x.numpy(), q.numpy(), strict=True):
        p = softmax(weight @ sample[0] + bias)
        wanted.append(sample + 0.3 * np.sign(weight.T @ (p - target)))
    np.testing.assert_allclose(fgsm(model, x, q, Threat(0.3)).numpy(), wanted, rtol=1e-12)
    # Not what the most probable labels would give.
    assert not torch.equal(
        fgsm(model, x, q, Threat(0.3)), fgsm(model, x, q.argmax(-1), Threat(0.3))
    )


def test_pgd_follows_a_loop_over_a_linear_network():
    model, x, q = setting()
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    wanted = []
    for sample, target in zip(x.numpy(), q.numpy(), strict=True):
        moved = sample.copy()
        for _ in range(5):
            p = softmax(weight @ moved[0] + bias)
            moved += 0.1 * np.sign(weight.T @ (p - target))
            moved = sample + np.clip(moved - sample, -0.25, 0.25)
        wanted.append(moved)
    found = pgd(model, x, q, Threat(0.25), steps=5, step_size=0.1, random_start=False, keep="last")
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


def test_soft_labels_equal_to_the_prediction_leave_no_gradient():
    model, x, _ = setting()
    q = model(x).softmax(-1).detach()
    assert torch.equal(fgsm(model, x, q, Threat(0.3)), x)


@each_last
def test_one_hot_soft_labels_are_labels(name):
    model, x, q = setting()
    y, threat = q.argmax(-1), threat_of(name)
    soft = LAST[name](model, x, one_hot(y, 4), threat)
    torch.testing.assert_close(soft, LAST[name](model, x, y, threat))
    assert not torch.equal(soft, x)


@each_last
def test_soft_labels_of_seeds_side_by_side(name):
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        models.append(BeatMLP(length=12, classes=4, width=6).double())
    _, x, q = setting()
    xs, qs, threat = torch.stack([x, -x]), torch.stack([q, q.flip(-1)]), threat_of(name)
    together = LAST[name](stack(models), xs, qs, threat)
    for seed, model in enumerate(models):
        torch.testing.assert_close(together[seed], LAST[name](model, xs[seed], qs[seed], threat))


@each_last
def test_soft_labels_keep_to_the_mask(name):
    model, x, q = setting()
    mask = (torch.arange(12) < 8).expand(6, 1, 12)
    x_adv = LAST[name](model, x, q, threat_of(name), mask=mask)
    assert torch.equal(x_adv[..., 8:], x[..., 8:])
    assert not torch.equal(x_adv[..., :8], x[..., :8])


def test_soft_labels_in_bfloat16():
    torch.manual_seed(0)
    model = BeatMLP(length=12, classes=4, width=6)
    _, x, q = setting()
    with torch.autocast("cpu", torch.bfloat16):
        x_adv = LAST["sap"](model, x.float(), q.float(), Threat(0.3))
    assert x_adv.dtype == torch.float32
    assert x_adv.isfinite().all()
    assert not torch.equal(x_adv, x.float())


def test_noise_needs_no_labels_at_all():
    model, x, q = setting()
    draws = [
        uniform_noise(model, x, y, Threat(0.3), generator=torch.Generator().manual_seed(0))
        for y in (q, q.argmax(-1))
    ]
    assert torch.equal(*draws)


@pytest.mark.parametrize("attack", BEST.values(), ids=BEST)
def test_no_example_is_the_best_with_soft_labels(attack):
    model, x, q = setting()
    with pytest.raises(EcgadvError, match=r"^soft labels y do not say .* keep='last'$"):
        attack(model, x, q, Threat(0.3))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("attack", [fgsm, LAST["pgd"], LAST["sap"]])
def test_the_margin_knows_no_soft_labels(attack):
    model, x, q = setting()
    with pytest.raises(EcgadvError, match=r"^soft labels y do not say .* use loss='ce'"):
        attack(model, x, q, Threat(0.3), loss="margin")


@each_last
def test_soft_labels_of_another_shape(name):
    model, x, q = setting()
    threat = threat_of(name)
    with pytest.raises(EcgadvError, match=r"y is torch\.float64 of shape \(5, 4\), x of shape"):
        LAST[name](model, x, q[:5], threat)
    with pytest.raises(EcgadvError, match=r"soft labels of shape \(6, 3\) do not match logits"):
        LAST[name](model, x, q[:, :3], threat)
    # Probabilities of one class would broadcast, labels that are floats are a mistake.
    with pytest.raises(EcgadvError, match=r"soft labels of shape \(6, 1\) do not match logits"):
        LAST[name](model, x, q[:, :1], threat)
    with pytest.raises(EcgadvError, match=r"or one row of probabilities"):
        LAST[name](model, x, q.argmax(-1).double(), threat)
