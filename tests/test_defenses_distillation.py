"""Soft labels, temperature and ADT's loss against loops in float64 (PROTOCOLS 2.4)."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from ecgadv import attacks
from ecgadv.defenses import adversarial, cross_entropy
from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.defenses.distillation import soft_labels
from ecgadv.errors import EcgadvError
from ecgadv.models import BeatMLP, build
from ecgadv.models.stacking import stack
from ecgadv.threat import Threat


def mlp(seed=0):
    torch.manual_seed(seed)
    return BeatMLP(length=8, classes=3, width=6).double()


def setting(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(5, 1, 8, dtype=torch.float64, generator=generator)
    q = torch.rand(5, 3, dtype=torch.float64, generator=generator)
    return mlp(seed), x, q / q.sum(-1, keepdim=True)


def by_hand(logits, q, temperature):
    """Mean of -sum_c q_c log softmax(z / T)_c, sample by sample and class by class."""
    total = 0.0
    for z, target in zip(logits.detach().numpy(), q.numpy(), strict=True):
        log_p = log_softmax(z / temperature)
        total -= sum(target[c] * log_p[c] for c in range(len(z)))
    return total / len(q)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 20.0])
def test_the_loss_on_soft_labels_is_a_loop_over_samples_and_classes(temperature):
    model, x, q = setting()
    wanted = by_hand(model(x), q, temperature)
    found = cross_entropy.loss(model, x, q, temperature=temperature)
    assert found.item() == pytest.approx(wanted, rel=1e-12)
    summed = cross_entropy.loss(model, x, q, temperature=temperature, summed=True)
    assert summed.item() == pytest.approx(5 * wanted, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_one_hot_soft_labels_give_the_cross_entropy_of_the_labels(temperature):
    model, x, q = setting()
    y = q.argmax(-1)
    one_hot = nn.functional.one_hot(y, 3).double()
    hard = cross_entropy.loss(model, x, y, temperature=temperature)
    assert hard.item() == pytest.approx(by_hand(model(x), one_hot, temperature), rel=1e-12)
    soft = cross_entropy.loss(model, x, one_hot, temperature=temperature)
    assert soft.item() == pytest.approx(hard.item(), rel=1e-12)


def test_the_loss_is_least_at_the_teachers_own_logits():
    _, _, q = setting()
    entropy = -sum(p * math.log(p) for p in q.flatten().tolist()) / 5
    logits = (4 * q.log() + 1.5).requires_grad_()  # softmax(z / 4) = q
    found = mean_cross_entropy(logits, q, 4.0)
    assert found.item() == pytest.approx(entropy, rel=1e-12)
    (gradient,) = torch.autograd.grad(found, logits)
    assert gradient.abs().max() < 1e-15


def test_the_gradient_to_the_logits_has_its_closed_form():
    model, x, q = setting()
    logits = model(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(mean_cross_entropy(logits, q, 3.0), logits)
    wanted = (softmax(logits.detach().numpy() / 3, axis=-1) - q.numpy()) / (3 * 5)
    np.testing.assert_allclose(gradient.numpy(), wanted, rtol=1e-10, atol=1e-16)


def test_a_high_temperature_levels_everything():
    model, x, q = setting()
    found = cross_entropy.loss(model, x, q, temperature=1e9)
    assert found.item() == pytest.approx(math.log(3), rel=1e-8)
    labels = soft_labels(model, x, temperature=1e9, train_mode=False)
    torch.testing.assert_close(labels, torch.full_like(q, 1 / 3), rtol=1e-8, atol=0.0)


@pytest.mark.parametrize("temperature", [0, -2.0, math.inf, math.nan])
def test_bad_temperatures(temperature):
    model, x, q = setting()
    says = rf"^temperature is {temperature}; give a finite number above 0$"
    with pytest.raises(EcgadvError, match=says):
        cross_entropy.loss(model, x, q, temperature=temperature)
    with pytest.raises(EcgadvError, match=says):
        adversarial.loss(model, x, q, attack=same, temperature=temperature)
    with pytest.raises(EcgadvError, match=says):
        soft_labels(model, x, temperature=temperature, train_mode=False)


def same(model, x, y, *, mask):
    return x


def test_seeds_side_by_side_sum_up():
    models, xs, qs = zip(*(setting(seed) for seed in range(3)), strict=True)
    stacked, xs, qs = stack(models), torch.stack(xs), torch.stack(qs)
    alone = sum(by_hand(m(x), q, 2.0) for m, x, q in zip(models, xs, qs, strict=True))
    found = cross_entropy.loss(stacked, xs, qs, temperature=2.0, summed=True)
    assert found.item() == pytest.approx(5 * alone, rel=1e-12)
    attacked = sum(by_hand(m(-x), q, 2.0) for m, x, q in zip(models, xs, qs, strict=True))
    found = adversarial.loss(
        stacked, xs, qs, attack=lambda model, x, y, *, mask: -x, temperature=2.0, summed=True
    )
    assert found.item() == pytest.approx(5 * (alone + attacked) / 2, rel=1e-12)


class Linear(nn.Module):
    """z = W x, in which the attack is known in closed form."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        weight = 2 * torch.randn(3, 8, dtype=torch.float64, generator=generator)
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return x[:, 0] @ self.weight.T


def test_adt_attacks_without_the_temperature_and_trains_with_it():
    _, x, q = setting()
    model, eps, temperature = Linear(), 0.3, 7.0
    weight = model.weight.detach().numpy()

    def crafted(divisor):
        moved = []
        for sample, target in zip(x.numpy(), q.numpy(), strict=True):
            p = softmax(weight @ sample[0] / divisor)
            moved.append(sample + eps * np.sign(weight.T @ (p - target)))
        return torch.tensor(np.array(moved))

    def wanted(divisor):
        attacked = by_hand(model(crafted(divisor)), q, temperature)
        return 0.5 * (attacked + by_hand(model(x), q, temperature))

    attack = partial(attacks.fgsm, threat=Threat(eps))
    found = adversarial.loss(model, x, q, attack=attack, temperature=temperature)
    assert found.item() == pytest.approx(wanted(1.0), rel=1e-12)
    assert found.item() != pytest.approx(wanted(temperature), rel=1e-3)
    summed = adversarial.loss(model, x, q, attack=attack, temperature=temperature, summed=True)
    assert summed.item() == pytest.approx(5 * wanted(1.0), rel=1e-12)


def test_the_attacked_batch_goes_through_the_network_first():
    _, x, q = setting()
    seen = []

    def model(x):
        seen.append(x)
        return x[:, 0, :3]

    adversarial.loss(model, x, q, attack=lambda model, x, y, *, mask: x + 1)
    assert torch.equal(seen[0], x + 1)
    assert torch.equal(seen[1], x)


LOSSES = {
    "distillation": partial(cross_entropy.loss, temperature=2.0, summed=True),
    "adt": partial(
        adversarial.loss,
        attack=lambda model, x, y, *, mask: x + 0.2 * y[..., :1, None],
        temperature=2.0,
        summed=True,
    ),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_parameter_gradients_pass_gradcheck(loss):
    generator = torch.Generator().manual_seed(2)
    _, x, q = setting()

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    def value(w1, b1, w2):
        return loss(lambda x: torch.tanh(x.flatten(-2) @ w1.T + b1) @ w2.T, x, q)

    assert torch.autograd.gradcheck(value, (draw(4, 8), draw(4), draw(3, 4)))


def teacher():
    """Han's network, narrow, with running statistics that are not those of a batch."""
    torch.manual_seed(0)
    model = build("han-cnn", classes=4, width=1 / 16).double()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 1, 64, dtype=torch.float64))
        model.output.weight.mul_(5)
    return model


@pytest.fixture(scope="module")
def taught():
    generator = torch.Generator().manual_seed(7)
    return teacher(), torch.randn(7, 1, 64, dtype=torch.float64, generator=generator)


def state(model):
    flags = [module.training for module in model.modules()]
    needs = [parameter.requires_grad for parameter in model.parameters()]
    return flags, needs, {name: value.clone() for name, value in model.state_dict().items()}


def assert_as_before(model, before):
    flags, needs, values = state(model)
    assert (flags, needs) == before[:2]
    assert all(torch.equal(value, before[2][name]) for name, value in values.items())


@pytest.mark.parametrize("train_mode", [False, True])
def test_soft_labels_leave_the_teacher_as_it_was(taught, train_mode):
    model, x = taught
    model.train()
    model.blocks[2].eval()  # one part is kept still on purpose
    before = state(model)
    q = soft_labels(model, x, temperature=1.0, train_mode=train_mode)
    assert_as_before(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert q.shape == (7, 4)
    assert not q.requires_grad


def test_soft_labels_in_eval_mode_are_the_tempered_predictions(taught):
    model, x = taught
    q = soft_labels(model, x, temperature=3.0, train_mode=False, batch_size=4)
    with torch.no_grad():
        logits = model.eval()(x).numpy()
    wanted = np.array([softmax(z / 3.0) for z in logits])
    np.testing.assert_allclose(q.numpy(), wanted, rtol=1e-9)


def test_soft_labels_in_train_mode_are_one_draw_batch_by_batch(taught):
    model, x = taught
    torch.manual_seed(5)
    q = soft_labels(model.eval(), x, temperature=3.0, train_mode=True, batch_size=4)
    same_network = teacher().train()
    torch.manual_seed(5)
    with torch.no_grad():
        logits = torch.cat([same_network(x[:4]), same_network(x[4:])]).numpy()
    np.testing.assert_allclose(q.numpy(), softmax(logits / 3.0, axis=-1), rtol=1e-9)
    # Another draw of dropout, another batch and the teacher's predictions all differ.
    again = soft_labels(model, x, temperature=3.0, train_mode=True, batch_size=4)
    assert (again - q).abs().max() > 1e-3
    predictions = soft_labels(model, x, temperature=3.0, train_mode=False)
    assert (predictions - q).abs().max() > 1e-3


def test_batch_statistics_alone_make_soft_labels_depend_on_the_batch(taught):
    model, x = taught
    still = build("han-cnn", classes=4, width=1 / 16, dropout=0.0).double()
    still.load_state_dict(model.state_dict())
    q = soft_labels(still, x, temperature=1.0, train_mode=True, batch_size=4)
    first = soft_labels(still, x[:4], temperature=1.0, train_mode=True, batch_size=4)
    torch.testing.assert_close(q[:4], first)
    other = soft_labels(still, x, temperature=1.0, train_mode=True, batch_size=3)
    assert (other[:3] - q[:3]).abs().max() > 1e-3


def test_soft_labels_of_seeds_side_by_side():
    models, xs, _ = zip(*(setting(seed) for seed in range(2)), strict=True)
    together = soft_labels(
        stack(models), torch.stack(xs), temperature=2.0, train_mode=False, batch_size=2
    )
    for model, x, q in zip(models, xs, together, strict=True):
        torch.testing.assert_close(q, soft_labels(model, x, temperature=2.0, train_mode=False))


def test_the_mask_reaches_a_teacher_that_uses_one():
    class Masked(nn.Module):
        uses_mask = True

        def forward(self, x, mask=None):
            return (x * mask)[:, 0, :3]

    x = torch.randn(5, 1, 8, dtype=torch.float64)
    mask = torch.arange(8) < torch.tensor([1, 2, 3, 2, 1])[:, None, None]
    q = soft_labels(Masked(), x, temperature=1.0, train_mode=False, mask=mask, batch_size=2)
    np.testing.assert_allclose(q.numpy(), softmax((x * mask)[:, 0, :3].numpy(), axis=-1))


def test_a_step_of_adt_with_sap_in_train_mode(taught):
    model, x = taught
    q = soft_labels(model, x, temperature=2.0, train_mode=True)
    torch.manual_seed(1)
    student = build("han-cnn", classes=4, width=1 / 16).double()
    steps = {"pgd_steps": 1, "smooth_steps": 1, "step_size": 0.1}
    attack = partial(
        attacks.sap, threat=Threat(0.2), keep="last", train_mode=True, mask_inside=False, **steps
    )
    value = adversarial.loss(student, x, q, attack=attack, temperature=2.0, summed=True)
    value.backward()
    assert value.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in student.parameters())
    # Two attack steps, the attacked and the clean batch all move the running statistics (row A3).
    assert student.blocks[0].norm.num_batches_tracked == 4
