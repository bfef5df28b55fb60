"""The boundary attack with smoothed noise, as paper A uses it (PROTOCOLS 2.5).

Brendel, Rauber and Bethge (ICLR 2018) walk from a recording that already has the wanted class
towards the original, and ask the network for nothing but its decision. Paper A draws the step
along the boundary from smoothed noise, so that the difference to the original looks like an ECG.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ecgadv import draws
from ecgadv.attacks.walks import Goal, Walks, hanning_smooth
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked
from ecgadv.errors import EcgadvError


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
    share = {"most": 1, "what": "the share of the distance"}
    spherical_step = options.size("spherical_step", spherical_step, **share)
    source_step = options.size("source_step", source_step, **share)
    step_adaptation = options.size("step_adaptation", step_adaptation, what="such as 1.5")
    steps, candidates = options.whole("steps", steps), options.whole("candidates", candidates)
    window = options.whole("window", window)
    if max_queries is not None:  # the start, the original and one candidate
        max_queries = options.whole("max_queries", max_queries, least=3)
    if step_adaptation <= 1:
        raise EcgadvError(f"step_adaptation is {step_adaptation}; give more than 1, such as 1.5")
    check_window(window)
    options.generator(generator)
    x, y, start, target, mask = pairs(x, y, start, target, mask)
    wanted = y if target is None else target
    with attacked(model, wanted) as network, torch.no_grad():
        x_adv = start.clone() if mask is None else torch.where(mask, start, x)
        goal = Goal(network, wanted, targeted=target is not None)
        check_classes(goal, x, x_adv, mask)
        walks = Walks.begin(x, x_adv, mask, goal, spherical_step, source_step, step_adaptation)
        found = Boundary(x_adv, walks.distance.clone(), walks.queries.clone())
        while len(walks.index):
            # For the whole batch every time, so that no pair's noise depends on who has left.
            noise = draws.normal(x.shape, x, generator)[walks.index]
            noise = hanning_smooth(noise, window)
            walks.attempt(noise, candidates)
            done = walks.arrived(steps, max_queries)
            if bool(done.any()):
                _write(found, walks.take(done.nonzero().squeeze(-1)))
                walks = walks.take((~done).nonzero().squeeze(-1))
    return found


def _write(found: Boundary, ended: Walks) -> None:
    """Put pairs that leave in their places of the whole batch."""
    for name in ("x_adv", "distance", "queries"):
        getattr(found, name)[ended.index] = getattr(ended, name)


def check_window(window: int) -> None:
    """Raise EcgadvError for a window without a middle."""
    if window % 2 == 0:
        raise EcgadvError(f"window is {window}; give an odd number of samples, such as 41")


def pairs(x, y, start, target, mask) -> tuple:
    """Return the arguments as a walk goes on with them: alike, finite, one class a pair."""
    x, start = signals.signals("x", x), signals.signals("start", start)
    if start.shape != x.shape or start.dtype != x.dtype:
        raise EcgadvError(
            f"x is {x.dtype} of shape {tuple(x.shape)} and start {start.dtype} of shape "
            f"{tuple(start.shape)}; give both alike, of shape (pairs, leads, time)"
        )
    y, mask = signals.labels("y", y, x), signals.padding(mask, x)
    if target is not None:
        target = signals.labels("target", target, x)
        same = target == y
        if bool(same.any()):
            raise EcgadvError(
                f"target equals y {signals.places(same)}; give another class there, or None for "
                "any class but y"
            )
    signals.finite("x", x)
    signals.finite("start", start)
    return x, y, start, target, mask


def check_classes(goal: Goal, x: Tensor, x_adv: Tensor, mask: Tensor | None) -> None:
    """Raise EcgadvError unless each start has the class wanted and its original has not."""
    astray, already = ~goal.met(x_adv, mask), goal.met(x, mask)
    if bool(astray.any()):
        raise EcgadvError(
            f"start, as masked, is not of the class wanted {signals.places(astray)}; the network "
            "must put every start in it: drop these pairs"
        )
    if bool(already.any()):
        raise EcgadvError(
            f"x is of the class wanted already {signals.places(already)}; drop these pairs"
        )
