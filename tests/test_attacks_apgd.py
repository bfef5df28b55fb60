"""Auto-PGD against closed forms on a linear model and against the paper's Algorithm 1."""

from importlib import import_module

import pytest
import torch
from test_attacks_pgd import Linear, Network

from ecgadv.attacks import apgd, pgd
from ecgadv.attacks.apgd import checkpoints
from ecgadv.attacks.gradient import attack_loss, logit_gradient
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def test_checkpoints_are_those_of_the_paper():
    # p = 0, 0.22, then p + max(p - previous - 0.03, 0.06).
    assert checkpoints(100) == {22, 41, 57, 70, 80, 87, 93, 99}
    assert checkpoints(1000) == {220, 410, 570, 700, 800, 870, 930, 990}


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 7), (4, 1, 33)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_reaches_the_optimum_of_a_linear_model(shape, norm):
    model = Linear(*shape[1:], scale=1e-3).double()  # small: no example may be misclassified
    x = torch.rand(shape, dtype=torch.float64)
    y = (model(x)[:, 1] > 0).long()
    up, eps = model.ascent(y), 1e-3
    step = up.sign() if norm == "linf" else up / torch.linalg.vector_norm(up, dim=(1, 2))[0]
    found = apgd(model, x, y, Threat(eps, norm), steps=60, loss="ce")
    assert (model(found).argmax(-1) == y).all()
    torch.testing.assert_close(found, x + eps * step, rtol=0, atol=1e-3 * eps)


def by_the_paper(network, x, y, threat, start, steps, value):
    """The value of the best point by Algorithm 1 for one sample (1, 1, L), step by step.

    As in the authors' code, the way back to the best point comes before the step that follows a
    checkpoint, and the first checkpoint has the first condition alone.
    """

    def at(point):
        leaf = point.clone().requires_grad_()
        loss = value(network(leaf))
        return loss.item(), torch.autograd.grad(loss, leaf)[0]

    eta, here, before = 2 * threat.eps, start, start
    values, (f, gradient) = [], at(start)
    values, best = [f], (f, start, gradient)
    last_check, best_then, halved_then = 0, None, False
    for k in range(steps):
        if k in checkpoints(steps):
            window = range(last_check, k)
            rose = sum(values[i + 1] > values[i] for i in window)
            halved = rose < 0.75 * len(window)
            if best_then is not None:
                halved |= not halved_then and best[0] == best_then
            if halved:
                eta, (values[k], here, gradient) = eta / 2, best
            last_check, best_then, halved_then = k, best[0], halved
        moved = threat.project(here + eta * gradient.sign(), x)
        if k > 0:
            moved = threat.project(here + 0.75 * (moved - here) + 0.25 * (here - before), x)
        before, here = here, moved
        f, gradient = at(here)
        values.append(f)
        if f > best[0]:
            best = (f, here, gradient)
    return best[0]


@pytest.mark.parametrize("loss", ["margin", "ce"])
@pytest.mark.parametrize("steps", [7, 50])
def test_follows_algorithm_1(loss, steps):
    network = Network().double()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(12, 1, 40, generator=generator, dtype=torch.float64)
    y, threat = network(x).argmax(-1), Threat(0.004, low=0.0, high=1.0)
    start = threat.random_start(x, generator=torch.Generator().manual_seed(5))
    seeded = torch.Generator().manual_seed(5)
    found = apgd(network, x, y, threat, steps=steps, loss=loss, generator=seeded)
    held = network(found).argmax(-1) == y
    assert held.sum() >= 8
    ours = attack_loss(loss, network(found), y)
    for i in held.nonzero().flatten().tolist():

        def value(logits, label=y[i : i + 1]):
            return attack_loss(loss, logits, label).sum()

        one = slice(i, i + 1)
        expected = by_the_paper(network, x[one], y[one], threat, start[one], steps, value)
        assert ours[i].item() == pytest.approx(expected, abs=1e-10)


def test_each_target_is_aimed_at_in_the_order_of_its_logit(monkeypatch):
    module = import_module("ecgadv.attacks.apgd")
    network, aimed = Network(classes=5), []
    x = torch.rand(6, 1, 40, generator=torch.Generator().manual_seed(1))
    logits = network(x)
    y = logits.argmax(-1)

    def noted(model, ascent, *args, **options):
        aimed.append(ascent.target)

    monkeypatch.setattr(module, "search", noted)
    with pytest.raises(EcgadvError):  # no iterate was recorded
        apgd(network, x, y, Threat(0.0), steps=1, targets=3, restarts=2)
    expected = logits.argsort(-1, descending=True)[:, 1:4].unbind(-1)
    assert len(aimed) == 6
    for target, order in zip(aimed, [*expected, *expected], strict=True):
        assert torch.equal(target, order)


def test_the_targeted_margin_and_its_gradient():
    logits = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    y, target = torch.randint(5, (2, 7))
    loss = attack_loss("margin", logits, y, target)
    rows = torch.arange(7)
    torch.testing.assert_close(loss, logits[rows, target] - logits[rows, y])
    (expected,) = torch.autograd.grad(loss.sum(), logits)
    differ = y != target
    found = logit_gradient("margin", logits.detach(), y, target)
    torch.testing.assert_close(found[differ], expected[differ])


class Rippled(Network):
    """The same with ripples, so that plain steps end at maxima that are not the highest."""

    def forward(self, x):
        return torch.sin(3 * (x.flatten(1) - 0.5) @ self.first) @ self.last


def test_breaks_more_than_plain_steps_of_the_same_cost():
    network = Rippled(classes=5)
    x = torch.rand(200, 1, 40, generator=torch.Generator().manual_seed(2))
    y, threat = network(x).argmax(-1), Threat(0.005, low=0.0, high=1.0)

    def held(attack, **options):
        found = attack(network, x, y, threat, generator=torch.Generator().manual_seed(0), **options)
        return int((network(found).argmax(-1) == y).sum())

    plain = held(pgd, steps=40, step_size=0.0005, loss="margin", restarts=4, early_stop=True)
    assert held(apgd, steps=40, targets=4) < plain < len(x)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"targets": 4}, "0 to 3 targets"),
        ({"targets": -1}, "0 to 3 targets"),
        ({"targets": 1, "loss": "ce"}, "loss='margin'"),
        ({"loss": "cw"}, "unknown attack loss"),
        ({"restarts": 0}, "restarts is 0"),
    ],
)
def test_bad_options_are_named(options, named):
    x, y = torch.rand(2, 1, 40), torch.tensor([0, 1])
    with pytest.raises(EcgadvError, match=named):
        apgd(Network(), x, y, Threat(0.1), steps=2, **options)
    with pytest.raises(EcgadvError, match="4 dimensions"):
        apgd(Network(), x[None], y[None], Threat(0.1), steps=2)
