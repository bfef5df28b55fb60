"""The smoothed boundary attack: its geometry, its book-keeping and closed forms."""

import itertools
import warnings
from collections import deque

import numpy as np
import pytest
import torch
from small import seeded
from torch import nn

from ecgadv.attacks import Boundary, boundary
from ecgadv.attacks.walks import (
    SOURCE_WINDOW,
    SPHERICAL_WINDOW,
    Outcomes,
    hanning_smooth,
    propose,
)
from ecgadv.errors import EcgadvError


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


class Linear(nn.Module):
    """Class 1 where weight . x > 1: its boundary is a plane."""

    def __init__(self, *shape, seed=9):
        super().__init__()
        self.weight = nn.Parameter(normal(*shape, seed=seed))

    def score(self, x):
        return (x * self.weight).sum(dim=(-2, -1)) - 1

    def forward(self, x):
        return torch.stack([torch.zeros(len(x), dtype=x.dtype), self.score(x)], -1)

    def pairs(self, count, far=4.0, seed=0):
        """Originals of class 0 and starts of class 1, which lie on either side of the plane."""
        spread, unit = normal(2, count, *self.weight.shape, seed=seed), self.weight.detach()
        inside = spread - (spread * unit).sum((-2, -1), keepdim=True) * unit / unit.square().sum()
        return tuple(inside + torch.tensor([-far, far])[:, None, None, None] * unit / unit.norm())


class Curved(nn.Module):
    """A small network of four classes for signals (B, 1, 30), whose boundaries bend."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(normal(30, 24, seed=1))
        self.last = nn.Parameter(normal(24, 4, seed=2))
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return torch.tanh(x.flatten(1) @ self.first / 2) @ self.last

    def pairs(self, count, seed=0):
        x = normal(400, 1, 30, seed=seed)
        y = self(x).argmax(-1)
        one, other = x[::2], x[1::2]
        differ = (y[::2] != y[1::2]).nonzero().flatten()[:count]
        self.seen.clear()
        return one[differ], y[::2][differ], other[differ], y[1::2][differ]


def length(delta):
    return delta.flatten(1).norm(dim=1)


def test_candidates_keep_the_geometry():
    x, x_adv, noise = (50 * normal(5, 2, 200, seed=seed) for seed in (1, 2, 3))
    spherical_step = torch.tensor([1e-6, 0.01, 0.1, 1.0, 30.0], dtype=torch.float64)
    source_step = torch.tensor([0.01, 1e-6, 0.3, 1.0, 0.5], dtype=torch.float64)
    sphere, candidate = propose(x, x_adv, noise, spherical_step, source_step)
    distance = length(x - x_adv)
    torch.testing.assert_close(length(x - sphere), distance)
    # The angle at x is that whose tangent is the spherical step.
    along = ((sphere - x) * (x_adv - x)).sum((1, 2)) / distance**2
    torch.testing.assert_close(along, torch.cos(torch.atan(spherical_step)))
    # What the noise added before the way back is orthogonal to the source direction.
    added = (sphere - x) / along[:, None, None] - (x_adv - x)
    assert (((added * (x_adv - x)).sum((1, 2)) / distance**2).abs() < 1e-9).all()
    torch.testing.assert_close(length(added), spherical_step * distance, rtol=1e-6, atol=0)
    # Straight to x, by its share of the distance.
    torch.testing.assert_close(length(candidate - sphere), source_step * distance)
    torch.testing.assert_close(length(x - candidate), (1 - source_step) * distance)


def test_candidates_are_those_of_foolbox():
    with warnings.catch_warnings():
        # foolbox imports a deprecated name of scipy.
        warnings.simplefilter("ignore", DeprecationWarning)
        import eagerpy
        from foolbox.attacks.boundary_attack import draw_proposals

    x, x_adv = normal(6, 1, 80, seed=1), normal(6, 1, 80, seed=2)
    spherical_step = torch.full((6,), 0.05, dtype=torch.float64)
    source_step = torch.full((6,), 0.02, dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        noise = torch.randn(80, 1, dtype=x.dtype)  # foolbox shares it in the batch
        torch.manual_seed(4)
        distance = length(x - x_adv)
        arrays = [x, x_adv, x - x_adv, (x - x_adv) / distance[:, None, None], distance]
        steps = [spherical_step, source_step]
        theirs = draw_proposals((-1e9, 1e9), *map(eagerpy.astensor, arrays + steps))
    sphere, candidate = propose(x, x_adv, noise.T.expand(6, 1, 80), spherical_step, source_step)
    torch.testing.assert_close(candidate, theirs[0].raw, atol=1e-10, rtol=0)
    torch.testing.assert_close(sphere, theirs[1].raw, atol=1e-10, rtol=0)


@pytest.mark.parametrize("window", [1, 3, 5, 41])
def test_noise_is_smoothed_as_numpy_does(window):
    noise = normal(2, 3, 90)
    kernel = np.hanning(window) / np.hanning(window).sum()
    expected = [
        [np.convolve(lead, kernel, mode="same") for lead in sample] for sample in noise.numpy()
    ]
    torch.testing.assert_close(hanning_smooth(noise, window), torch.tensor(np.array(expected)))


def test_the_plane_is_reached_and_never_crossed():
    model = Linear(1, 12)
    x, start = model.pairs(8)
    y, target = torch.zeros(8, dtype=torch.int64), torch.ones(8, dtype=torch.int64)
    nearest = -model.score(x) / model.weight.norm()
    found = boundary(
        model, x, y, start, target=target, steps=100, candidates=10, window=1,
        spherical_step=0.2, source_step=0.03, generator=seeded(),
    )  # fmt: skip
    assert (model.score(found.x_adv) > 0).all()
    assert (found.distance >= nearest * (1 - 1e-9)).all()
    torch.testing.assert_close(found.distance, length(found.x_adv - x))
    assert (found.distance < 1.03 * nearest).all()
    assert (length(start - x) > 1.1 * nearest).all()


def one_pair(model, x, start, target, draws, *, steps, window, candidates, adaptation=1.5):
    """The protocol on one pair in plain loops: iterations, candidates, two queues."""
    kernel = np.hanning(window) / np.hanning(window).sum()
    spherical, source = deque(maxlen=100), deque(maxlen=30)
    spherical_step = source_step = 0.01
    x, place, queries, turns = x.numpy(), start.numpy(), 2, [0, 0]

    def wanted(signal):
        return bool(model(torch.from_numpy(signal)[None]).argmax(-1) == target)

    for iteration in range(1, steps + 1):
        gap = x - place
        distance = np.linalg.norm(gap)
        for _ in range(candidates):
            eta = np.convolve(next(draws).numpy()[0], kernel, mode="same")[None]
            eta -= (eta * gap).sum() / distance**2 * gap
            eta *= spherical_step * distance / np.linalg.norm(eta)
            sphere = x + (eta - gap) / np.sqrt(spherical_step**2 + 1)
            candidate = sphere + source_step * (x - sphere)
            success = wanted(candidate)
            queries += 1
            if iteration % 10 == 0:
                spherical.append(wanted(sphere))
                source.append(success)
                queries += 1
            if success:
                if np.linalg.norm(candidate - x) < distance:
                    place = candidate
                break
        if len(spherical) == 100 and not 0.2 <= np.mean(spherical) <= 0.5:
            factor = adaptation if np.mean(spherical) > 0.5 else 1 / adaptation
            spherical_step, source_step = spherical_step * factor, source_step * factor
            spherical.clear()
            turns[0] += 1
        if len(source) == 30 and not 0.2 <= np.mean(source) <= 0.5:
            source_step *= adaptation if np.mean(source) > 0.5 else 1 / adaptation
            source.clear()
            turns[1] += 1
        source_step = min(source_step, 1.0)  # no further than to the original
    return place, queries, turns


def test_every_pair_walks_as_if_alone():
    model = Curved()
    x, y, start, target = model.pairs(4, seed=3)
    options = {"steps": 300, "window": 5, "candidates": 8}
    found = boundary(model, x, y, start, target=target, generator=seeded(8), **options)
    turns = []
    for i in range(4):
        generator = seeded(8)
        draws = (
            torch.randn(x.shape, generator=generator, dtype=x.dtype)[i] for _ in itertools.count()
        )
        place, queries, turn = one_pair(model, x[i], start[i], target[i], draws, **options)
        np.testing.assert_allclose(found.x_adv[i].numpy(), place, rtol=1e-6, atol=1e-8)
        assert int(found.queries[i]) == queries
        turns.append(turn)
    assert len(set(found.queries.tolist())) == 4  # each at its own pace
    # Both kinds of adaptation have happened, the one of both steps to most pairs.
    assert (np.sum(turns, axis=0) >= 3).all()


def test_the_source_step_ends_at_the_original():
    class Easy(nn.Module):
        """Class 1 everywhere but at 0: a step beyond the original would seem to succeed."""

        def forward(self, x):
            away = (x != 0).flatten(1).any(-1).double()
            return torch.stack([1 - away, away], -1)

    x, start, generator = torch.zeros(1, 1, 20).double(), normal(1, 1, 20), seeded(8)
    y, target = torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    options = {"steps": 400, "window": 5, "candidates": 10}
    found = boundary(
        Easy(), x, y, start, target=target, step_adaptation=1e3, generator=seeded(8), **options
    )
    draws = (torch.randn(x.shape, generator=generator, dtype=x.dtype)[0] for _ in itertools.count())
    place, queries, turns = one_pair(
        Easy(), x[0], start[0], target[0], draws, adaptation=1e3, **options
    )
    assert turns[1] == 2  # to the original and back to a small step
    np.testing.assert_allclose(found.x_adv[0].numpy(), place, rtol=1e-6, atol=1e-12)
    assert int(found.queries) == queries


@pytest.mark.parametrize("size", [SPHERICAL_WINDOW, SOURCE_WINDOW])
def test_a_fifth_to_a_half_of_the_outcomes_leave_the_step(size):
    hits = [size // 5 - 1, size // 5, size // 2, size // 2 + 1]
    outcomes = Outcomes.none(len(hits), size, torch.device("cpu"))
    for place in range(size):
        success = torch.tensor([place < hit for hit in hits])
        outcomes.add(torch.arange(len(hits)), success)
    judged = outcomes.judge(torch.ones(len(hits), dtype=torch.bool))
    assert judged.tolist() == [-1, 0, 0, 1]
    assert outcomes.count.tolist() == [
        0,
        size,
        size,
        0,
    ]  # where the step changes, they are forgotten


@pytest.mark.parametrize("targeted", [True, False])
def test_examples_have_the_class_wanted_and_come_closer(targeted):
    model = Curved()
    x, y, start, target = model.pairs(12)
    last = length(start - x)
    for steps in (1, 3, 10, 60):
        found = boundary(
            model, x, y, start, target=target if targeted else None, steps=steps,
            window=5, generator=seeded(),
        )  # fmt: skip
        assert isinstance(found, Boundary)
        decision = model(found.x_adv).argmax(-1)
        assert bool((decision == target if targeted else decision != y).all())
        torch.testing.assert_close(found.distance, length(found.x_adv - x))
        # One seed: a longer walk is a shorter one, walked on.
        assert (found.distance <= last).all()
        last = found.distance
    assert (last < length(start - x)).all()


def test_queries_are_the_recordings_judged():
    model = Curved()
    x, y, start, target = model.pairs(7)
    found = boundary(model, x, y, start, target=target, steps=35, window=5, generator=seeded())
    assert int(found.queries.sum()) == sum(len(seen) for seen in model.seen)
    assert found.queries.dtype == torch.int64 and (found.queries >= 2 + 35 + 3).all()
    model.seen.clear()
    alone = boundary(
        model, x[:1], y[:1], start[:1], target=target[:1], steps=35, generator=seeded(),
        max_queries=20,
    )  # fmt: skip
    assert int(alone.queries) == sum(len(seen) for seen in model.seen)
    assert int(alone.queries) in (20, 21)


def test_the_signal_outside_the_mask_is_that_of_the_original():
    model = Curved()
    x, y, start, target = model.pairs(40)
    mask = (torch.arange(30) < 24).expand(40, 1, 30).clone()
    mask[::2] = (torch.arange(30) > 4) & (torch.arange(30) < 27)
    kept = (model(torch.where(mask, start, x)).argmax(-1) == target).nonzero().flatten()
    x, y, start, target, mask = x[kept], y[kept], start[kept], target[kept], mask[kept]
    model.seen.clear()
    found = boundary(
        model, x, y, start, target=target, steps=30, mask=mask, window=5, generator=seeded()
    )
    assert len(kept) > 10
    assert torch.equal(found.x_adv[~mask], x[~mask])
    assert (found.distance < length(torch.where(mask, start - x, 0.0))).all()
    assert (model(found.x_adv).argmax(-1) == target).all()
    # Nowhere on its way was the network shown anything else.
    known = {tuple(row) for row in torch.where(mask, 0.0, x).flatten(1).tolist()}
    for seen in model.seen[2:40]:
        if len(seen) == len(x):
            assert {tuple(row) for row in torch.where(mask, 0.0, seen).flatten(1).tolist()} <= known


def test_a_network_that_uses_the_mask_is_given_it():
    class Masked(Curved):
        uses_mask = True

        def forward(self, x, mask):
            return super().forward(torch.where(mask, x, 0.0))

    mask = (torch.arange(30) < 20).expand(200, 1, 30)
    x = normal(400, 1, 30)
    model = Masked()
    one, other = model(x[::2], mask).argmax(-1), model(x[1::2], mask).argmax(-1)
    rows = (one != other).nonzero().flatten()[:9]
    found = boundary(
        model, x[::2][rows], one[rows], x[1::2][rows], target=other[rows], steps=30,
        mask=mask[rows], generator=seeded(),
    )  # fmt: skip
    assert (model(found.x_adv, mask[rows]).argmax(-1) == other[rows]).all()


def test_a_seed_decides_and_nothing_else_is_touched():
    model = Curved()
    x, y, start, target = model.pairs(5)
    model.train()
    model.last.requires_grad_(False)
    before, elsewhere = (x.clone(), start.clone()), torch.get_rng_state()
    runs = [
        boundary(model, x, y, start, target=target, steps=30, generator=seeded(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0].x_adv, runs[1].x_adv)
    assert torch.equal(runs[0].queries, runs[1].queries)
    assert not torch.equal(runs[0].x_adv, runs[2].x_adv)
    assert torch.equal(x, before[0]) and torch.equal(start, before[1])
    assert torch.equal(torch.get_rng_state(), elsewhere)
    assert model.training and model.first.requires_grad and not model.last.requires_grad
    assert model.first.grad is None and not runs[0].x_adv.requires_grad


class Island(nn.Module):
    """Class 1 at one point alone, so that no candidate ever succeeds."""

    def forward(self, x):
        hit = (x == 1).all(-1).all(-1).double()
        return torch.stack([1 - hit, hit], -1)


def test_a_pair_leaves_with_its_last_query():
    x, start = torch.zeros(1, 1, 8), torch.ones(1, 1, 8)
    y, target = torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    for most in (3, 20):
        # Two before the first candidate, then one for each of the first iteration.
        found = boundary(Island(), x, y, start, target=target, steps=5, max_queries=most)
        assert found.queries.tolist() == [most]


def test_a_pair_whose_step_collapses_leaves():
    x, start = torch.zeros(2, 1, 8), torch.ones(2, 1, 8)
    y, target = torch.zeros(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    found = boundary(
        Island(), x, y, start, target=target, steps=10**9, candidates=25, step_adaptation=1e6,
        generator=seeded(),
    )  # fmt: skip
    assert torch.equal(found.x_adv, start)
    # The 20th iteration brings the tests of the source step to 30 and more.
    assert found.queries.tolist() == [2 + 20 * 25 + 2 * 25] * 2


def test_float32_in_raw_counts():
    model = Linear(1, 400).float()
    x, start = (300 * signal.float() for signal in model.pairs(6))
    y, target = torch.zeros(6, dtype=torch.int64), torch.ones(6, dtype=torch.int64)
    found = boundary(model, x, y, start, target=target, steps=40, generator=seeded())
    assert found.x_adv.dtype == torch.float32
    assert (model(found.x_adv).argmax(-1) == 1).all()
    assert (found.distance < length(start - x)).all()


def test_bad_input_is_named():
    model = Curved()
    x, y, start, target = model.pairs(4)
    good = {"target": target, "steps": 1}

    def refused(match, **changed):
        inputs = {"x": x, "y": y, "start": start, **good, **changed}
        with pytest.raises(EcgadvError, match=match) as error:
            boundary(model, **inputs)
        assert "\n" not in str(error.value)

    swapped = torch.stack([start[0], x[1], start[2], x[3]])
    refused(r"start, as masked, is not of the class wanted at 1, 3 \(2 of 4\)", start=swapped)
    also = torch.stack([x[0], x[1], start[2], x[3]])
    refused(r"x is of the class wanted already at 2 \(1 of 4\)", x=also)
    refused("not of the class wanted at 0, 1, 2, 3", mask=x > 1e9)
    refused("target equals y at 0, 1, 2, 3", target=y)
    refused("target is torch.int64 of shape", target=target[:2])
    refused("give both alike", start=start.float())
    refused("give both alike", start=start[:, :, :9])
    refused("not finite, at 0, 1, 2, 3", start=start * torch.nan)
    refused("give class numbers of shape", y=y[:3])
    refused("steps is 0", steps=0)
    refused("candidates is 0", candidates=0)
    refused("window is 40; give an odd number", window=40)
    refused("spherical_step is 0", spherical_step=0)
    refused("source_step is nan", source_step=float("nan"))
    refused("step_adaptation is 1.0; give more than 1", step_adaptation=1)
    refused("max_queries is 2", max_queries=2)


def test_a_nan_answer_is_of_no_class():
    class Broken(Curved):
        def forward(self, x):
            return super().forward(x) * torch.nan

    x, _, start, _ = Curved().pairs(3)
    zeros = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(EcgadvError, match="is not of the class wanted"):
        boundary(Broken(), x, zeros + 1, start, target=zeros, steps=1)
