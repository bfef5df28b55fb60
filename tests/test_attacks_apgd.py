"""Auto-PGD against closed forms on a linear model and against the paper's Algorithm 1."""

from functools import partial
from importlib import import_module

import pytest
import torch
from test_attacks_pgd import Linear, Network

from ecgadv.attacks import apgd, pgd
from ecgadv.attacks.apgd import Ascent, checkpoints
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
    # Seeded: by chance an example lies so near the boundary that it is misclassified.
    x = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = (model(x)[:, 1] > 0).long()
    up, eps = model.ascent(y), 1e-3
    step = up.sign() if norm == "linf" else up / torch.linalg.vector_norm(up, dim=(1, 2))[0]
    found = apgd(model, x, y, Threat(eps, norm), steps=60, loss="ce")
    assert (model(found).argmax(-1) == y).all()
    torch.testing.assert_close(found, x + eps * step, rtol=0, atol=1e-3 * eps)


class Rippled(Network):
    """The same with ripples, so that plain steps end at maxima that are not the highest."""

    def __init__(self, classes=4, lift=0.0):
        super().__init__(classes)
        self.lift = lift * torch.eye(classes)[0]  # of class 0's logit

    def forward(self, x):
        logits = 0.3 * torch.sin(3 * (x.flatten(1) - 0.5) @ self.first) @ self.last
        return logits + self.lift.to(logits)


def formula(loss, z, y, target):
    """The paper's losses of one sample's logits z (K,)."""
    if loss == "ce":
        return -z.log_softmax(0)[y]
    other = torch.cat([z[:y], z[y + 1 :]]).max() if target is None else z[target]
    if loss == "margin":
        return other - z[y]
    ranked = z.sort(descending=True).values
    lower = ranked[2] if target is None else (ranked[2] + ranked[3]) / 2
    return -(z[y] - other) / (ranked[0] - lower)


def by_the_paper(network, x, threat, start, steps, value):
    """The points that Algorithm 1 visits for one sample (1, 1, L), step by step.

    As in the authors' code, the way back to the best point comes before the step that follows a
    checkpoint, and the first checkpoint has the first condition alone.
    """

    def at(point):
        leaf = point.clone().requires_grad_()
        loss = value(network(leaf)[0])
        return loss.item(), torch.autograd.grad(loss, leaf)[0]

    eta, here, before = 2 * threat.eps, start, start
    values, (f, gradient) = [], at(start)
    values, best, points = [f], (f, start, gradient), [start]
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
        points.append(here)
        f, gradient = at(here)
        values.append(f)
        if f > best[0]:
            best = (f, here, gradient)
    return points


def one_at_a_time(network, x, y, eps, *, loss, steps, targets, restarts, seed):
    """The examples of all samples, each by itself, and the ascent in which it broke."""
    generator, found = torch.Generator().manual_seed(seed), x.clone()
    highest, broke = [-torch.inf] * len(x), [None] * len(x)
    ranks = network(x).argsort(-1, descending=True).tolist()
    likeliest = [
        [k for k in rank if k != label] for rank, label in zip(ranks, y.tolist(), strict=True)
    ]
    for ascent in range(restarts * max(1, targets)):
        left = [i for i in range(len(x)) if broke[i] is None]
        starts = Threat(eps[left], low=0.0, high=1.0).random_start(x[left], generator=generator)
        for start, i in zip(starts, left, strict=True):
            label, target = int(y[i]), likeliest[i][ascent % targets] if targets else None
            one, threat = x[i : i + 1], Threat(float(eps[i]), low=0.0, high=1.0)
            value = partial(formula, loss, y=label, target=target)
            for point in by_the_paper(network, one, threat, start[None], steps, value):
                z = network(point)[0]
                f = formula(loss, z, label, None).item()
                if z.argmax() != label:
                    broke[i] = ascent
                if z.argmax() != label or f > highest[i]:
                    found[i], highest[i] = point[0], f
                if broke[i] is not None:
                    break
    return found, broke


def test_l2_steps_go_along_the_gradient_inside_the_mask():
    """Where the gradient outside the mask is far larger, steps by its length would go nowhere."""
    model = Linear(2, 20, scale=1e-3).double()
    mask = (torch.arange(20) < 12).expand(4, 1, 20)
    model.weight.data *= torch.where(mask[0], 1.0, 1e4)
    x = torch.rand(4, 2, 20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x[..., 12:] /= 1e5
    y, eps = (model(x)[:, 1] > 0).long(), 1e-3
    up = torch.where(mask, model.ascent(y), 0.0)
    found = apgd(model, x, y, Threat(eps, "l2"), steps=60, mask=mask, loss="margin")
    assert (model(found).argmax(-1) == y).all()
    step = up / torch.linalg.vector_norm(up, dim=(1, 2), keepdim=True)
    torch.testing.assert_close(found, x + eps * step, rtol=0, atol=1e-3 * eps)


def eleven(network):
    """Samples (11, 1, 40), their classes, and budgets of .01 to .05 each."""
    x = torch.rand(11, 1, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    eps = torch.linspace(0.01, 0.05, 11, dtype=torch.float64).view(11, 1, 1)
    return x, network(x).argmax(-1), eps


@pytest.mark.parametrize("steps", [7, 20, 50])
@pytest.mark.parametrize(
    ("loss", "targets"), [("margin", 0), ("ce", 0), ("dlr", 0), ("margin", 2), ("dlr", 2)]
)
def test_follows_algorithm_1(loss, targets, steps):
    # Nobody reaches another class, so that every checkpoint counts.
    network = Rippled(lift=8.0 if loss == "ce" else 50.0).double()
    x, y, eps = eleven(network)
    options = {"loss": loss, "steps": steps, "targets": targets, "restarts": 1}
    expected, broke = one_at_a_time(network, x, y, eps, seed=5, **options)
    assert broke == [None] * 11
    seeded, threat = torch.Generator().manual_seed(5), Threat(eps, low=0.0, high=1.0)
    found = apgd(network, x, y, threat, generator=seeded, **options)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("loss", "targets"), [("margin", 0), ("dlr", 2)])
def test_those_who_stay_go_on_as_if_alone(loss, targets):
    network = Rippled().double()
    x, y, eps = eleven(network)
    eps, options = eps / 4, {"loss": loss, "steps": 20, "targets": targets, "restarts": 2}
    expected, broke = one_at_a_time(network, x, y, eps, seed=5, **options)
    assert 0 < broke.count(0) < 11 and broke.count(None) > 0
    seeded, threat = torch.Generator().manual_seed(5), Threat(eps, low=0.0, high=1.0)
    found = apgd(network, x, y, threat, generator=seeded, **options)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_who_leaves_and_when_changes_nothing_for_the_others():
    class Leaving(Rippled):
        """The last five of 16 samples are misclassified from one call on."""

        def __init__(self, at):
            super().__init__(lift=50.0)
            self.at, self.calls = at, 0

        def forward(self, x):
            self.calls += 1
            gone = (torch.arange(len(x)) >= 11) & (self.calls >= self.at)
            return super().forward(x) + 1000.0 * gone[:, None] * torch.eye(4)[1]

    x = torch.rand(16, 1, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, eps = torch.zeros(16, dtype=torch.int64), torch.linspace(0.01, 0.05, 16).view(16, 1, 1)

    def found(at):
        generator = torch.Generator().manual_seed(5)
        return apgd(Leaving(at).double(), x, y, Threat(eps), steps=20, generator=generator)[:11]

    stayed = found(100)
    for at in range(1, 21):
        torch.testing.assert_close(found(at), stayed, rtol=0, atol=1e-6)


def test_a_step_is_halved_by_either_condition_of_algorithm_1():
    # The first three checkpoints of 20 steps are 5, 9 and 12; losses at the steps 0 to 12.
    losses = {
        "always rises": list(range(13)),
        # Rises in 3 of 4 steps, enough for the first condition, but not above the best.
        "stuck": [0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 6, 7, 8],
        # No new best from 5 to 9 either, but just halved; the third time it counts.
        "seldom, then stuck": [0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 4.1, 4.2, 4.3],
    }
    x, y = torch.zeros(3, 1, 1), torch.zeros(3, dtype=torch.int64)
    ascent = Ascent(x, x, None, None, Threat(0.5), "margin", 20)
    halvings = []
    for values in zip(*losses.values(), strict=True):
        logits = torch.tensor([[0.0, value] for value in values])
        before = ascent.state["size"]
        ascent.step(torch.ones_like(x), logits, y)
        halvings.append((ascent.state["size"] / before).flatten().tolist())
        ascent = ascent.take(torch.arange(3))  # as where others leave: nothing is forgotten
    for sample, checks in enumerate([[], [9], [5, 12]]):
        expected = [0.5 if step in checks else 1.0 for step in range(13)]
        assert [row[sample] for row in halvings] == expected


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
        ({"targets": -1}, "targets is -1; give a whole number of at least 0"),
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


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_first_ascents_begin_where_they_are_told(norm):
    """Drawn into the budget; the restarts after them are those of a call without a start."""
    model, threat = Rippled(lift=9.0), Threat(0.05, norm, low=0.0, high=1.0)  # nothing breaks
    x, first = torch.rand(2, 5, 1, 40, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(5, dtype=torch.long)
    mask = torch.arange(40).expand(5, 1, 40) < 30
    seen = []

    def watched(z):
        seen.append(z.detach().clone())
        return model(z)

    def begun(**options):
        seen.clear()
        generator = torch.Generator().manual_seed(3)
        found = {"mask": mask, "targets": 2, "steps": 1, "generator": generator, **options}
        apgd(watched, x, y, threat, **found)
        return [z for z in seen[1:] if len(z) == 5][::2]  # the first pass looks for targets

    told, drawn = begun(first=first, restarts=2), begun()
    inside = threat.project(first, x, mask)
    assert len(told) == 4
    for here in told[:2]:
        torch.testing.assert_close(here, inside)
    for here, other in zip(told[2:], drawn, strict=True):
        torch.testing.assert_close(here, other)


@pytest.mark.parametrize(
    ("first", "text"),
    [
        (torch.zeros(5, 1, 7), r"first has shape \(5, 1, 7\), x \(5, 1, 40\)"),
        (torch.full((5, 1, 40), torch.nan), "first holds 200 values that are not finite"),
        ("x", "first is of type str"),
    ],
)
def test_a_start_that_does_not_fit_is_told(first, text):
    x, y = torch.rand(5, 1, 40), torch.zeros(5, dtype=torch.long)
    with pytest.raises(EcgadvError, match=text):
        apgd(Rippled(), x, y, Threat(0.05), steps=2, first=first)
