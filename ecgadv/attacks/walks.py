"""The walks of the boundary attack: pairs, their steps, and how both fare (PROTOCOLS 2.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import unit
from ecgadv.border.networks import forward
from ecgadv.threat import l2_length

# Every TEST_EVERY-th iteration of a pair judges its two steps. Each judgement looks at the
# latest SPHERICAL_WINDOW or SOURCE_WINDOW outcomes and wants them between TOO_FEW and TOO_MANY.
TEST_EVERY = 10
SPHERICAL_WINDOW, SOURCE_WINDOW = 100, 30
TOO_FEW, TOO_MANY = 0.2, 0.5
# A walk this slow has arrived: the threshold of the original attack.
COLLAPSED = 1e-7


def hanning_smooth(noise: Tensor, window: int) -> Tensor:
    """Convolve (..., L) along time with a Hann window of sum 1, with zeros beyond both ends.

    The window of `window` (odd) values ends in zeros, as numpy.hanning gives it; 1 or 3 leave
    the noise as it is.
    """
    inner = [0.5 - 0.5 * math.cos(2 * math.pi * n / (window - 1)) for n in range(1, window - 1)]
    taps = inner or [1.0]
    length, reach = noise.shape[-1], len(taps) // 2
    padded = nn.functional.pad(noise, (reach, reach))
    total = torch.zeros_like(noise)
    for shift, tap in enumerate(taps):
        total.add_(padded[..., shift : shift + length], alpha=tap / sum(taps))
    return total


def propose(
    x: Tensor, x_adv: Tensor, noise: Tensor, spherical_step: Tensor, source_step: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a spherical candidate and, a step closer to x, the candidate; both (B, C, L).

    The noise, made orthogonal to the source direction x - x_adv and as long as `spherical_step`
    times the distance, leaves the sphere around x through x_adv; along the ray to x it comes
    back onto it. The candidate is then moved straight to x by `source_step` times the distance.
    Steps are (B,), relative to the distance. Where x_adv equals x and the noise is 0, so it stays.
    """
    delta = x_adv - x
    distance = l2_length(delta)
    source = delta / distance
    across = noise - (noise * source).sum(dim=(-2, -1), keepdim=True) * source
    across = unit(across)
    # A right triangle of legs 1 and spherical_step, in units of the distance.
    cosine = (1 + spherical_step**2).rsqrt()
    sine = spherical_step * cosine
    onto = _each(cosine, x) * delta + _each(sine, x) * distance * across
    return x + onto, x + _each(1 - source_step, x) * onto


class Goal:
    """The class wanted (or, untargeted, not wanted) of each pair, `label` (B,)."""

    def __init__(self, model: nn.Module, label: Tensor, *, targeted: bool):
        self.model, self.label, self.targeted = model, label, targeted

    def met(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return bool (B,): True where the network puts x (B, C, L) in the class wanted."""
        logits = forward(self.model, x, mask)
        return ((logits.argmax(-1) == self.label) == self.targeted) & ~logits.isnan().any(-1)

    def take(self, rows: Tensor) -> Goal:
        return Goal(self.model, self.label[rows], targeted=self.targeted)


class Outcomes:
    """The latest `size` outcomes of one kind of test, of each pair."""

    def __init__(self, outcome: Tensor, count: Tensor):
        self.outcome, self.count = outcome, count  # (A, size) bool and (A,) int64

    @classmethod
    def none(cls, pairs: int, size: int, device: torch.device) -> Outcomes:
        outcome = torch.zeros((pairs, size), dtype=torch.bool, device=device)
        return cls(outcome, torch.zeros(pairs, dtype=torch.int64, device=device))

    def add(self, rows: Tensor, success: Tensor) -> None:
        """Note an outcome of the pairs `rows`, in place of the oldest once there are `size`."""
        self.outcome[rows, self.count[rows] % self.outcome.shape[-1]] = success
        self.count[rows] += 1

    def judge(self, pairs: Tensor) -> Tensor:
        """Return (A,) the powers of the adaptation factor: 1 grow, -1 shrink, 0 leave.

        Only pairs that are True in `pairs` (A,) and have all their outcomes are judged; where
        the step changes, the outcomes are forgotten.
        """
        size = self.outcome.shape[-1]
        hits, ready = self.outcome.sum(-1), pairs & (self.count >= size)
        power = (hits > TOO_MANY * size).double() - (hits < TOO_FEW * size).double()
        power = torch.where(ready, power, 0.0)
        self.count.masked_fill_(power != 0, 0)
        return power

    def take(self, rows: Tensor) -> Outcomes:
        return Outcomes(self.outcome[rows], self.count[rows])


@dataclass
class Walks:
    """The active pairs: where each stands and what its steps have come to.

    All tensors are of the active pairs; `index` has their places in the whole batch.
    """

    x: Tensor
    x_adv: Tensor
    mask: Tensor | None
    goal: Goal
    index: Tensor
    distance: Tensor
    queries: Tensor
    iteration: Tensor
    tries: Tensor
    spherical_step: Tensor
    source_step: Tensor
    step_adaptation: float
    spherical: Outcomes
    source: Outcomes

    @classmethod
    def begin(
        cls, x: Tensor, x_adv: Tensor, mask: Tensor | None, goal: Goal, *steps: float
    ) -> Walks:
        """Return all pairs at their start; `steps` are the two first steps and their factor."""
        pairs, device = len(x), x.device
        index = torch.arange(pairs, device=device)
        spherical_step, source_step, step_adaptation = steps
        # Steps in float64: they only scale, and may adapt hundreds of times.
        step = torch.ones(pairs, dtype=torch.float64, device=device)
        return cls(
            x=x,
            x_adv=x_adv,
            mask=mask,
            goal=goal,
            index=index,
            distance=l2_length(x_adv - x).flatten(),
            queries=torch.full_like(index, 2),  # the start and the original
            iteration=torch.ones_like(index),
            tries=torch.zeros_like(index),
            spherical_step=spherical_step * step,
            source_step=source_step * step,
            step_adaptation=step_adaptation,
            spherical=Outcomes.none(pairs, SPHERICAL_WINDOW, device),
            source=Outcomes.none(pairs, SOURCE_WINDOW, device),
        )

    def attempt(self, noise: Tensor, candidates: int) -> None:
        """Try one candidate of each pair, from noise (A, C, L)."""
        if self.mask is not None:
            noise = torch.where(self.mask, noise, 0.0)
        sphere, candidate = propose(
            self.x, self.x_adv, noise, self.spherical_step, self.source_step
        )
        met = self.goal.met(candidate, self.mask)
        tested = self.iteration % TEST_EVERY == 0
        rows = tested.nonzero().squeeze(-1)
        if len(rows):
            mask = None if self.mask is None else self.mask[rows]
            self.spherical.add(rows, self.goal.take(rows).met(sphere[rows], mask))
            self.source.add(rows, met[rows])
        self.queries += 1 + tested.long()
        self._move(candidate, met)
        self.tries += 1
        ended = met | (self.tries == candidates)
        if len(rows):
            self._adapt(tested & ended)
        self.iteration += ended.long()
        self.tries.masked_fill_(ended, 0)

    def _move(self, candidate: Tensor, met: Tensor) -> None:
        distance = l2_length(candidate - self.x).flatten()
        # A candidate is closer by construction, but for rounding.
        better = met & (distance < self.distance)
        self.distance = torch.where(better, distance, self.distance)
        self.x_adv = torch.where(better[:, None, None], candidate, self.x_adv)

    def _adapt(self, pairs: Tensor) -> None:
        both, source = self.spherical.judge(pairs), self.source.judge(pairs)
        self.spherical_step = self.spherical_step * self.step_adaptation**both
        grown = self.source_step * self.step_adaptation ** (both + source)
        self.source_step = grown.clamp(max=1.0)

    def arrived(self, steps: int, max_queries: int | None) -> Tensor:
        """Return bool (A,): True for a pair that is to leave."""
        done = (self.iteration > steps) | (self.source_step < COLLAPSED)
        return done if max_queries is None else done | (self.queries >= max_queries)

    def take(self, rows: Tensor) -> Walks:
        return Walks(**{name: _rows(value, rows) for name, value in vars(self).items()})


def _rows(value: Tensor | Goal | Outcomes | float | None, rows: Tensor):
    if value is None or isinstance(value, float):
        return value
    return value[rows] if isinstance(value, Tensor) else value.take(rows)


def _each(step: Tensor, x: Tensor) -> Tensor:
    return step.to(x.dtype)[:, None, None]
