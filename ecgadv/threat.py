"""What the adversary may do to a signal: how far, in which norm and unit, within which bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ecgadv import draws
from ecgadv.border import options
from ecgadv.errors import EcgadvError

NORMS = ("linf", "l2")


@dataclass(frozen=True)
class Threat:
    """Additive perturbations of at most `eps` in a norm, with optional bounds on the signal.

    Arguments:
        eps: budget in the unit of x; a float, or a tensor or array that broadcasts to the batch:
            (B, 1, 1) per sample or, for "linf" only, (1, C, 1) per lead.
        norm: "linf" (every value) or "l2" (each sample over its leads and time).
        low, high: bounds of the signal, each as eps is, or None (no bound).
        unit: what one unit of x is, such as "normalised", "uV" or "mV".

    Raises EcgadvError for a negative or non-finite eps, levels of fewer than three dimensions that
    are no single number, an unknown norm, or low >= high.
    """

    eps: float | Tensor
    norm: str = "linf"
    low: float | Tensor | None = None
    high: float | Tensor | None = None
    unit: str = "normalised"

    def __post_init__(self):
        options.word("norm", self.norm, NORMS)
        for name in ("eps", "low", "high"):
            value = getattr(self, name)
            if name == "eps" or value is not None:
                object.__setattr__(self, name, options.level(name, value))
        eps = torch.as_tensor(self.eps)
        if not bool(((eps >= 0) & torch.isfinite(eps)).all()):
            raise EcgadvError(f"eps is {self.shown_eps}; give finite values of at least 0")
        if self.norm == "l2" and (eps.dim() > 0 and any(n != 1 for n in eps.shape[-2:])):
            raise EcgadvError(
                f"eps of shape {tuple(eps.shape)} does not fit norm 'l2', which spans leads and "
                "time; give one eps per sample, shape (B, 1, 1)"
            )
        for name in ("low", "high"):
            bound = getattr(self, name)
            if bound is not None and bool(torch.isnan(torch.as_tensor(bound)).any()):
                raise EcgadvError(f"{name} is NaN; give a number, or None for no bound")
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not bool((torch.as_tensor(low) < torch.as_tensor(high)).all()):
            raise EcgadvError(
                f"low {_shown(low)} is not below high {_shown(high)}; swap or widen them, or "
                "pass None for no bound"
            )

    @property
    def shown_eps(self) -> str:
        """Budget as a message shows it, one number or from the least to the greatest."""
        return _shown(self.eps)

    def at(self, eps: float | Tensor) -> Threat:
        """Return the same threat with another budget."""
        return replace(self, eps=eps)

    def take(self, index: Tensor) -> Threat:
        """Return the threat of the samples at `index` (n,) of a batch (B, C, L)."""
        kept = {name: _rows(getattr(self, name), index) for name in ("eps", "low", "high")}
        return replace(self, **kept)

    def box(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the least and the greatest value that "linf" allows at each place of x.

        Budget, bounds and mask in one: where `mask` is False both are x itself, so that one
        clamp is the exact projection. Both have the shape of x (..., B, C, L).
        """
        eps = _like(self.eps, x)
        lower, upper = x - eps, x + eps
        if self.low is not None:
            lower.clamp_(min=_like(self.low, x))
        if self.high is not None:
            upper.clamp_(max=_like(self.high, x))
        if mask is not None:
            lower, upper = torch.where(mask, lower, x), torch.where(mask, upper, x)
        return lower, upper

    def project(self, x_adv: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return `x_adv` moved into the budget around x, the bounds and the mask.

        For "linf" this is the nearest allowed point. For "l2" it is the nearest point of the
        ball, then of the bounds; as x lies within the bounds, that second move only shrinks
        the perturbation, so both hold. x and x_adv are (..., B, C, L), mask (..., B, 1, L).
        """
        if self.norm == "linf":
            return torch.clamp(x_adv, *self.box(x, mask))
        delta = x_adv - x
        if mask is not None:
            delta = torch.where(mask, delta, 0.0)
        length = l2_length(delta)
        # A sample of length 0 stays where it is: its factor is clamped to 1.
        factor = _like(self.eps, x) / length.clamp_min(torch.finfo(x.dtype).tiny)
        moved = x + delta * factor.clamp(max=1.0)
        if self.low is not None:
            moved = moved.clamp(min=_like(self.low, x))
        if self.high is not None:
            moved = moved.clamp(max=_like(self.high, x))
        return moved if mask is None else torch.where(mask, moved, x)

    def share(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return (..., B) how much of the budget each example takes up: 1 is all of it.

        Where eps is 0 it is 0 for what has not moved, and infinite for what has.
        """
        eps, delta = torch.as_tensor(self.eps).to(x), (x_adv - x).abs()
        if self.norm == "l2":
            delta = l2_length(delta)
        return torch.where(delta == 0, 0.0, delta / eps).amax(dim=(-2, -1))

    def random_start(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
        clip: bool = True,
    ) -> Tensor:
        """Return x plus a perturbation drawn uniformly from the budget, then projected.

        "linf" draws from [-eps, eps] at each place, "l2" from the ball over the places where
        `mask` is True. Without a generator torch's default one is used. Without `clip` the
        bounds of the signal do not count: paper B's authors take their first gradient there.
        """
        if not clip:
            free = replace(self, low=None, high=None)
            return free.random_start(x, mask=mask, generator=generator)
        if self.norm == "linf":
            noise = draws.uniform(x.shape, x, generator).mul_(2).sub_(1).mul_(_like(self.eps, x))
            return torch.clamp(noise.add_(x), *self.box(x, mask))
        direction = draws.normal(x.shape, x, generator)
        places = torch.full((1, 1), x.shape[-2] * x.shape[-1], device=x.device)
        if mask is not None:
            direction = torch.where(mask, direction, 0.0)
            places = mask.expand(x.shape).sum(dim=(-2, -1), keepdim=True).clamp_min(1)
        length = l2_length(direction)
        # The radius of a uniform point of the d-dimensional unit ball is U^(1/d).
        share = draws.uniform(length.shape, x, generator).pow((1.0 / places).to(x))
        radius = share * _like(self.eps, x)
        unit = direction / length.clamp_min(torch.finfo(x.dtype).tiny)
        return self.project(x + radius * unit, x, mask)

    def violations(
        self, x_adv: Tensor, x: Tensor, mask: Tensor | None = None, tol: float = 1e-5
    ) -> Tensor:
        """Return bool (..., B): True for a sample outside the budget, the bounds or the mask.

        A value that is not finite counts too. `tol` is relative to the largest of 1, eps and
        `|x|`, because float32 rounds raw counts more coarsely than a normalised signal, and at
        least what the type of x rounds by; outside the mask no change at all is allowed.
        """
        excess = self._excess(x_adv, x, mask, tol).values()
        return torch.stack([over.amax(dim=(-2, -1)) > 0 for over in excess]).any(dim=0)

    def check(
        self, x_adv: Tensor, x: Tensor, mask: Tensor | None = None, tol: float = 1e-5
    ) -> None:
        """Raise EcgadvError that names the worst violation, if `violations` finds any."""
        outside = self.violations(x_adv, x, mask, tol)
        if not bool(outside.any()):
            return
        excess = self._excess(x_adv, x, mask, tol)
        rule = max(excess, key=lambda name: float(excess[name].max()))
        sample = int(excess[rule].amax(dim=(-2, -1)).argmax())
        raise EcgadvError(
            f"sample {sample} is {rule} by {float(excess[rule].max()):.3g} {self.unit} (eps "
            f"{self.shown_eps}, {self.norm}, bounds {_shown(self.low)} to {_shown(self.high)}; "
            f"{int(outside.sum())} of {outside.numel()} samples break the threat); project the "
            "examples before they are scored"
        )

    def _excess(self, x_adv: Tensor, x: Tensor, mask: Tensor | None, tol: float) -> dict:
        """Return by how much each rule is broken, (..., B, C, L) or (..., B, 1, 1), else <= 0."""
        if x_adv.shape != x.shape:
            raise EcgadvError(
                f"examples of shape {tuple(x_adv.shape)} do not match signals of shape "
                f"{tuple(x.shape)}; pass both in the same order and shape"
            )
        # An "l2" length adds up the rounding of all its values.
        values = x.shape[-2] * x.shape[-1] if self.norm == "l2" else 1
        tol = max(tol, torch.finfo(x.dtype).eps * (1 + math.sqrt(values) / 2))
        if x.dtype in (torch.float16, torch.bfloat16):
            x, x_adv = x.float(), x_adv.float()
        eps, delta = _like(self.eps, x), x_adv - x
        size = delta.abs() if self.norm == "linf" else l2_length(delta)
        slack = tol * torch.clamp(x.abs().amax(dim=(-2, -1), keepdim=True), min=1.0)
        slack = torch.maximum(slack, torch.as_tensor(tol * eps).to(x))
        finite = torch.isfinite(x_adv)
        excess = {
            "not finite": torch.where(finite, 0.0, math.inf),
            "over the budget": torch.where(torch.isnan(size), math.inf, size - eps - slack),
        }
        if self.low is not None:
            excess["below low"] = _like(self.low, x) - slack - x_adv
        if self.high is not None:
            excess["above high"] = x_adv - slack - _like(self.high, x)
        if mask is not None:
            excess["changed outside the mask"] = torch.where(mask, 0.0, delta.abs())
        return excess


def l2_length(delta: Tensor) -> Tensor:
    """Return the length of each sample of delta (..., B, C, L) over leads and time, (..., B, 1, 1).

    It is what the norm "l2" measures.
    """
    return torch.linalg.vector_norm(delta, dim=(-2, -1), keepdim=True)


def _like(value: float | Tensor, x: Tensor) -> float | Tensor:
    return value.to(x) if isinstance(value, Tensor) else value


def _rows(value: float | Tensor | None, index: Tensor) -> float | Tensor | None:
    per_sample = isinstance(value, Tensor) and value.dim() == 3 and value.shape[0] > 1
    return value[index] if per_sample else value


def _shown(value: float | Tensor | None) -> str:
    if not isinstance(value, Tensor) or value.numel() == 1:
        return str(value if value is None else float(value))
    return f"{float(value.min())} to {float(value.max())}"
