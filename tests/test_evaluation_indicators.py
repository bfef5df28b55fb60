"""Indicators on attacks and networks broken on purpose, and on sound ones."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import indicators
from ecgadv.evaluation.robustness import NOT_ATTACKED

SOUND = {0.1: [1, 1, 1, 0, 255], 0.2: [1, 0, 0, 0, 255], 0.4: [0, 0, 0, 0, 255]}


class Linear(nn.Module):
    """Logits (-s, s), s the sum of x, rounded to steps (and so without a gradient) on demand."""

    def __init__(self, step=None):
        super().__init__()
        self.step = step

    def forward(self, x):
        total = x.sum((-2, -1))
        if self.step is not None:
            total = (total / self.step).round() * self.step
        return torch.stack([-total, total], -1)


def test_a_sound_attack_raises_nothing():
    found = [
        indicators.large_budget_holds(np.array(SOUND[0.4])),
        indicators.not_monotone({eps: np.array(held) for eps, held in SOUND.items()}),
        indicators.beaten_by(np.array(SOUND[0.2]), np.array(SOUND[0.1])),
        indicators.gains_from_more_steps(np.array(SOUND[0.2]), np.array(SOUND[0.2])),
    ]
    assert [indicator.value for indicator in found] == [0.0] * 4
    assert [indicator.n_examples for indicator in found] == [4] * 4
    assert not any(indicator.failed for indicator in found)


def test_each_symptom_is_measured_as_its_share():
    assert indicators.large_budget_holds(np.array([1, 0, 0, 0])).value == 0.25
    recovers = {0.3: [1, 0, 1, 1], 0.1: [1, 1, 0, 1], 0.2: [1, 0, 0, 1]}
    broken = indicators.not_monotone({eps: np.array(held) for eps, held in recovers.items()})
    assert broken.value == 0.25 and broken.failed
    noise = indicators.beaten_by(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 0]), name="SPSA")
    assert noise.value == 0.5 and noise.failed and noise.name == "beaten by SPSA"
    steps = indicators.gains_from_more_steps(np.array([1, 1, 1, 0]), np.array([1, 0, 0, 1]))
    assert steps.value == 0.25 and steps.failed


def test_a_break_that_is_lost_two_budgets_later_still_counts():
    held = {0.1: [0, 1], 0.2: [0, 1], 0.4: [1, 1]}
    found = indicators.not_monotone({eps: np.array(flags) for eps, flags in held.items()})
    assert found.value == 0.5


def test_threshold_is_the_largest_value_that_passes():
    held = np.array([1] + [0] * 19)
    assert not indicators.large_budget_holds(held).failed
    assert indicators.large_budget_holds(held, threshold=0.049).failed


def test_only_examples_that_all_flags_share_count():
    found = indicators.beaten_by(np.array([1, 255, 1, 0]), np.array([0, 0, 255, 1]))
    assert (found.value, found.n_examples) == (0.5, 2)


def test_nothing_measured_is_a_failure():
    found = indicators.large_budget_holds(np.full(3, NOT_ATTACKED))
    assert math.isnan(found.value) and found.failed


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_zero_gradients_tells_a_masked_network_from_an_open_one(loss):
    x = torch.randn(40, 1, 8, generator=torch.Generator().manual_seed(0))
    y = (x.sum((-2, -1)) > 0).long()
    opened = indicators.zero_gradients(Linear(), x, y, loss=loss)
    assert (opened.value, opened.n_examples, opened.failed) == (0.0, 40, False)
    stairs = indicators.zero_gradients(Linear(step=1e-3), x, y, loss=loss)
    assert stairs.value == 1.0 and stairs.failed
    assert not x.requires_grad


def test_zero_gradients_looks_at_right_examples_inside_the_mask():
    x = torch.randn(40, 1, 8, generator=torch.Generator().manual_seed(0))
    y = (x.sum((-2, -1)) > 0).long()
    y[:10] = 1 - y[:10]
    mask = torch.ones(40, 1, 8, dtype=torch.bool)
    mask[10:25] = False
    found = indicators.zero_gradients(Linear(), x, y, mask=mask)
    assert (found.value, found.n_examples) == (0.5, 30)


def test_bad_arguments_are_named():
    with pytest.raises(EcgadvError, match="two budgets at least"):
        indicators.not_monotone({0.1: np.ones(3)})
    with pytest.raises(EcgadvError, match="unequal length"):
        indicators.beaten_by(np.ones(3), np.ones(2))
