"""The indicators of every report: does the attack fail rather than the network hold?

Each is one share of examples with a threshold, see `indicators`. Those of networks whose answers
or gradients are not what they seem are after Carlini et al. (arXiv:1902.06705), Athalye et al.
(ICML 2018) and Pintor et al. (arXiv:2106.09947).
"""

import copy
import math
import warnings
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv import attacks
from ecgadv.attacks.gradient import attack_loss, input_gradient, misread, unit_gradient
from ecgadv.border.networks import attacked, forward, home
from ecgadv.errors import NoGradientError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.cascade import NOBODY, Cascade
from ecgadv.evaluation.indicators import Indicator, large_budget_holds, zero_gradients
from ecgadv.evaluation.robustness import predict
from ecgadv.evaluation.subject import take
from ecgadv.threat import Threat

MOST = 200  # examples that are looked at
SATURATED = 88.0  # exp(-88) is next to the least float32
SMALL = 0.01  # of eps: a step along the gradient that must raise the loss


def symptoms(cascade: Cascade) -> list[Indicator]:
    """Return the indicators of a cascade that has run, on at most 200 examples and one batch."""
    subject = cascade.subject
    right = np.flatnonzero(subject.right)
    # As many as fit a batch: whoever made that small has a large network.
    most = min(MOST, subject.batch_size)
    rows = np.random.default_rng(cascade.seed).permutation(right)[:most]
    found = [_answers_differ(subject, rows)]
    if not subject.signs:
        found.append(_guesses(subject))
    if len(rows):
        part = torch.from_numpy(np.sort(rows))
        device = home(subject.network)[0] or subject.x.device
        batch = [take(v, part, device) for v in (subject.x, subject.labels, subject.mask)]
        look = Look(subject, *batch, subject.threats[-1].take(part))
        found += [look.saturated(), look.modes_differ(), *look.gradients()]
        found += [look.large_budget(), look.more_steps(cascade, part.numpy())]
        found.append(_blind_wins(cascade))
    return found


def _answers_differ(subject, rows: np.ndarray) -> Indicator:
    """Share of examples of which the network says something else when asked again.

    The second time each is asked in other company, beside a copy of half of the batch, and so
    batches stay as large: what is said of an example may depend on it alone.
    """
    chosen = torch.from_numpy(
        np.sort(rows) if len(rows) else np.arange(min(subject.batch_size, len(subject.x)))
    )
    x, mask = (take(v, chosen, subject.x.device) for v in (subject.x, subject.mask))
    n, half = len(x), (len(x) + 1) // 2
    ask = partial(predict, subject.network, batch_size=n)
    once = ask(x, mask=mask)
    again = torch.empty_like(once)
    for part in (torch.arange(half), torch.arange(n - half, n)):
        twice = torch.cat([part, part])[:n].to(x.device)
        again[part] = ask(x[twice], mask=None if mask is None else mask[twice])[:half]
    rounded = max(1e-4, 10 * torch.finfo(x.dtype).eps)
    differ = ((once - again).abs() > rounded * once.abs().amax().clamp_min(1e-30)).any(-1)
    return Indicator("answers differ when asked twice", _share(differ), 0.0, len(x))


def _guesses(subject) -> Indicator:
    """Accuracy of a guess over that of the network, both class-balanced; 1 is no better."""
    y, k = subject.y, subject.logits.shape[1]
    present, read = len(np.unique(y)), subject.logits.argmax(-1).numpy()
    balanced = metrics.balanced_accuracy(read, y, k)
    value = 0.0 if present < 2 else min(1.0, 1 / present / max(balanced, 1e-9))
    return Indicator("no better than a guess", value, 0.8, len(y))


def _blind_wins(cascade: Cascade) -> Indicator:
    """Share of examples that only an attack without gradients broke, at the worst level."""
    blind = [number for number, step in enumerate(cascade.steps) if step.blind]
    n = int(cascade.subject.right.sum())
    shares = np.isin(cascade.breaker, blind).sum(axis=1) / n
    new = shares - np.concatenate([[0.0], shares[:-1]])  # what a level inherits counts there
    return Indicator("only attacks without gradients break", float(new.max()), 0.01, n)


class Look:
    """A few examples that are read right, and what the network makes of them."""

    def __init__(self, subject, x: Tensor, y: Tensor, mask: Tensor | None, threat: Threat):
        self.subject, self.network = subject, subject.network
        self.x, self.y, self.mask, self.threat = x, y, mask, threat

    def saturated(self) -> Indicator:
        """Share of examples whose logits are so far apart that no softmax tells them apart."""
        logits = predict(self.network, self.x, mask=self.mask, batch_size=len(self.x))
        margin = -attack_loss("margin", logits, self.y.cpu())
        return Indicator("logits too large", _share(margin > SATURATED), 0.01, len(self.x))

    def modes_differ(self) -> Indicator:
        """Share of examples that the network reads otherwise in training mode."""
        network, value = self.network.model, 0.0
        if isinstance(network, nn.Module):
            try:
                training = copy.deepcopy(network).train()
            except (RuntimeError, TypeError):
                # It cannot be copied: unknown, which counts as failed.
                return Indicator("read otherwise in training mode", math.nan, 0.5, 0)
            with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logits = forward(training, self.x.clone(), self.mask)
            value = _share(misread(logits, self.y))
        return Indicator("read otherwise in training mode", value, 0.5, len(self.x))

    def gradients(self) -> list[Indicator]:
        """Shares of examples with no gradient, and of those whose loss falls along it."""
        try:
            found = [
                zero_gradients(self.network, self.x, self.y, mask=self.mask, loss=loss)
                for loss in ("ce", "margin")
            ]
            return [*found, self._falls()]
        except NoGradientError:
            return [Indicator("zero gradients (margin)", 1.0, 0.01, len(self.x))]

    def _falls(self) -> Indicator:
        with attacked(self.network, self.y) as network, torch.no_grad():
            x = self.x.clone().requires_grad_()
            logits, gradient = input_gradient(network, x, self.y, self.mask, "margin")
            linf = self.threat.norm == "linf"
            ahead = gradient.sign() if linf else unit_gradient(gradient)
            eps = torch.as_tensor(self.threat.eps).to(self.x) * SMALL
            moved = self.threat.project(self.x + eps * ahead, self.x, self.mask)
            after = attack_loss("margin", forward(network, moved, self.mask), self.y)
            before = attack_loss("margin", logits, self.y)
        felt = ((moved != self.x) & (gradient != 0)).flatten(1).any(-1)
        falls = _share((after <= before)[felt]) if bool(felt.any()) else 0.0
        return Indicator("loss does not rise along its gradient", falls, 0.05, int(felt.sum()))

    def large_budget(self) -> Indicator:
        """Share that holds where every example can be made the same."""
        x = self.subject.x
        half = float(x.max() - x.min()) / 2
        if self.threat.norm == "l2":
            half *= math.sqrt(x.shape[-2] * x.shape[-1])
        return large_budget_holds(self._held(self.threat.at(max(half, 1e-12)), steps=50, seed=1))

    def more_steps(self, cascade: Cascade, rows: np.ndarray) -> Indicator:
        """Share that Auto-PGD breaks with twice the steps after the cascade has given up."""
        levels = [cascade.worst(level)[rows].mean() for level in range(len(cascade.breaker))]
        level = int(np.argmin(np.abs(np.subtract(levels, 0.5))))
        threat = self.subject.threats[level].take(torch.from_numpy(rows))
        held = self._held(threat, steps=200, seed=2)
        gain = (held == 0) & (cascade.breaker[level, rows] == NOBODY)
        return Indicator("gains from more steps", float(gain.mean()), 0.01, len(rows))

    def _held(self, threat: Threat, *, steps: int, seed: int) -> np.ndarray:
        generator = torch.Generator(device=self.x.device).manual_seed(seed)
        attack = partial(attacks.apgd, steps=steps, mask=self.mask, generator=generator)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "the gradient of")
                x_adv = attack(self.network, self.x, self.y, threat)
        except NoGradientError:
            return np.ones(len(self.x), np.uint8)
        logits = predict(self.network, x_adv, mask=self.mask, batch_size=len(x_adv))
        return (~misread(logits, self.y.cpu())).numpy().astype(np.uint8)


def _share(where: Tensor) -> float:
    return float(where.double().mean())
