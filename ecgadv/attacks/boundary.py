"""The boundary attack with smoothed noise, as paper A uses it (PROTOCOLS 2.5).

Brendel, Rauber and Bethge (ICLR 2018) walk from a recording that already has the wanted class
towards the original, and ask the network for nothing but its decision. Paper A draws the step
along the boundary from smoothed noise, so that the difference to the original looks like an ECG.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ecgadv.attacks.checks import check_options, check_shapes
from ecgadv.attacks.frozen import frozen
from ecgadv.errors import EcgadvError
from ecgadv.models import forward

# Every TEST_EVERY-th iteration of a pair judges its two steps. Each judgement looks at the
# latest SPHERICAL_WINDOW or SOURCE_WINDOW outcomes and wants them between TOO_FEW and TOO_MANY.
TEST_EVERY = 10
SPHERICAL_WINDOW, SOURCE_WINDOW = 100, 30
TOO_FEW, TOO_MANY = 0.2, 0.5
# A walk this slow has arrived: the threshold of the original attack.
COLLAPSED = 1e-7


@dataclass(frozen=True)
class Boundary:
    """What `boundary` found.

    Attributes:
        x_adv: the examples (B, C, L), each of the class wanted.
        distance: their L2 distance to x (B,), in the unit of x.
        queries: how many recordings of each pair the network has judged (B,), int64.
    """

    x_adv: Tensor
    distance: Tensor
    queries: Tensor


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
    distance = _length(delta)
    source = delta / distance
    across = noise - (noise * source).sum(dim=(-2, -1), keepdim=True) * source
    across = across / _length(across).clamp_min(torch.finfo(x.dtype).tiny)
    # A right triangle of legs 1 and spherical_step, in units of the distance.
    cosine = (1 + spherical_step**2).rsqrt()
    sine = spherical_step * cosine
    onto = _each(cosine, x) * delta + _each(sine, x) * distance * across
    return x + onto, x + _each(1 - source_step, x) * onto


def boundary(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    start: Tensor,
    *,
    target: Tensor | None,
    steps: int,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    spherical_step: float = 0.01,
    source_step: float = 0.01,
    step_adaptation: float = 1.5,
    window: int = 41,
    candidates: int = 25,
    max_queries: int | None = None,
) -> Boundary:
    """Return examples near x that the network puts in the class wanted, by its decisions alone.

    Each pair of an original and a start walks by itself, with its own steps: one iteration tries
    up to `candidates` candidates from the same place and moves to the first of the class wanted.
    All pairs try one candidate at a time in one batch, whichever iteration each has reached; a
    pair leaves when its iterations, its queries or its source step are used up. Every 10th
    iteration also asks about each spherical candidate, and then adapts the steps, each by the
    factor `step_adaptation`: both grow where more than half of the latest 100 spherical
    candidates had the class wanted and shrink where less than a fifth had; the source step alone
    does so on the latest 30 candidates of those iterations. These are the rules of paper A's
    authors (boundary_attack.py:99-161; the original attack takes other thresholds).

    Where the authors say nothing: noise is smoothed with zeros beyond its ends (their smoothing
    is not published); the source step stays at most the whole way to x; a pair stops once its
    source step is below 1e-7, as in the original attack. Unlike them, every recording that the
    network judges counts as a query: in the iterations with a test they count only one of two.

    Arguments:
        x, y: originals (B, C, L) and their classes (B,).
        start: recordings (B, C, L) that the network puts in the class wanted.
        target: the class wanted of each pair (B,), or None: any class but y is wanted.
        steps: iterations of each pair.
        mask: bool (B, 1, L); outside it the examples equal x throughout, the start included.
            The authors leave the padding free and restore it at the end (PROTOCOLS row A12).
        spherical_step, source_step: the first steps, relative to the distance of the pair.
        window: length of the smoothing window in samples, odd; 1 leaves the noise white.
        max_queries: a pair that has asked this often, the start and the original included,
            begins no further candidate; None sets no limit. A test may take it one beyond.

    Every example was judged to be of the class wanted as one of a batch. It lies so near the
    boundary that a batch of another size may round it across: judge it again before use.

    Raises EcgadvError for bad options, shapes or values, for a start (as masked) that is not of
    the class wanted, and for an original that is so already. NaN logits are of no class.
    """
    _check_options(spherical_step, source_step, step_adaptation, window, max_queries)
    check_options(steps=steps, candidates=candidates)
    _check_pairs(x, y, start, target, mask)
    x, start = x.detach(), start.detach()
    x_adv = start.clone() if mask is None else torch.where(mask, start, x)
    with frozen(model), torch.no_grad():
        goal = Goal(model, y if target is None else target, targeted=target is not None)
        _check_classes(goal, x, x_adv, mask)
        steps_at_first = (spherical_step, source_step, float(step_adaptation))
        walks = Walks.begin(x, x_adv, mask, goal, *steps_at_first)
        found = Boundary(x_adv, walks.distance.clone(), walks.queries.clone())
        while len(walks.index):
            noise = hanning_smooth(_normal(x, generator)[walks.index], window)
            walks.attempt(noise, candidates)
            done = walks.arrived(steps, max_queries)
            if bool(done.any()):
                walks.write(found, done.nonzero().squeeze(-1))
                walks = walks.take((~done).nonzero().squeeze(-1))
    return found


class Goal:
    """The class wanted (or, untargeted, not wanted) of each pair, `label` (B,)."""

    def __init__(self, model: nn.Module, label: Tensor, *, targeted: bool):
        self.model, self.label, self.targeted = model, label, targeted

    def met(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return bool (B,): True where the network puts x (B, C, L) in the class wanted."""
        logits = forward(self.model, x, mask)
        return ((logits.argmax(-1) == self.label) == self.targeted) & ~logits.isnan().any(-1)

    def take(self, rows: Tensor) -> "Goal":
        return Goal(self.model, self.label[rows], targeted=self.targeted)


class Outcomes:
    """The latest `size` outcomes of one kind of test, of each pair."""

    def __init__(self, outcome: Tensor, count: Tensor):
        self.outcome, self.count = outcome, count  # (A, size) bool and (A,) int64

    @classmethod
    def none(cls, pairs: int, size: int, device: torch.device) -> "Outcomes":
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

    def take(self, rows: Tensor) -> "Outcomes":
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
    ) -> "Walks":
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
            distance=_length(x_adv - x).flatten(),
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
        distance = _length(candidate - self.x).flatten()
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

    def write(self, found: Boundary, rows: Tensor) -> None:
        """Put the pairs `rows` in their places of the whole batch."""
        places = self.index[rows]
        for name in ("x_adv", "distance", "queries"):
            getattr(found, name)[places] = getattr(self, name)[rows]

    def take(self, rows: Tensor) -> "Walks":
        return Walks(**{name: _rows(value, rows) for name, value in vars(self).items()})


def _rows(value: "Tensor | Goal | Outcomes | float | None", rows: Tensor):
    if value is None or isinstance(value, float):
        return value
    return value[rows] if isinstance(value, Tensor) else value.take(rows)


def _length(delta: Tensor) -> Tensor:
    return torch.linalg.vector_norm(delta, dim=(-2, -1), keepdim=True)


def _each(step: Tensor, x: Tensor) -> Tensor:
    return step.to(x.dtype)[:, None, None]


def _normal(x: Tensor, generator: torch.Generator | None) -> Tensor:
    # Drawn for the whole batch every time, so that no pair's noise depends on who has left.
    device = x.device if generator is None else generator.device
    return torch.randn(x.shape, dtype=x.dtype, device=device, generator=generator).to(x.device)


def _check_options(
    spherical_step: float,
    source_step: float,
    step_adaptation: float,
    window: int,
    max_queries: int | None,
) -> None:
    for name, step in (("spherical_step", spherical_step), ("source_step", source_step)):
        if not 0 < step <= 1:
            raise EcgadvError(
                f"{name} is {step}; give a number above 0 and at most 1, the share of the distance"
            )
    if not 1 < step_adaptation < math.inf:
        raise EcgadvError(
            f"step_adaptation is {step_adaptation}; give a finite number above 1, such as 1.5"
        )
    if not isinstance(window, int) or window < 1 or window % 2 == 0:
        raise EcgadvError(f"window is {window!r}; give an odd number of samples, such as 41")
    if max_queries is not None and (not isinstance(max_queries, int) or max_queries < 3):
        raise EcgadvError(
            f"max_queries is {max_queries!r}; give a whole number of at least 3 (the start, the "
            "original and one candidate), or None for no limit"
        )


def _check_pairs(
    x: Tensor, y: Tensor, start: Tensor, target: Tensor | None, mask: Tensor | None
) -> None:
    check_shapes(x, y, mask)
    if x.dim() != 3 or start.shape != x.shape or start.dtype != x.dtype:
        raise EcgadvError(
            f"x is {x.dtype} of shape {tuple(x.shape)} and start {start.dtype} of shape "
            f"{tuple(start.shape)}; give both alike, of shape (pairs, leads, time)"
        )
    if target is not None and target.shape != y.shape:
        raise EcgadvError(
            f"target of shape {tuple(target.shape)} does not match y of shape {tuple(y.shape)}; "
            "give one class per pair, or None for any class but y"
        )
    if target is not None and bool((target == y).any()):
        raise EcgadvError(f"target equals y at {_where(target == y)}; give another class there")
    for name, signal in (("x", x), ("start", start)):
        broken = ~torch.isfinite(signal).flatten(1).all(-1)
        if bool(broken.any()):
            raise EcgadvError(
                f"{name} holds values that are not finite at {_where(broken)}; repair or drop "
                "them first"
            )


def _check_classes(goal: Goal, x: Tensor, x_adv: Tensor, mask: Tensor | None) -> None:
    astray, already = ~goal.met(x_adv, mask), goal.met(x, mask)
    if bool(astray.any()):
        raise EcgadvError(
            f"start is not of the class wanted at {_where(astray)}; the network must put every "
            "start, as masked, in it: drop these pairs"
        )
    if bool(already.any()):
        raise EcgadvError(
            f"x is of the class wanted already at {_where(already)}; drop these pairs"
        )


def _where(pairs: Tensor, *, most: int = 10) -> str:
    """Return the positions of the True values, as "pairs 0, 4 (2 of 9)"."""
    places = pairs.nonzero().flatten().tolist()
    shown = ", ".join(map(str, places[:most])) + (", ..." if len(places) > most else "")
    return f"pairs {shown} ({len(places)} of {len(pairs)})"
