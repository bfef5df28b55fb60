"""HopSkipJump (Chen, Jordan and Wainwright, IEEE S&P 2020): from decisions alone, along a boundary.

Like `boundary` it walks from a recording of the wanted class towards the original. But it spends
its queries on an estimate of the direction in which the boundary lies, from random probes around
a point on it, and so comes nearer with as many.
"""

import math

import torch
from torch import Tensor, nn

from ecgadv import draws
from ecgadv.attacks.boundary import Boundary, check_classes, check_window, pairs
from ecgadv.attacks.gradient import unit
from ecgadv.attacks.walks import Goal, hanning_smooth
from ecgadv.border import options
from ecgadv.border.networks import attacked

FIRST_PROBES = 100  # of the first estimate; the t-th takes sqrt(t) times as many
HALVED = 12  # at most so often is a step halved until it ends in the class wanted


def hopskipjump(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    start: Tensor,
    *,
    target: Tensor | None,
    max_queries: int,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    window: int = 1,
) -> Boundary:
    """Return examples near x in "l2" that the network puts in the class wanted (algorithm 2).

    Each iteration bisects to the boundary, estimates its normal from sqrt(t) times 100 probes, and
    steps along it by the distance over sqrt(t), halved until the step ends in the class wanted.

    Arguments:
        x, y: originals (B, C, L) and their classes (B,).
        start: recordings (B, C, L) that the network puts in the class wanted.
        target: the class wanted of each pair (B,), or None: any class but y is wanted.
        max_queries: recordings that the network judges, for each pair; the start and the original
            are two of them.
        mask: bool (B, 1, L); outside it the examples equal x throughout.
        window: length of the window that smooths the probes, in samples, odd; 1 leaves them white.

    As with `boundary`, judge the examples again before use: they lie next to the boundary.

    Raises EcgadvError for bad options, shapes or values, for a start (as masked) that is not of
    the class wanted, and for an original that is so already.
    """
    max_queries = options.whole("max_queries", max_queries, least=3)
    window = options.whole("window", window)
    check_window(window)
    options.generator(generator)
    x, y, start, target, mask = pairs(x, y, start, target, mask)
    wanted = y if target is None else target
    with attacked(model, wanted) as network, torch.no_grad():
        x_adv = start.clone() if mask is None else torch.where(mask, start, x)
        goal = Goal(network, wanted, targeted=target is not None)
        check_classes(goal, x, x_adv, mask)
        hops = Hops(goal, x, x_adv, mask, max_queries)
        turn = 0
        while len(hops.rows()):
            turn += 1
            hops.bisect()
            hops.hop(turn, window, generator)
        return Boundary(hops.nearest, hops.distance(), hops.queries)


class Hops:
    """All pairs: where each stands, the nearest it found, and how often it asked."""

    def __init__(self, goal: Goal, x: Tensor, x_adv: Tensor, mask: Tensor | None, most: int):
        self.goal, self.x, self.mask, self.most = goal, x, mask, most
        self.here, self.nearest = x_adv, x_adv.clone()
        self.queries = torch.full((len(x),), 2, device=x.device)  # the start and the original
        values = x[0].numel() if len(x) else 1
        # Bisection ends at the paper's theta, d^(-3/2) for "l2", or as near as floats tell apart.
        self.fine = max(values**-1.5, 4 * torch.finfo(x.dtype).eps)

    def rows(self) -> Tensor:
        """Return the pairs that may ask on and are not there yet."""
        left = (self.queries < self.most) & (self.distance() > 0)
        return left.nonzero().squeeze(-1)

    def distance(self) -> Tensor:
        return torch.linalg.vector_norm(self.nearest - self.x, dim=(-2, -1))

    def bisect(self) -> None:
        """Move each pair straight to x until the boundary, from where it stands."""
        rows = self.rows()
        x, far = self.x[rows], self.here[rows]
        low, high = torch.zeros_like(x[:, 0, 0]), torch.ones_like(x[:, 0, 0])
        for _ in range(math.ceil(-math.log2(self.fine))):
            asks = self.queries[rows] < self.most
            middle = (low + high) / 2
            met = self._met(rows, x + middle[:, None, None] * (far - x), asks)
            low = torch.where(asks & ~met, middle, low)
            high = torch.where(asks & met, middle, high)
        self.here[rows] = x + high[:, None, None] * (far - x)
        self._keep(rows)

    def hop(self, turn: int, window: int, generator: torch.Generator | None) -> None:
        """Step along the boundary's normal, estimated from probes around each pair."""
        rows = self.rows()
        if not len(rows):
            return
        x, here = self.x[rows], self.here[rows]
        distance = torch.linalg.vector_norm(here - x, dim=(-2, -1))
        normal = self._normal(rows, here, distance, turn, window, generator)
        size, moving = distance / math.sqrt(turn), torch.ones_like(distance).bool()
        for _ in range(HALVED):
            asks = moving & (self.queries[rows] < self.most)
            if not bool(asks.any()):
                break
            moved = here + size[:, None, None] * normal
            met = self._met(rows, moved, asks) & asks
            self.here[rows[met]] = moved[met]
            moving, size = moving & ~met, size / 2

    def _normal(self, rows, here, distance, turn, window, generator) -> Tensor:
        """Return unit vectors (A, C, L): the mean of the probes, each with its side's sign."""
        left = int((self.most - self.queries[rows]).max())
        probes = max(1, min(int(FIRST_PROBES * math.sqrt(turn)), left))
        # The paper's delta_t; of the first turn, where distances say little, a tenth of that.
        reach = distance * (0.1 if turn == 1 else math.sqrt(here[0].numel()) * self.fine)
        reach = reach.clamp_min(torch.finfo(here.dtype).eps * 100)[:, None, None]
        signed, drawn = torch.zeros_like(here), torch.zeros_like(here)
        sides, asked = here.new_zeros(len(rows)), here.new_zeros(len(rows))
        for _ in range(probes):
            asks = self.queries[rows] < self.most
            probe = self._probe(rows, window, generator)
            met = self._met(rows, here + reach * probe, asks)
            side = torch.where(asks, met.to(here) * 2 - 1, 0.0)
            signed += side[:, None, None] * probe
            drawn += asks[:, None, None] * probe
            sides, asked = sides + side, asked + asks
        mean = (sides / asked.clamp_min(1))[:, None, None]
        # Less the mean of the signs, which lowers the variance; all of one sign are their own mean.
        found = torch.where(mean.abs() == 1, signed, signed - mean * drawn)
        return unit(found)

    def _probe(self, rows: Tensor, window: int, generator: torch.Generator | None) -> Tensor:
        # Drawn for the whole batch every time, so that no pair's probes depend on who has left.
        noise = draws.normal(self.x.shape, self.x, generator)[rows]
        noise = hanning_smooth(noise, window)
        return unit(noise if self.mask is None else torch.where(self.mask[rows], noise, 0.0))

    def _met(self, rows: Tensor, points: Tensor, asks: Tensor) -> Tensor:
        """Judge the points (A, C, L) of those who ask; False for the others."""
        met, who = torch.zeros_like(asks), asks.nonzero().squeeze(-1)
        if len(who):
            mask = None if self.mask is None else self.mask[rows[who]]
            met[who] = self.goal.take(rows[who]).met(points[who], mask)
            self.queries[rows[who]] += 1
        return met

    def _keep(self, rows: Tensor) -> None:
        here = torch.linalg.vector_norm(self.here[rows] - self.x[rows], dim=(-2, -1))
        nearer = rows[here < self.distance()[rows]]
        self.nearest[nearer] = self.here[nearer]
