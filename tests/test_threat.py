"""Threat: projection, random starts and the check, against their definitions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat


def signals(*shape, seed=0, dtype=torch.float32):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def left_mask(batch, length):
    """True over the first part of each signal, a different part for each sample."""
    valid = torch.arange(batch) * length // (2 * batch) + length // 3 + 1
    return torch.arange(length) < valid[:, None, None]


def test_linf_projection_is_one_clamp_to_budget_and_bounds():
    x = torch.tensor([[[0.05, 0.5, 0.97]]])
    far = torch.tensor([[[-1.0, 0.53, 2.0]]])
    moved = Threat(0.1, low=0.0, high=1.0).project(far, x)
    torch.testing.assert_close(moved, torch.tensor([[[0.0, 0.53, 1.0]]]))
    free = Threat(0.1).project(far, x)
    torch.testing.assert_close(free, torch.tensor([[[-0.05, 0.53, 1.07]]]))


def test_l2_projection_rescales_only_what_is_too_long():
    x = torch.zeros(2, 1, 2)
    far = torch.tensor([[[3.0, 4.0]], [[0.3, 0.4]]])
    moved = Threat(1.0, "l2").project(far, x)
    torch.testing.assert_close(moved, torch.tensor([[[0.6, 0.8]], [[0.3, 0.4]]]))
    bounded = Threat(1.0, "l2", low=0.0, high=0.7).project(-far, x)
    assert torch.equal(bounded, x)


@given(
    norm=st.sampled_from(["linf", "l2"]),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 17)),
    eps=st.floats(0, 3),
    bounded=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_projection_and_start_stay_inside_and_are_idempotent(
    norm, shape, eps, bounded, masked, seed
):
    threat = Threat(eps, norm, *((0.0, 1.0) if bounded else (None, None)))
    x = signals(*shape, seed=seed)
    mask = left_mask(shape[0], shape[2]) if masked else None
    generator = torch.Generator().manual_seed(seed)
    wild = x + 5 * torch.randn(shape, generator=generator)
    for x_adv in (
        threat.project(wild, x, mask),
        threat.random_start(x, mask=mask, generator=generator),
    ):
        threat.check(x_adv, x, mask)
        assert not threat.violations(x_adv, x, mask).any()
        torch.testing.assert_close(threat.project(x_adv, x, mask), x_adv)
        if masked:
            assert torch.equal(x_adv.masked_select(~mask), x.masked_select(~mask))


def test_budgets_per_sample_and_per_lead():
    x = torch.zeros(2, 3, 5)
    far = torch.full_like(x, 9.0)
    per_sample = torch.tensor([0.1, 0.2]).view(2, 1, 1)
    per_lead = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1)
    assert torch.equal(Threat(per_sample).project(far, x), per_sample.expand(x.shape))
    assert torch.equal(Threat(per_lead).project(far, x), per_lead.expand(x.shape))
    lengths = Threat(per_sample, "l2").project(far, x).norm(dim=(1, 2))
    torch.testing.assert_close(lengths, per_sample.flatten())


def test_take_keeps_the_budgets_and_bounds_of_the_chosen_samples():
    eps, low = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([[[0.0], [-1.0]]])
    taken = Threat(eps, low=low, high=2.0).take(torch.tensor([2, 0]))
    torch.testing.assert_close(taken.eps.flatten(), torch.tensor([0.3, 0.1]))
    assert torch.equal(taken.low, low)  # one row per lead, not per sample
    assert taken.high == 2.0


def test_take_keeps_bounds_per_sample():
    low, high = torch.tensor([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]]).view(2, 3, 1, 1)
    taken = Threat(0.1, low=low, high=high).take(torch.tensor([2, 0]))
    assert taken.low.flatten().tolist() == [-3.0, -1.0]
    assert taken.high.flatten().tolist() == [3.0, 1.0]


def test_at_changes_the_budget_alone():
    threat = Threat(0.1, "l2", low=-1.0, high=1.0, unit="mV")
    assert threat.at(0.3) == Threat(0.3, "l2", low=-1.0, high=1.0, unit="mV")


@pytest.mark.parametrize("leads", [1, 2])
def test_l2_start_is_uniform_in_the_ball_over_the_mask(leads):
    # In d dimensions P(radius <= r eps) = r^d; here 3 of 5 places of each lead are in the mask.
    mask = (torch.arange(5) < 3).expand(4000, 1, 5)
    x = torch.zeros(4000, leads, 5)
    start = Threat(2.0, "l2").random_start(x, mask=mask, generator=torch.Generator().manual_seed(3))
    radius = start.norm(dim=(1, 2)) / 2.0
    for r in (0.5, 0.8, 0.95):
        share, expected = (radius <= r).double().mean().item(), r ** (3 * leads)
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
    assert start[..., :3].mean(dim=(0, 1)).abs().max() < 0.06


def test_linf_start_fills_the_budget_evenly():
    x = torch.full((1, 1, 20000), 0.5)
    start = Threat(0.1).random_start(x, generator=torch.Generator().manual_seed(0)) - x
    quantiles = torch.quantile(start.flatten(), torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(
        quantiles, torch.tensor([-0.1, -0.05, 0.0, 0.05, 0.1]), atol=2e-3, rtol=0
    )


def test_starts_need_only_the_generator():
    x = signals(2, 1, 9)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Threat(0.1).random_start(x, generator=torch.Generator().manual_seed(5))
    again = Threat(0.1).random_start(x, generator=torch.Generator().manual_seed(5))
    other = Threat(0.1).random_start(x, generator=torch.Generator().manual_seed(6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("eps", "change", "words"),
    [
        (0.01, lambda x: x + 0.02, "over the budget"),
        (0.1, lambda x: torch.full_like(x, math.nan), "not finite"),
        (0.1, lambda x: x - 0.05, "below low"),
        (0.1, lambda x: x + 0.05, "above high"),
    ],
)
def test_check_names_the_violation(eps, change, words):
    x = torch.tensor([[[0.5, 0.5]], [[0.52, 0.48]]])
    x_adv = x.clone()
    x_adv[1] = change(x[1])
    threat = Threat(eps, low=0.45, high=0.55)
    assert threat.violations(x_adv, x).tolist() == [False, True]
    with pytest.raises(EcgadvError, match=f"sample 1 is {words}") as caught:
        threat.check(x_adv, x)
    assert "\n" not in str(caught.value)


def test_check_sees_any_change_outside_the_mask():
    x, mask = torch.zeros(2, 1, 4), left_mask(2, 4)
    x_adv = x.clone()
    x_adv[0, 0, 3] = 1e-7
    assert Threat(0.1).violations(x_adv, x, mask).tolist() == [True, False]
    with pytest.raises(EcgadvError, match="sample 0 is changed outside the mask"):
        Threat(0.1).check(x_adv, x, mask)


def test_check_allows_for_the_rounding_of_raw_counts():
    x = 8000.0 * (signals(3, 1, 50) - 0.5)
    threat = Threat(0.3, unit="count")
    threat.check(threat.project(x + 1.0, x), x)
    assert threat.violations(x + 0.5, x).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(
    ("eps", "level", "largest"), [(0.1, 0.0, 1.0), (300.3, 0.0, 300.3), (0.1, 50.0, 50.0)]
)
def test_the_tolerance_is_relative_to_the_largest_of_1_and_eps_and_x(norm, eps, level, largest):
    x, step = torch.full((3, 1, 4), level).double(), torch.zeros(3, 1, 4).double()
    step[..., 1] = 1.0
    for share, outside in ((0.9, False), (1.1, True)):
        x_adv = x + (eps + share * 1e-5 * largest) * step
        assert (Threat(eps, norm).violations(x_adv, x) == outside).all()


def test_check_takes_an_empty_batch_and_leading_dimensions():
    empty = torch.zeros(0, 1, 4)
    Threat(0.1).check(empty, empty)
    x = torch.zeros(2, 3, 1, 4)
    x_adv = x.clone()
    x_adv[1, 2] = 1.0
    assert Threat(0.1).violations(x_adv, x).tolist() == [[False] * 3, [False, False, True]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eps": -0.1}, "eps is -0.1"),
        ({"eps": math.nan}, "eps is nan"),
        ({"eps": math.inf}, "eps is inf"),
        ({"eps": torch.tensor([[[0.1]], [[-1.0]]])}, "eps is -1.0 to"),
        ({"eps": 0.1, "norm": "l1"}, "unknown norm 'l1'"),
        ({"eps": 0.1, "low": 1.0, "high": 1.0}, "low 1.0 is not below high 1.0"),
        ({"eps": 0.1, "low": math.nan}, "low is NaN"),
        ({"eps": torch.ones(1, 3, 1), "norm": "l2"}, "does not fit norm 'l2'"),
    ],
)
def test_bad_threats_are_refused_in_one_line(options, words):
    with pytest.raises(EcgadvError, match=words) as caught:
        Threat(**options)
    assert "\n" not in str(caught.value)


def test_check_refuses_another_shape():
    with pytest.raises(EcgadvError, match="do not match signals of shape"):
        Threat(0.1).check(torch.zeros(1, 1, 3), torch.zeros(1, 1, 4))
