"""PGD and FGSM against closed forms on a linear model and against foolbox."""

import warnings

import pytest
import torch
from torch import nn

from ecgadv.attacks import fgsm, pgd
from ecgadv.attacks.gradient import attack_loss, logit_gradient
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

SHAPES = [(1, 1, 1), (1, 3, 7), (4, 1, 33), (3, 2, 10)]


class Linear(nn.Module):
    """Two classes with logits (-w.x, w.x): the loss of class 0 grows along w."""

    def __init__(self, leads, length, scale=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(leads * 100 + length)
        self.weight = nn.Parameter(scale * torch.randn(leads, length, generator=generator))

    def forward(self, x):
        score = (x * self.weight).sum((-2, -1))
        return torch.stack([-score, score], -1)

    def ascent(self, y):
        """The direction that raises the loss of y (B,), shape (B, C, L)."""
        return (1.0 - 2.0 * y)[:, None, None] * self.weight.detach()


class Network(nn.Module):
    """A small network for signals of one lead and 40 samples, with labels of every class."""

    def __init__(self, classes=4):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(40, 16, generator=generator))
        self.last = nn.Parameter(torch.randn(16, classes, generator=generator))

    def forward(self, x):
        return torch.tanh((x.flatten(1) - 0.5) @ self.first) @ self.last


class Stack(nn.Module):
    """`seeds` networks side by side: x (S, B, C, L) to logits (S, B, K)."""

    def __init__(self, seeds, inputs, classes=3):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(torch.randn(seeds, inputs, classes, generator=generator))

    def forward(self, x):
        return torch.tanh(x.flatten(-2)) @ self.weight

    def one(self, seed):
        alone = Stack(1, *self.weight.shape[1:])
        alone.weight.data = self.weight.data[seed : seed + 1].clone()
        return alone


def batch(*shape, classes=2, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=dtype)
    return x, torch.randint(classes, shape[:-2], generator=generator)


def broken(model, x, y):
    with torch.no_grad():
        return model(x).argmax(-1) != y


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_linf_attacks_reach_the_exact_optimum_of_a_linear_model(shape, loss):
    model = Linear(*shape[1:], scale=0.05)
    x, y = batch(*shape)
    expected = (x + 0.2 * model.ascent(y).sign()).clamp(0, 1)
    threat = Threat(0.2, low=0.0, high=1.0)
    torch.testing.assert_close(fgsm(model, x, y, threat, loss=loss), expected)
    for options in ({"keep": "last"}, {"restarts": 2}, {"random_start": False}):
        found = pgd(model, x, y, threat, steps=9, step_size=0.05, loss=loss, **options)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_l2_attacks_reach_the_exact_optimum_of_a_linear_model(shape, loss):
    model = Linear(*shape[1:], scale=0.05)
    x, y = batch(*shape)
    w = model.ascent(y)
    expected = x + 0.7 * w / w.norm(dim=(1, 2), keepdim=True)
    threat = Threat(0.7, "l2")
    torch.testing.assert_close(fgsm(model, x, y, threat, loss=loss), expected)
    for keep in ("best", "last"):
        found = pgd(
            model, x, y, threat, steps=5, step_size=0.2, loss=loss, random_start=False, keep=keep
        )
        torch.testing.assert_close(found, expected)
    # From inside the ball the steps turn towards w only gradually.
    found = pgd(model, x, y, threat, steps=200, step_size=0.2, loss=loss)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_budgets_per_sample_and_masks_reach_the_exact_optimum_too():
    model = Linear(2, 9, scale=0.05)
    x, y = batch(3, 2, 9)
    eps = torch.tensor([0.05, 0.1, 0.3]).view(3, 1, 1)
    mask = torch.arange(9) < torch.tensor([9, 5, 2]).view(3, 1, 1)
    linf = x + mask * eps * model.ascent(y).sign()
    w = mask * model.ascent(y)
    l2 = x + eps * w / w.norm(dim=(1, 2), keepdim=True)
    for norm, expected in (("linf", linf), ("l2", l2)):
        threat = Threat(eps, norm)
        torch.testing.assert_close(fgsm(model, x, y, threat, mask=mask), expected)
        for early_stop in (False, True):
            found = pgd(
                model, x, y, threat, steps=9, step_size=0.1, mask=mask, random_start=False,
                early_stop=early_stop,
            )  # fmt: skip
            rows = ~broken(model, found, y) if early_stop else slice(None)
            torch.testing.assert_close(found[rows], expected[rows])


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("shape", [(5, 2), (2, 3, 7)])
def test_logit_gradient_is_the_derivative_of_the_attack_loss(loss, shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randint(shape[-1], shape[:-1], generator=generator)
    (expected,) = torch.autograd.grad(attack_loss(loss, logits, y).sum(), logits)
    torch.testing.assert_close(logit_gradient(loss, logits.detach(), y), expected)


def test_attack_losses_follow_their_definitions():
    logits, y = torch.tensor([[2.0, 5.0, 1.0], [0.0, -1.0, 3.0]]), torch.tensor([0, 2])
    torch.testing.assert_close(attack_loss("margin", logits, y), torch.tensor([3.0, -3.0]))
    torch.testing.assert_close(
        attack_loss("ce", logits, y), nn.functional.cross_entropy(logits, y, reduction="none")
    )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_agrees_with_foolbox(norm):
    with warnings.catch_warnings():
        # foolbox imports a deprecated name of scipy.
        warnings.simplefilter("ignore", DeprecationWarning)
        import foolbox
    model = Network().eval()
    x, y = batch(6, 1, 40, classes=4)
    eps, step_size = (0.1, 0.02) if norm == "linf" else (0.5, 0.1)
    threat = Threat(eps, norm, low=0.0, high=1.0)
    peer = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    kinds = {
        "linf": (foolbox.attacks.LinfPGD, foolbox.attacks.LinfFastGradientAttack),
        "l2": (foolbox.attacks.L2PGD, foolbox.attacks.L2FastGradientAttack),
    }
    many = kinds[norm][0](abs_stepsize=step_size, steps=12, random_start=False)
    once = kinds[norm][1](random_start=False)
    theirs = many.run(peer, x, foolbox.criteria.Misclassification(y), epsilon=eps)
    ours = pgd(model, x, y, threat, steps=12, step_size=step_size, random_start=False, keep="last")
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    theirs = once.run(peer, x, foolbox.criteria.Misclassification(y), epsilon=eps)
    torch.testing.assert_close(fgsm(model, x, y, threat), theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("restarts", [1, 3])
def test_early_stop_breaks_the_same_samples(norm, restarts):
    model = Network()
    x, _ = batch(64, 1, 40, classes=4)
    y = model(x).argmax(-1)
    threat = Threat(0.03 if norm == "linf" else 0.12, norm, low=0.0, high=1.0)
    found = [
        pgd(
            model, x, y, threat, steps=10, step_size=threat.eps / 4, restarts=restarts,
            early_stop=early_stop, generator=torch.Generator().manual_seed(0),
        )
        for early_stop in (False, True)
    ]  # fmt: skip
    sets = [broken(model, x_adv, y) for x_adv in found]
    assert torch.equal(*sets)
    assert 8 < int(sets[0].sum()) < 56  # neither all nor none, so the batch did shrink
    threat.check(found[1], x)


def test_broken_samples_cost_no_further_passes():
    seen = []

    class Counting(Network):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    model = Counting()
    x, _ = batch(64, 1, 40, classes=4)
    y = Network()(x).argmax(-1)
    pgd(model, x, y, Threat(0.03), steps=10, step_size=0.01, early_stop=True, random_start=False)
    assert seen[0] == 64 and seen[-1] < 40 and seen == sorted(seen, reverse=True)
    seen.clear()
    wrong = (y + 1) % 4
    found = pgd(model, x, wrong, Threat(0.03), steps=10, step_size=0.01, early_stop=True,
                random_start=False)  # fmt: skip
    assert seen == [64] and torch.equal(found, x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_best_found_never_gets_worse_with_steps(norm, loss):
    model = Network()
    x, _ = batch(16, 1, 40, classes=4)
    y = model(x).argmax(-1)
    threat = Threat(0.04, norm)
    was_broken, was_loss = torch.zeros(16, dtype=torch.bool), torch.full((16,), -torch.inf)
    for steps in range(1, 8):
        # Steps as large as the budget overshoot, so that the last iterate is often not the best.
        x_adv = pgd(model, x, y, threat, steps=steps, step_size=0.04, random_start=False, loss=loss)
        now_broken = broken(model, x_adv, y)
        now_loss = attack_loss(loss, model(x_adv).detach(), y)
        assert (now_broken >= was_broken).all()
        same = now_broken == was_broken
        assert (now_loss[same] >= was_loss[same] - 1e-6).all()
        was_broken, was_loss = now_broken, now_loss


def test_best_prefers_a_misclassified_example_of_lower_loss():
    class Valley(nn.Module):
        """Class 1 wins only near 0.5; beyond, 1 and 2 together cost more but neither wins."""

        def forward(self, x):
            place = x.mean((-2, -1))
            first = 0.1 - 1.5 * (place - 0.5).abs()
            return torch.stack([0 * place, first, 112 * torch.relu(place - 0.5) - 9], -1)

    model, y = Valley(), torch.zeros(1, dtype=torch.int64)
    path = [torch.full((1, 1, 4), place) for place in (0.38, 0.48, 0.58)]
    assert [bool(broken(model, x, y)) for x in path] == [False, True, False]
    assert attack_loss("ce", model(path[2]), y) > attack_loss("ce", model(path[1]), y)
    options = {"steps": 2, "step_size": 0.1, "random_start": False}
    last = pgd(model, path[0], y, Threat(0.4), keep="last", **options)
    torch.testing.assert_close(last, path[2])
    for early_stop in (False, True):
        best = pgd(model, path[0], y, Threat(0.4), early_stop=early_stop, **options)
        torch.testing.assert_close(best, path[1])


def test_a_network_that_uses_the_mask_gets_that_of_the_samples_still_in():
    class Masked(Network):
        uses_mask = True

        def forward(self, x, mask=None):
            return super().forward(torch.where(mask, x, 0.5))

    model = Masked()
    x, _ = batch(32, 1, 40, classes=4)
    mask = torch.arange(40) < torch.arange(9, 41).view(32, 1, 1)
    y = model(x, mask).argmax(-1)
    options = {"steps": 8, "step_size": 0.02, "random_start": False, "early_stop": True}
    together = pgd(model, x, y, Threat(0.06), mask=mask, **options)
    assert 4 < int((model(together, mask).argmax(-1) != y).sum()) < 28
    for i in range(32):
        rows = slice(i, i + 1)
        alone = pgd(model, x[rows], y[rows], Threat(0.06), mask=mask[rows], **options)
        torch.testing.assert_close(alone, together[rows])


def test_leading_seed_dimension_equals_runs_of_single_seeds():
    model = Stack(3, 2 * 11)
    x, y = batch(3, 5, 2, 11, classes=3)
    mask = (torch.arange(11) < 8).expand(3, 5, 1, 11)
    for norm in ("linf", "l2"):
        for keep in ("best", "last"):
            for loss in ("ce", "margin"):
                options = {"steps": 6, "step_size": 0.05, "random_start": False, "keep": keep,
                           "loss": loss}  # fmt: skip
                together = pgd(model, x, y, Threat(0.2, norm), mask=mask, **options)
                for seed in range(3):
                    rows = slice(seed, seed + 1)
                    alone = pgd(model.one(seed), x[rows], y[rows], Threat(0.2, norm),
                                mask=mask[rows], **options)  # fmt: skip
                    torch.testing.assert_close(together[rows], alone)


def test_gradients_that_are_views_are_no_obstacle():
    class Sum(nn.Module):
        def forward(self, x):
            return torch.stack([-x.sum((-2, -1)), x.sum((-2, -1))], -1)

    x, y = batch(2, 1, 5)
    found = pgd(Sum(), x, y, Threat(0.1), steps=3, step_size=0.1, keep="last")
    torch.testing.assert_close(found, x + 0.1 * (1.0 - 2.0 * y)[:, None, None])


def test_tiny_gradients_still_give_a_step_of_the_right_length_in_l2():
    model = Linear(1, 6, scale=1e-25)
    x, y = batch(2, 1, 6)
    w = model.ascent(y) * 1e25
    options = {"steps": 1, "step_size": 0.1, "random_start": False, "keep": "last"}
    found = pgd(model, x, y, Threat(0.5, "l2"), **options)
    torch.testing.assert_close(found, x + 0.1 * w / w.norm(dim=(1, 2), keepdim=True))


def test_a_signal_that_is_not_finite_or_out_of_bounds_is_refused():
    model = Linear(1, 4)
    x, y = batch(2, 1, 4)
    options = {"steps": 1, "step_size": 0.1}
    holed = x.clone()
    holed[1, 0, 2] = torch.nan
    with pytest.raises(EcgadvError, match="x holds 1 values that are not finite"):
        pgd(model, holed, y, Threat(0.1), **options)
    with pytest.raises(EcgadvError, match=r"outside the bounds 0\.0 to 1\.0"):
        pgd(model, x + 1.0, y, Threat(0.1, low=0.0, high=1.0), **options)


def test_a_nan_gradient_or_logit_is_an_error_and_no_success():
    class Root(Linear):
        def forward(self, x):
            return super().forward(x) + torch.sqrt(0 * x).sum((-2, -1))[:, None]

    class Hole(Linear):
        def forward(self, x):
            return super().forward(x) * torch.nan

    x, y = batch(2, 1, 4)
    labels = Linear(1, 4)(x).argmax(-1)
    with pytest.raises(EcgadvError, match="gradient became NaN"):
        fgsm(Root(1, 4), x, labels, Threat(0.001))
    for early_stop in (False, True):
        options = {"steps": 2, "step_size": 0.1, "early_stop": early_stop}
        with pytest.raises(EcgadvError, match="gradient became NaN"):
            pgd(Root(1, 4), x, labels, Threat(0.001), **options)
        with pytest.raises(EcgadvError, match="NaN"):
            pgd(Hole(1, 4), x, y, Threat(0.1), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"restarts": 0}, "restarts is 0"),
        ({"step_size": 0.0}, "step_size is 0.0"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"loss": "cw"}, "unknown attack loss 'cw'"),
        ({"keep": "first"}, "unknown keep 'first'"),
        ({"restarts": 2, "random_start": False}, "restarts=2 needs random_start"),
        ({"restarts": 2, "keep": "last"}, "restarts=2 needs random_start"),
        ({"early_stop": True, "keep": "last"}, "early_stop=True needs keep='best'"),
        ({"mask": torch.ones(2, 1, 4)}, "mask is torch.float32"),
        ({"mask": torch.ones(1, 4, dtype=torch.bool)}, r"mask is torch.bool of shape \(1, 4\)"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, words):
    x, y = batch(2, 1, 4)
    with pytest.raises(EcgadvError, match=words) as caught:
        pgd(Linear(1, 4), x, y, Threat(0.1), **({"steps": 1, "step_size": 0.1} | options))
    assert "\n" not in str(caught.value)


def test_bad_shapes_are_refused():
    x, y = batch(2, 1, 4)
    options = {"steps": 1, "step_size": 0.1}
    with pytest.raises(EcgadvError, match=r"y is torch\.int64 of shape"):
        pgd(Linear(1, 4), x, y[:1], Threat(0.1), **options)
    with pytest.raises(EcgadvError, match=r"x is torch\.float32 of shape"):
        pgd(Linear(1, 4), x[0], y, Threat(0.1), **options)
    with pytest.raises(EcgadvError, match="x of shape"):
        pgd(Stack(1, 4), x[None], y[None], Threat(0.1), early_stop=True, **options)


def test_training_takes_its_first_gradient_at_an_unclipped_start_if_asked():
    """In the order of paper B's authors, whose clipping begins with the first step."""
    seen = []

    class Watched(Network):
        def forward(self, x):
            seen.append(x.detach().clone())
            return super().forward(x)

    x = torch.zeros(6, 1, 40)
    y, threat = torch.zeros(6, dtype=torch.int64), Threat(0.1, low=0.0, high=1.0)
    for clip in (True, False):
        seen.clear()
        found = pgd(
            Watched(), x, y, threat, steps=2, step_size=0.01, keep="last", clip_start=clip,
            generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        assert (seen[0].min() >= 0) == clip
        assert seen[0].min() >= -0.1 and seen[0].max() <= 0.1
        assert seen[1].min() >= 0
        threat.check(found, x)
    with pytest.raises(EcgadvError, match="clip_start=False needs"):
        pgd(Watched(), x, y, threat, steps=1, step_size=0.1, clip_start=False)
