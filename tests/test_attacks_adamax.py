"""The Adamax PGD of paper B's authors against torch.optim.Adamax."""

import pytest
import torch
from torch import nn

from ecgadv.attacks import adamax_pgd
from ecgadv.attacks.adamax_pgd import AdamaxIterate
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


class Network(nn.Module):
    """A small network for signals of one lead and 40 samples, with labels of every class."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(40, 16, generator=generator, dtype=torch.float64))
        self.last = nn.Parameter(torch.randn(16, 4, generator=generator, dtype=torch.float64))

    def forward(self, x):
        return torch.tanh((x.flatten(1) - 0.5) @ self.first) @ self.last


def test_recurrence_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 20, generator=generator, dtype=torch.float64)
    reference = nn.Parameter(x.clone())
    optimizer = torch.optim.Adamax([reference], lr=0.01)
    box = (x - 9.0, x + 9.0)
    iterate = AdamaxIterate(x.clone(), torch.zeros_like(x), torch.zeros_like(x), box, 0.01)
    for _ in range(50):
        gradient = torch.randn(3, 1, 20, generator=generator, dtype=torch.float64)
        gradient[torch.rand(3, 1, 20, generator=generator) < 0.2] = 0.0
        reference.grad = -gradient.sign()
        optimizer.step()
        iterate.step(gradient)
        torch.testing.assert_close(iterate.example().detach(), reference.detach())


def by_definition(model, x, y, threat, start, steps, lr, counted_from=0):
    """One sample: Adamax on the signed gradient, projection, stop once misclassified."""
    x_adv = nn.Parameter(start.clone())
    optimizer = torch.optim.Adamax([x_adv], lr=lr)
    best, best_loss = None, -torch.inf
    for step in range(steps + 1):
        logits = model(x_adv)
        loss = nn.functional.cross_entropy(logits, y)
        counts = step >= counted_from
        if counts and logits.argmax(-1) != y:
            return x_adv.detach(), True
        if counts and loss.item() > best_loss:
            best, best_loss = x_adv.detach().clone(), loss.item()
        if step < steps:
            x_adv.grad = -torch.autograd.grad(loss, x_adv)[0].sign()
            optimizer.step()
            with torch.no_grad():
                x_adv.copy_((x + (x_adv - x).clamp(-threat.eps, threat.eps)).clamp(0, 1))
    return best, False


def test_equals_one_sample_at_a_time_with_torch():
    model = Network()
    x = torch.rand(24, 1, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = model(x).argmax(-1)
    threat = Threat(0.04, low=0.0, high=1.0)
    start = threat.random_start(x, generator=torch.Generator().manual_seed(7))
    found = adamax_pgd(
        model, x, y, threat, steps=15, step_size=0.01, generator=torch.Generator().manual_seed(7)
    )
    threat.check(found, x)
    outcomes = []
    for i in range(24):
        rows = slice(i, i + 1)
        expected, success = by_definition(model, x[rows], y[rows], threat, start[rows], 15, 0.01)
        torch.testing.assert_close(found[rows], expected)
        outcomes.append(success)
    assert (model(found).argmax(-1) != y).tolist() == outcomes
    assert 2 < sum(outcomes) < 22


def test_the_authors_take_their_first_gradient_at_the_unclipped_start():
    """And count a success from the first clipped iterate on, as only that is within the threat."""
    model = Network()
    x = torch.rand(24, 1, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[:, :, ::2] = 0.0  # half of the start is likely to leave [0, 1]
    y = model(x).argmax(-1)
    threat = Threat(0.04, low=0.0, high=1.0)
    drawn = torch.rand(x.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    start = x + 0.04 * (2 * drawn - 1)
    assert start.min() < -0.01
    options = {"steps": 15, "step_size": 0.01}
    found = adamax_pgd(
        model, x, y, threat, clip_start=False, generator=torch.Generator().manual_seed(7), **options
    )
    threat.check(found, x)
    for i in range(24):
        rows = slice(i, i + 1)
        expected = by_definition(
            model, x[rows], y[rows], threat, start[rows], 15, 0.01, counted_from=1
        )[0]
        torch.testing.assert_close(found[rows], expected)
    sound = adamax_pgd(model, x, y, threat, generator=torch.Generator().manual_seed(7), **options)
    assert not torch.equal(found, sound)


def test_options_are_checked():
    x, y = torch.zeros(1, 1, 40, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(EcgadvError, match="adamax_pgd knows only norm 'linf'"):
        adamax_pgd(Network(), x, y, Threat(0.1, "l2"), steps=1, step_size=0.1)
    with pytest.raises(EcgadvError, match="steps is 0"):
        adamax_pgd(Network(), x, y, Threat(0.1), steps=0, step_size=0.1)
    with pytest.raises(EcgadvError, match="not finite"):
        adamax_pgd(Network(), x * torch.nan, y, Threat(0.1), steps=1, step_size=0.1)
