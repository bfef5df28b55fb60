"""Square attack (Andriushchenko et al., ECCV 2020) for signals: windows of time, not squares.

It asks the network for its logits alone, and so does not mind gradients that are masked. On one
dimension the squares of the original lose their shape; here a window is a stretch of time on one
lead or more, and its share of all values shrinks as that of the squares does.
"""

import torch
from torch import Tensor, nn

from ecgadv import draws
from ecgadv.attacks.gradient import unit
from ecgadv.attacks.search import Best
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked, forward
from ecgadv.threat import Threat, l2_length

# The share is halved at these of 10,000 queries (section 3.1 of the paper), fewer in proportion.
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def square(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    queries: int,
    share: float = 0.8,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return examples (B, C, L) that raise the margin loss within the threat, by random search.

    It begins with windows of random sign side by side. Each further query moves one window, drawn
    for each sample, and is kept if it raises the margin. For "linf" (algorithms 1 and 2) the
    window goes to plus or minus eps on each of its leads; for "l2" (algorithms 1 and 3) it takes
    over the budget of a second window, added in the shape of two bumps of opposite sign.

    Arguments:
        x, y, mask: signals (B, C, L), labels (B,), True where the recording is.
        queries: forward passes of each sample; it stops at its first misclassified example.
        share: of the values of a recording that the first windows cover, above 0 and at most 1.

    Raises EcgadvError for bad options, shapes or values.
    """
    queries = options.whole("queries", queries)
    share = options.size("share", share, most=1, what="the share of the first windows")
    x, y, mask = signals.admit(x, y, threat, mask, generator, stacked=False)
    with attacked(model, y) as network, torch.no_grad():
        best = Best(x, loss="margin", stop_at_success=True, blind=True)
        best.record(x, forward(network, x, mask), y)
        move = Moves(x, threat, mask, generator)
        for query in range(1, queries):
            rows = best.shrink()
            if rows is not None:
                y, mask = y[rows], None if mask is None else mask[rows]
                move = move.take(rows)
            if len(y) == 0:
                break
            now = shrunk(share, query / queries)
            moved = move.first(now) if query == 1 else move.next(best.example, now)
            best.record(moved, forward(network, moved, mask), y)
        return best.result()


def shrunk(share: float, done: float) -> float:
    """Return the share of the windows once `done` (0 to 1) of the queries are spent."""
    return share / 2 ** sum(done * 10_000 > at for at in HALVED_AT)


class Moves:
    """The windows of the active samples, each within the stretch where its recording is."""

    def __init__(self, x: Tensor, threat: Threat, mask: Tensor | None, generator):
        self.x, self.threat, self.mask, self.generator = x, threat, mask, generator
        self.whole, self.rows = len(x), torch.arange(len(x), device=x.device)
        self.time = torch.arange(x.shape[-1], device=x.device)
        self.begin, self.length = torch.zeros_like(self.rows), self.rows * 0 + x.shape[-1]
        if mask is not None:
            inside = mask[:, 0]
            self.begin = inside.int().argmax(-1)
            self.length = inside.shape[-1] - inside.flip(-1).int().argmax(-1) - self.begin
        self.reached = harmonic(x)

    def take(self, rows: Tensor) -> "Moves":
        mask = None if self.mask is None else self.mask[rows]
        taken = Moves(self.x[rows], self.threat.take(rows), mask, self.generator)
        taken.whole, taken.rows = self.whole, self.rows[rows]
        return taken

    def first(self, share: float) -> Tensor:
        """Return x with windows of random sign side by side, each of `share` of the recording."""
        wide = self._wide(share, self.length)[:, None, None]
        since = (self.time - self.begin[:, None])[:, None]  # (A, 1, L)
        number = (since // wide).clamp(min=0).expand(self.x.shape)
        signs = self._draw(*self.x.shape[1:]).lt(0.5).to(self.x).mul_(2).sub_(1)
        delta = signs.gather(-1, number)
        if self.threat.norm == "l2":
            delta = delta * self._bump(since % wide, wide)
        return self._within(delta * self._eps() if self.threat.norm == "linf" else delta)

    def next(self, here: Tensor, share: float) -> Tensor:
        """Return `here` (A, C, L) with one window of each sample moved."""
        leads = self.x.shape[1]
        draw = self._draw(2 * leads + 4)
        # As many leads as it spans make a window of the same share narrower.
        spans = (draw[:, 0] * leads).long().clamp(max=leads - 1) + 1
        chosen = draw[:, 4 : 4 + leads].argsort(-1).argsort(-1) < spans[:, None]
        signs = draw[:, 4 + leads :].lt(0.5).to(self.x).mul_(2).sub_(1)[..., None]
        wide = self._wide(share * leads / spans, self.length)
        since, window = self._window(draw[:, 1], wide, chosen)
        delta = here - self.x
        if self.threat.norm == "linf":
            return self._within(torch.where(window, signs * self._eps(), delta))
        _, other = self._window(draw[:, 2], wide, chosen)
        flip = draw[:, 3].lt(0.5).to(self.x).mul(2).sub(1)[:, None, None]
        bumps = flip * signs * self._two_bumps(since, wide[:, None, None])
        return self._within(self._moved(delta, window, other, bumps))

    def _moved(self, delta: Tensor, window: Tensor, other: Tensor, bumps: Tensor) -> Tensor:
        """Return delta with what the two windows hold, and what is left of eps, in the first."""
        inside, both = torch.where(window, delta, 0.0), torch.where(window | other, delta, 0.0)
        left = (self._eps() ** 2 - l2_length(delta) ** 2).clamp_min(0)
        shape = torch.where(window, bumps + unit(inside), 0.0)
        budget = (left + l2_length(both) ** 2).sqrt()
        return torch.where(window | other, 0.0, delta) + unit(shape) * budget

    def _within(self, delta: Tensor) -> Tensor:
        if self.threat.norm == "l2":
            delta = torch.where(self.mask, delta, 0.0) if self.mask is not None else delta
            delta = unit(delta) * self._eps()
        return self.threat.project(self.x + delta, self.x, self.mask)

    def _eps(self) -> float | Tensor:
        eps = self.threat.eps
        return eps.to(self.x) if isinstance(eps, Tensor) else eps

    def _wide(self, share: float | Tensor, length: Tensor) -> Tensor:
        """Return how many values of time a window covers, (A,), at least 1 and at most all."""
        wide = torch.as_tensor(share * length).round().long()
        return torch.minimum(wide, length).clamp(min=1)

    def _window(self, place: Tensor, wide: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the time since windows (A, 1, L) began, and bool (A, C, L) where they are."""
        free = (self.length - wide + 1).clamp(min=1)
        since = self.time - (self.begin + (place * free).long())[:, None]
        inside = (since >= 0) & (since < wide[:, None])
        return since[:, None], inside[:, None] & chosen[..., None]

    def _bump(self, since: Tensor, wide: Tensor) -> Tensor:
        """Return sum_{j = d + 1}^{n + 1} 1 / j^2, d from the middle of a window that reaches n."""
        reach = wide // 2
        away = (since - reach).abs().clamp(max=self.x.shape[-1])
        return (self.reached[reach + 1] - self.reached[away]).clamp_min(0)

    def _two_bumps(self, since: Tensor, wide: Tensor) -> Tensor:
        half = (wide + 1) // 2
        second = since >= half
        bump = self._bump(torch.where(second, since - half, since), half)
        return torch.where(second, -bump, bump)

    def _draw(self, *shape: int) -> Tensor:
        # For the whole batch every time, so that no sample's draw depends on who has left.
        return draws.uniform((self.whole, *shape), self.x, self.generator)[self.rows]


def harmonic(x: Tensor) -> Tensor:
    """Return the sums of 1 / j^2 up to 0, 1, ..., L + 1, to build the bumps from."""
    places = torch.arange(1, x.shape[-1] + 2, device=x.device, dtype=torch.float64)
    sums = torch.cat([places.new_zeros(1), places.pow(-2).cumsum(0)])
    return sums.to(x.dtype)
