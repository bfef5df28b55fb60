"""Smooth adversarial perturbations (Han et al., Nature Medicine 2020), in one-kernel form.

Han's perturbation is the mean of 25 convolutions of theta with Gaussian kernels. Convolution is
linear, so that mean is one convolution with the mean kernel of 19 taps; and the kernel is
symmetric, so the gradient to theta is the same smoothing of the gradient to the signal.
"""

import math
from functools import cache

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import LOSSES, input_gradient
from ecgadv.attacks.pgd import PGDIterate
from ecgadv.attacks.search import KEEPS, Best, search
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

SIZES = (5, 7, 11, 15, 19)
SIGMAS = (1, 3, 5, 7, 10)


KERNELS = ("mean", "last-of-25")


@cache
def _taps(kernel: str = "mean") -> tuple[float, ...]:
    reach = max(SIZES) // 2
    taps = [0.0] * (2 * reach + 1)
    every = [(size, sigma) for size in SIZES for sigma in SIGMAS]
    for size, sigma in every if kernel == "mean" else every[-1:]:
        offsets = range(-(size // 2), size // 2 + 1)
        weights = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
        for offset, weight in zip(offsets, weights, strict=True):
            taps[reach + offset] += weight / sum(weights) / len(every)
    return tuple(taps)


def sap_kernel() -> Tensor:
    """Return the mean of the 25 normalised Gaussian kernels, float64 (19,); it sums to 1."""
    return torch.tensor(_taps(), dtype=torch.float64)


def smooth(theta: Tensor, kernel: str = "mean") -> Tensor:
    """Convolve (..., L) with `sap_kernel` along time, with zeros beyond both ends.

    The kernel "last-of-25" is the last of the 25, divided by 25: see `sap`.
    """
    # A weighted sum of 19 shifted views: on one CPU thread 2 to 5 times as fast as conv1d with
    # one channel or unfold, level with a banded (L, L) product at L = 187 and far ahead of it
    # at L = 9000; and unlike conv1d and matmul on a GPU it never rounds to TF32.
    length, taps = theta.shape[-1], _taps(kernel)
    padded = nn.functional.pad(theta, (len(taps) // 2, len(taps) // 2))
    total = padded[..., :length] * taps[0]
    for shift in range(1, len(taps)):
        total.add_(padded[..., shift : shift + length], alpha=taps[shift])
    return total


def sap(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    pgd_steps: int,
    smooth_steps: int,
    step_size: float,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    loss: str = "ce",
    keep: str = "best",
    train_mode: bool = False,
    mask_inside: bool = True,
    kernel: str = "mean",
    restarts: int = 1,
) -> Tensor:
    """Return smooth examples x + smooth(theta) (..., B, C, L) within a "linf" threat.

    Phase 1 finds theta by PGD from x without smoothing; phase 2 moves theta by sign steps on
    the loss of the smoothed example, each value kept within [-eps, eps], which keeps the
    smoothed one there too. Only smoothed examples count. The papers set no bounds on the
    signal: pass a threat without low and high for that.

    Arguments:
        pgd_steps, smooth_steps, step_size: steps of either phase, and their size in units of x.
        generator: for the starts of `restarts`.
        keep: "best" stops a sample at its first misclassified smoothed example, else returns
            that of highest loss; "last" returns the last one.
        train_mode: craft in training mode, as paper A does inside training.
        mask_inside: keep theta and the example unchanged outside the mask throughout, as if
            the recording had come without padding. False follows paper A to the letter
            (PROTOCOLS row A11): the padding takes part and is restored only at the end. Then
            keep "last": "best" judges examples whose padding is still perturbed.
        kernel: "mean" of the 25, or "last-of-25": the released code of paper B on CPSC2018 loses
            the sum over them, so that one kernel divided by 25 is left, and the perturbation
            is at most eps / 25 (row B1).
        restarts: with keep="best", so many times; the first begins at x as the paper does, the
            others anywhere within the budget, with those that hold so far.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient (keep="best").
    """
    options.word("attack loss", loss, LOSSES)
    options.word("kernel", kernel, KERNELS)
    wait = options.word("keep", keep, KEEPS) == "best"
    pgd_steps = options.whole("pgd_steps", pgd_steps)
    smooth_steps = options.whole("smooth_steps", smooth_steps)
    if options.whole("restarts", restarts) > 1 and not wait:
        raise EcgadvError(f"restarts={restarts} needs keep='best'")
    step_size = options.size("step_size", step_size)
    checks = {"linf_only": "sap", "soft": loss == "ce" and not wait, "wait": wait}
    x, y, mask = signals.admit(x, y, threat, mask, generator, **checks)
    where = mask if mask_inside else None

    def roughly(network, start, x, y, mask, where, threat) -> SAPIterate:
        rough = PGDIterate(start, x, where, threat, step_size)
        for _ in range(pgd_steps):
            rough.step(input_gradient(network, rough.example(), y, mask, loss)[1])
        return SAPIterate(rough.x_adv.detach() - x, x, where, threat, step_size, kernel)

    with attacked(model, y, train_mode=train_mode, wait=wait) as network:
        if keep == "best":
            best, batch = Best(x, loss=loss, stop_at_success=True), (x, y, mask, where)
            for restart in range(restarts):
                rows = slice(None) if best.index is None else best.index
                left = [None if values is None else values[rows] for values in batch]
                local = threat if best.index is None else threat.take(rows)
                start = left[0].clone()
                if restart:
                    start = local.random_start(left[0], mask=left[3], generator=generator)
                iterate = roughly(network, start, *left, local)
                search(network, iterate, left[1], left[2], best, loss=loss, steps=smooth_steps)
                if restarts > 1:
                    best.shrink(worth=1.0)
                if best.broken.numel() == 0:
                    break
            x_adv = best.result()
        else:
            iterate = roughly(network, x.clone(), x, y, mask, where, threat)
            for _ in range(smooth_steps):
                iterate.step(input_gradient(network, iterate.example(), y, mask, loss)[1])
            x_adv = iterate.example().detach()
        return x_adv if mask is None else torch.where(mask, x_adv, x)


class SAPIterate:
    """theta (..., B, C, L), whose smoothed form is added to x."""

    target = None

    def __init__(
        self,
        theta: Tensor,
        x: Tensor,
        mask: Tensor | None,
        threat: Threat,
        step_size: float,
        kernel: str = "mean",
    ):
        self.theta, self.x, self.mask, self.kernel = theta, x, mask, kernel
        self.threat, self.step_size = threat, step_size
        self.box = threat.box(x, mask)
        self.eps = torch.as_tensor(threat.eps).to(x)
        self.bounds = None
        if threat.low is not None or threat.high is not None:
            low = -math.inf if threat.low is None else threat.low
            high = math.inf if threat.high is None else threat.high
            self.bounds = (torch.as_tensor(low).to(x), torch.as_tensor(high).to(x))

    def example(self) -> Tensor:
        moved = self.x + smooth(self.theta, self.kernel)
        # The mask and the bounds hold values still; there the gradient does not reach theta.
        self.free = self.mask
        if self.bounds is not None:
            within = torch.clamp(moved, *self.bounds) == moved
            self.free = within if self.mask is None else within & self.mask
        return torch.clamp(moved, *self.box).requires_grad_()

    @torch.no_grad()
    def step(self, gradient: Tensor, *_) -> None:
        if self.free is not None:
            gradient = torch.where(self.free, gradient, 0.0)
        ascent = smooth(gradient, self.kernel).sign_()
        if self.mask is not None:
            ascent = torch.where(self.mask, ascent, 0.0)
        self.theta.add_(ascent, alpha=self.step_size).clamp_(-self.eps, self.eps)

    def take(self, rows: Tensor) -> "SAPIterate":
        mask = None if self.mask is None else self.mask[rows]
        taken = SAPIterate(
            self.theta[rows],
            self.x[rows],
            mask,
            self.threat.take(rows),
            self.step_size,
            self.kernel,
        )
        taken.free = None if self.free is None else self.free[rows]
        return taken
