"""Adversarial training: clean and adversarial cross-entropy, weighted.

With labels it is the adversarial training of both papers. With the soft labels of a teacher that
was trained adversarially itself it is paper A's adversarial distillation training (ADT).
"""

from collections.abc import Callable

from torch import Tensor, nn

from ecgadv.defenses.cross_entropy import mean_cross_entropy
from ecgadv.errors import EcgadvError
from ecgadv.models import forward
from ecgadv.models.kernels import normalize_kernels


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    attack: Callable[..., Tensor],
    clean_weight: float = 0.5,
    adversarial_weight: float = 0.5,
    temperature: float = 1.0,
    summed: bool = False,
    normalize: bool = False,
    correct_only: bool = False,
) -> Tensor:
    """Return clean_weight * S(x) + adversarial_weight * S(x_adv) (PROTOCOLS 3.4 and 2.4).

    S is the mean cross-entropy with labels y (..., B) or soft labels y (..., B, K).

    Args:
        attack: attack(model, x, y, mask=mask) -> x_adv, run on the current network. It knows no
            temperature, as the authors' does not.
        clean_weight: 1 for paper B's MLP, 0.5 for its CNN (row B4) and in paper A.
        adversarial_weight: likewise.
        temperature: T, what the logits in S are divided by.
        summed: sum over the batch instead of averaging, as paper A's authors do (row A6).
        normalize: bring the kernels to unit norm between the attack and the losses, where paper
            B's adversarial CNN does it (PROTOCOLS 3.4).
        correct_only: attack the samples that are classified right alone, and let S(x_adv) be the
            sum over them divided by the batch, as paper B does on CPSC2018 (PROTOCOLS 3.6); with
            labels and x of three dimensions.

    Raises EcgadvError for correct_only with soft labels or with seeds side by side.
    """
    if correct_only:
        return _of_the_correct(model, x, y, mask, attack, clean_weight, adversarial_weight)
    x_adv = attack(model, x, y, mask=mask)
    if normalize:
        normalize_kernels(model.normalized_layers())
    # The attacked batch goes first, as in paper A: dropout draws and running averages follow it.
    attacked = mean_cross_entropy(forward(model, x_adv, mask), y, temperature)
    clean = mean_cross_entropy(forward(model, x, mask), y, temperature)
    mean = clean_weight * clean + adversarial_weight * attacked
    return mean * x.shape[-3] if summed else mean


def _of_the_correct(model, x, y, mask, attack, clean_weight, adversarial_weight) -> Tensor:
    """Return the loss whose adversarial part knows the samples classified right alone."""
    if x.dim() != 3 or y.is_floating_point():
        raise EcgadvError(
            f"correct_only=True with x of shape {tuple(x.shape)} and labels of {y.dtype}; give "
            "(batch, leads, time), one seed at a time, and labels"
        )
    logits = forward(model, x, mask)
    total = clean_weight * mean_cross_entropy(logits, y)
    right = (logits.argmax(-1) == y).nonzero().squeeze(-1)
    if len(right) == 0:  # an empty batch has no mean
        return total
    own = x[right], y[right], None if mask is None else mask[right]
    x_adv = attack(model, *own[:2], mask=own[2])
    attacked = mean_cross_entropy(forward(model, x_adv, own[2]), own[1])
    return total + adversarial_weight * attacked * (len(right) / len(x))
