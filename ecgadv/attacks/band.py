"""PGD on what lies in a band of frequencies, so that baseline wander or mains hum can be asked for.

A perturbation within a band is what a filter of the recording leaves, or a source of noise makes:
it says which frequencies a network can be misled by. Guo, Frank and Weinberger (UAI 2019) limit
black-box perturbations of images to low frequencies in the same way.
"""

import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import LOSSES, unit_gradient
from ecgadv.attacks.search import Best, search
from ecgadv.border import options, signals
from ecgadv.border.networks import attacked
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

ROUNDS = 3  # of clamping and filtering in turn, before what is left over the budget is scaled down


def band_pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: Threat,
    *,
    steps: int,
    step_size: float,
    rate: float,
    low_hz: float,
    high_hz: float,
    mask: Tensor | None = None,
    generator: torch.Generator | None = None,
    loss: str = "margin",
) -> Tensor:
    """Return examples (B, C, L) that raise the loss by frequencies from `low_hz` to `high_hz`.

    From x it steps along the gradient filtered to the band, scaled so that its largest value
    ("l2": its length) is `step_size`, and projects onto band and budget in turn. A sample is done
    with its first misclassified iterate; the others return their iterate of highest loss.

    Arguments:
        steps, step_size: number of steps, and their size in units of x.
        rate: samples a second; bands end at half of it.
        low_hz, high_hz: the band, of the discrete Fourier transform over all L values. The bounds
            of the threat and the mask cut the perturbation in time, and so let a little out of
            the band: without them it is exact.
        generator: unused, as nothing is random; here so that all attacks are called alike.

    Raises EcgadvError for bad options, shapes or values, and for a NaN gradient.
    """
    options.word("attack loss", loss, LOSSES)
    steps, step_size = options.whole("steps", steps), options.size("step_size", step_size)
    rate = options.size("rate", rate, what="in samples a second")
    x, y, mask = signals.admit(x, y, threat, mask, generator, stacked=False)
    kept = inside(x.shape[-1], rate, low_hz, high_hz).to(x.device)
    with attacked(model, y) as network:
        iterate = BandIterate(torch.zeros_like(x), x, mask, threat, kept, step_size)
        best = Best(x, loss=loss, stop_at_success=True)
        search(network, iterate, y, mask, best, loss=loss, steps=steps)
        return best.result()


def inside(length: int, rate: float, low_hz: float, high_hz: float) -> Tensor:
    """Return bool (L // 2 + 1,): which frequencies of the transform are in the band.

    Raises EcgadvError for a band that is none, or lies between two of the frequencies.
    """
    found = [f for f in (low_hz, high_hz) if isinstance(f, bool) or not isinstance(f, int | float)]
    if found or not 0 <= low_hz < high_hz <= rate / 2:
        raise EcgadvError(
            f"the band runs from {low_hz!r} to {high_hz!r} Hz; give 0 <= low_hz < high_hz, at most "
            f"{rate / 2:g}, half the rate"
        )
    kept = (torch.arange(length // 2 + 1) * rate / length).sub(low_hz).div(high_hz - low_hz)
    kept = (kept >= 0) & (kept <= 1)
    if not bool(kept.any()):
        raise EcgadvError(
            f"no frequency of {length} values lies from {low_hz:g} to {high_hz:g} Hz, they are "
            f"{rate / length:.3g} Hz apart; widen the band"
        )
    return kept


def filtered(delta: Tensor, kept: Tensor) -> Tensor:
    """Return (..., L) with the frequencies that are kept alone."""
    if not delta.numel():
        return delta  # which some transforms refuse
    # No transform of half precision exists on a CPU.
    wide = delta.float() if delta.dtype in (torch.float16, torch.bfloat16) else delta
    spectrum = torch.fft.rfft(wide) * kept
    return torch.fft.irfft(spectrum, n=delta.shape[-1]).to(delta.dtype)


class BandIterate:
    """delta (B, C, L) within the band and the budget, added to x."""

    target = None

    def __init__(self, delta: Tensor, x: Tensor, mask, threat: Threat, kept: Tensor, step_size):
        self.delta, self.x, self.mask, self.threat = delta, x, mask, threat
        self.kept, self.step_size = kept, step_size
        self.eps = torch.as_tensor(threat.eps).to(x)

    def example(self) -> Tensor:
        return self.threat.project(self.x + self.delta, self.x, self.mask).requires_grad_()

    @torch.no_grad()
    def step(self, gradient: Tensor, *_) -> None:
        if self.mask is not None:
            gradient = torch.where(self.mask, gradient, 0.0)
        ahead = unit_gradient(filtered(gradient, self.kept))
        if self.threat.norm == "linf":
            # What the budget lets through of a sign step, rather than the gradient's few peaks.
            ahead = filtered(ahead.sign(), self.kept)
            peak = ahead.abs().amax((-2, -1), keepdim=True)
            ahead = ahead / peak.clamp_min(torch.finfo(ahead.dtype).tiny)
        moved = self.delta + self.step_size * ahead
        if self.threat.norm == "linf":
            for _ in range(ROUNDS):
                moved = filtered(torch.clamp(moved, -self.eps, self.eps), self.kept)
        over = self.threat.share(moved, torch.zeros_like(moved)).clamp(min=1)[:, None, None]
        self.delta = moved / over

    def take(self, rows: Tensor) -> "BandIterate":
        mask = None if self.mask is None else self.mask[rows]
        delta, x, threat = self.delta[rows], self.x[rows], self.threat.take(rows)
        return BandIterate(delta, x, mask, threat, self.kept, self.step_size)
