"""Flags of single examples, on networks whose robustness is known in closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from ecgadv.errors import EcgadvError
from ecgadv.evaluation.robustness import (
    NOT_ATTACKED,
    attack_flags,
    attack_predictions,
    craft,
    flags_of,
    predict,
    worst_case,
)
from ecgadv.threat import Threat


class Sign(nn.Module):
    """Logits (-s, s), s the sum of x: an linf attack of eps breaks it iff |s| < eps * C * L."""

    uses_mask = True

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, mask=None):
        assert not self.dropout.training
        if mask is not None:
            x = x * mask
        total = self.gain * x.sum((-2, -1))
        return torch.stack([-total, total], -1)


def towards_zero(model, x, y, threat, *, mask=None, generator=None):
    """The optimal attack on `Sign`."""
    step = (1.0 - 2.0 * y.float())[:, None, None] * threat.eps
    return threat.project(x + step, x, mask)


def noise(model, x, y, threat, *, mask=None, generator=None):
    return threat.random_start(x, mask=mask, generator=generator)


@pytest.fixture
def beats():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 2, 5, generator=generator)
    return x, (x.sum((-2, -1)) > 0).long()


def test_predict_equals_the_network_for_any_batch_size_and_input_kind(beats):
    x, _ = beats
    model = Sign().train()
    model.dropout.eval()
    expected = torch.stack([-x.sum((-2, -1)), x.sum((-2, -1))], -1)
    for size in (1, 7, 50, 1000):
        torch.testing.assert_close(predict(model, x, batch_size=size), expected)
    logits = predict(model, x.numpy())
    torch.testing.assert_close(logits, expected)
    assert logits.dtype == torch.float32 and not logits.requires_grad
    assert model.training and not model.dropout.training and model.gain.requires_grad


def test_predict_hands_the_mask_to_the_network(beats):
    x, _ = beats
    mask = torch.zeros(50, 1, 5, dtype=torch.bool)
    mask[:, :, :3] = True
    logits = predict(Sign(), x, mask=mask.numpy(), batch_size=16)
    torch.testing.assert_close(logits[:, 1], x[..., :3].sum((-2, -1)))


def test_predict_names_the_first_nan(beats):
    x = beats[0].clone()
    x[[20, 33]] = torch.nan
    with pytest.raises(EcgadvError, match="2 of 50 examples, first at index 20"):
        predict(Sign(), x, batch_size=8)


@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_optimal_attack_gives_the_closed_form(beats, batch_size):
    x, y = beats
    eps = 0.2
    wrong = torch.zeros(50, dtype=torch.bool)
    wrong[::9] = True
    labels = torch.where(wrong, 1 - y, y)
    held = attack_flags(Sign(), x, labels, towards_zero, Threat(eps), batch_size=batch_size)
    expected = (x.sum((-2, -1)).abs() > eps * 10) & ~wrong
    assert held.dtype == np.uint8
    np.testing.assert_array_equal(held, expected.numpy())
    assert 0 < held.sum() < 44


def test_only_candidates_that_are_right_reach_the_attack_in_ascending_order(beats):
    x, y = beats
    labels = y.clone()
    labels[[4, 40]] = 1 - y[[4, 40]]
    seen, done = [], []

    def spy(model, x, y, threat, *, mask=None, generator=None):
        seen.append(x)
        return x.clone()

    index = np.array([40, 12, 3, 4, 3, 30])
    held = attack_flags(
        Sign(), x, labels, spy, Threat(0.1), batch_size=2, candidates=index, progress=done.append
    )
    assert torch.equal(torch.cat(seen), x[[3, 12, 30]])
    assert done == [2, 4, 5]
    expected = np.full(50, NOT_ATTACKED)
    expected[[3, 12, 30]], expected[[4, 40]] = 1, 0
    np.testing.assert_array_equal(held, expected)
    flags = np.isin(np.arange(50), index)
    again = attack_flags(Sign(), x, labels, spy, Threat(0.1), candidates=flags)
    np.testing.assert_array_equal(again, held)


class Three(nn.Module):
    """Classes 0, 1, 2 for a mean around -1, 0, 1."""

    def forward(self, x):
        mean = x.mean((-2, -1))
        return torch.stack([-(mean + 1).square(), -mean.square(), -(mean - 1).square()], -1)


def up(model, x, y, threat, *, mask=None, generator=None):
    return threat.project(x + threat.eps, x, mask)


def test_predictions_are_where_each_example_ends():
    means = torch.tensor([-1.0, -0.6, 0.2, 0.4, 1.0, 0.0])
    x = means[:, None, None].expand(-1, 2, 5).contiguous()
    y = torch.tensor([0, 0, 1, 1, 2, 2])  # the last one is wrong without an attack
    candidates = np.array([0, 1, 2, 3, 5])
    ends = attack_predictions(Three(), x, y, up, Threat(0.2), batch_size=2, candidates=candidates)
    assert ends.dtype == np.uint8
    # -1 + 0.2 stays, -0.6 + 0.2 moves on, 0.4 too; a clean error keeps the class it is taken for.
    assert ends.tolist() == [0, 1, 1, 2, NOT_ATTACKED, 1]
    flags = flags_of(ends, y)
    assert flags.dtype == np.uint8
    assert flags.tolist() == [1, 0, 1, 0, NOT_ATTACKED, 0]
    held = attack_flags(Three(), x, y, up, Threat(0.2), candidates=candidates)
    assert held.tolist() == flags.tolist()
    assert flags_of(ends, y.numpy()).tolist() == flags.tolist()


def test_an_attack_that_mends_an_error_is_not_asked():
    x, y = torch.full((1, 2, 5), 0.4), torch.tensor([2])
    assert attack_predictions(Three(), x, y, up, Threat(0.5)).tolist() == [1]
    assert Three()(x + 0.5).argmax().item() == 2


def test_crafted_on_one_network_and_read_by_another(beats):
    x, y = beats
    surrogate, reader = Sign(), Sign()
    with torch.no_grad():
        reader.gain.fill_(-1.0)  # wrong on all of them
    surrogate.train()
    made = craft(surrogate, x.numpy(), y.numpy(), towards_zero, Threat(0.2), batch_size=7)
    assert surrogate.training and surrogate.gain.requires_grad
    # Every example is attacked, also where a network is wrong, and in the order of x.
    torch.testing.assert_close(made, towards_zero(None, x, y, Threat(0.2)))
    again = craft(reader, x, y, towards_zero, Threat(0.2), batch_size=50)
    torch.testing.assert_close(again, made)
    read = predict(reader, made).argmax(-1)
    assert torch.equal(read, (made.sum((-2, -1)) < 0).long())


def test_crafting_follows_seed_mask_and_budget(beats):
    x, y = beats
    mask = torch.arange(5) < torch.arange(50)[:, None, None] % 5 + 1
    eps = torch.linspace(0, 0.5, 50)[:, None, None]
    threat = Threat(eps)
    first, same, other = (
        craft(Sign(), x, y, noise, threat, mask=mask, batch_size=7, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert ((first - x).abs() <= eps + 1e-6).all()
    assert torch.equal(first[~mask.expand_as(x)], x[~mask.expand_as(x)])

    def too_far(model, x, y, threat, *, mask=None, generator=None):
        return x + 0.11

    with pytest.raises(ValueError):
        craft(Sign(), x, y, too_far, Threat(0.1))


def test_nothing_to_attack(beats):
    x, y = beats
    none = attack_flags(Sign(), x, y, noise, Threat(0.1), candidates=np.zeros(50, bool))
    assert (none == NOT_ATTACKED).all()
    all_wrong = attack_flags(Sign(), x, 1 - y, noise, Threat(0.1))
    assert (all_wrong == 0).all()


def test_seed_and_batch_index_fix_the_randomness(beats):
    x, y = beats
    drawn = []

    def spy(model, x, y, threat, *, mask=None, generator=None):
        drawn.append(torch.rand(3, generator=generator))
        return x.clone()

    for seed in (0, 0, 1):
        torch.rand(5)  # the global generator must not matter
        attack_flags(Sign(), x, y, spy, Threat(0.1), batch_size=25, seed=seed)
    first, second, other = drawn[:2], drawn[2:4], drawn[4:]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    draws = [tuple(draw.tolist()) for draw in first + other]
    assert len(set(draws)) == 4


def test_budget_of_each_example_follows_the_batches(beats):
    x, y = beats
    eps = torch.linspace(0, 0.5, 50)[:, None, None]
    held = attack_flags(Sign(), x, y, towards_zero, Threat(eps), batch_size=7)
    expected = x.sum((-2, -1)).abs() > eps.flatten() * 10
    np.testing.assert_array_equal(held, expected.numpy())


def test_mask_follows_the_batches(beats):
    x, _ = beats
    mask = torch.arange(5) < torch.arange(50)[:, None, None] % 5 + 1
    total = (x * mask).sum((-2, -1))
    held = attack_flags(
        Sign(), x, (total > 0).long(), towards_zero, Threat(0.2), mask=mask, batch_size=7
    )
    expected = total.abs() > 0.2 * 2 * mask.sum((-2, -1))
    np.testing.assert_array_equal(held, expected.numpy())


def test_an_attack_cannot_cheat(beats):
    x, y = beats

    def too_far(model, x, y, threat, *, mask=None, generator=None):
        return x + 1.01 * threat.eps

    def nan(model, x, y, threat, *, mask=None, generator=None):
        return x * torch.nan

    for cheat in (too_far, nan):
        with pytest.raises(ValueError):
            attack_flags(Sign(), x, y, cheat, Threat(0.1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": np.array([3, 50])}, "candidate 50 is out of range"),
        ({"candidates": np.array([-1, 3])}, "candidate -1 is out of range"),
        ({"candidates": np.ones(49, bool)}, "give \\(50,\\) bools"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"mask": np.ones((50, 2, 5), bool)}, "give bool \\(N, 1, L\\)"),
    ],
)
def test_bad_arguments_are_named(beats, change, message):
    with pytest.raises(EcgadvError, match=message):
        attack_flags(Sign(), *beats, noise, Threat(0.1), **change)
    with pytest.raises(EcgadvError, match="labels for 50 examples"):
        attack_flags(Sign(), beats[0], beats[1][:9], noise, Threat(0.1))


def test_worst_case_is_taken_example_by_example():
    one = np.array([1, 1, 0, 0], np.uint8)
    two = np.array([1, 0, 1, 0], np.uint8)
    np.testing.assert_array_equal(worst_case({"one": one, "two": two}), [1, 0, 0, 0])
    np.testing.assert_array_equal(worst_case({"one": one}), one)


def test_worst_case_of_a_cascade_counts_what_the_first_attack_broke():
    first = np.array([1, 0, 1, 0, 255], np.uint8)
    on_survivors = np.array([0, 255, 1, 255, 255], np.uint8)
    worst = worst_case({"first": first, "second": on_survivors})
    np.testing.assert_array_equal(worst, [0, 0, 1, 0, 255])


def test_worst_case_over_different_subsets_needs_the_common_one():
    everywhere = np.array([1, 0, 1, 0], np.uint8)
    subset = np.array([0, 0, 255, 255], np.uint8)
    flags = {"pgd": everywhere, "square": subset}
    with pytest.raises(EcgadvError, match="'square' was not run on 1 examples"):
        worst_case(flags)
    worst = worst_case(flags, among=subset != NOT_ATTACKED)
    np.testing.assert_array_equal(worst, [0, 0, 255, 255])


def test_worst_case_refuses_what_is_not_flags():
    with pytest.raises(EcgadvError, match="at least one attack"):
        worst_case({})
    with pytest.raises(EcgadvError, match="flag 7"):
        worst_case({"a": np.array([7, 1])})
    with pytest.raises(EcgadvError, match="unequal length"):
        worst_case({"a": np.ones(2), "b": np.ones(3)})
