"""Which class each example ends in under an attack, and whether it held: one value an example.

Flags are uint8 arrays of shape (N,), the form in which records keep them: 1 held, 0 broken (or
already wrong without an attack), 255 (`NOT_ATTACKED`) not a candidate. Predictions under attack
are uint8 (N,) too: the class, or 255.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv.border import arrays, examples, options, signals
from ecgadv.border.arrays import BROKEN, HELD, NOT_ATTACKED
from ecgadv.border.examples import Array
from ecgadv.border.networks import forward, frozen, home
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

__all__ = [
    "BROKEN",
    "HELD",
    "NOT_ATTACKED",
    "attack_flags",
    "attack_predictions",
    "craft",
    "flags_of",
    "predict",
    "worst_case",
]
BUDGET_TOLERANCE = 1e-5
MOST_CLASSES = 255  # predictions are uint8, and 255 of them is NOT_ATTACKED


def predict(
    model: nn.Module, x: Array, *, mask: Array | None = None, batch_size: int = 1024
) -> Tensor:
    """Return the logits of all examples, in eval mode and without gradients.

    Args:
        model: network; its training flags are restored, batches go to its device.
        x: examples (N, C, L), on any device; they take the type of the network's parameters.
        mask: (N, 1, L) bool, True where the recording is, or None.
        batch_size: examples in a forward pass.

    Returns:
        float32 logits (N, K) on the CPU.

    Raises:
        EcgadvError: a logit is NaN, answers are no logits, or the arguments do not fit together.
    """
    x, mask = examples.examples(model, x, mask)
    batch_size = options.whole("batch_size", batch_size)
    device = home(model)[0] or x.device
    parts = []
    with frozen(model), torch.no_grad():
        for rows in torch.arange(len(x)).split(batch_size):
            logits = forward(model, _take(x, rows, device), _take(mask, rows, device))
            parts.append(logits.float().cpu())
    logits = torch.cat(parts)
    bad = logits.isnan().any(-1)
    if bad.any():
        raise EcgadvError(
            f"NaN logits for {int(bad.sum())} of {len(x)} examples, first at index "
            f"{int(bad.nonzero()[0])}; logits must be numbers: check the weights and the input"
        )
    return logits


def attack_flags(
    model: nn.Module, x: Array, y: Array, attack: Callable[..., Tensor], threat: Threat, **options
) -> np.ndarray:
    """Attack every candidate that the model classifies right and say which ones held.

    All arguments, and errors, are those of `attack_predictions`.

    Returns:
        uint8 (N,): 1 held, 0 broken or wrong without an attack, 255 not a candidate.
    """
    return flags_of(attack_predictions(model, x, y, attack, threat, **options), y)


def flags_of(predicted: np.ndarray, y: Array) -> np.ndarray:
    """Return the flags of predictions under attack (N,) with labels y (N,)."""
    predicted, y = arrays.classes("prediction", predicted), arrays.classes("label", y)
    arrays.one_each("predictions", predicted, y)
    held = (predicted == y).astype(np.uint8)
    return np.where(predicted == NOT_ATTACKED, np.uint8(NOT_ATTACKED), held)


def attack_predictions(
    model: nn.Module,
    x: Array,
    y: Array,
    attack: Callable[..., Tensor],
    threat: Threat,
    *,
    mask: Array | None = None,
    batch_size: int = 1024,
    seed: int = 0,
    candidates: Array | None = None,
    progress: Callable[[int], None] | None = None,
    keep_padding: bool = True,
) -> np.ndarray:
    """Attack every candidate that the model classifies right and say what it reads in each.

    A candidate that is wrong without an attack keeps the class it is mistaken for. The examples
    that the attack returns are checked against the threat and classified again by a forward pass
    of their own, so an attack cannot report its own success. Candidates are taken in ascending
    order; batch k draws from a generator of its own, seeded by (seed, k).

    Args:
        model: network, left as it was.
        x: examples (N, C, L).
        y: labels (N,).
        attack: called as `attack(model, x, y, threat, mask=..., generator=...)`.
        threat: budget and bounds; tensors with one row an example follow the batches.
        mask: (N, 1, L) bool, True where the recording is, or None.
        batch_size: examples handed to the attack at once.
        seed: seed of the attack's randomness.
        candidates: examples to attack, bool (N,) or indices; None means all.
        progress: called with the number of candidates decided so far, clean errors included.
        keep_padding: False lets the attack perturb what the mask says is padding, of which only
            the network is told; for attacks in which no example leaves the batch early.

    Returns:
        uint8 (N,): class under the attack, 255 not a candidate.

    Raises:
        EcgadvError: NaN logits, a candidate out of range, shapes that do not fit together, or an
            attack that left its budget (`Threat.check`).
    """
    x, y, mask, batch_size = _checked(model, x, y, attack, threat, mask, batch_size)
    chosen = examples.candidates(candidates, len(x))
    predicted = np.full(len(x), NOT_ATTACKED, dtype=np.uint8)
    if not len(chosen):
        return predicted
    clean = predict(model, x[chosen.to(x.device)], mask=_take(mask, chosen), batch_size=batch_size)
    if clean.shape[1] > MOST_CLASSES:
        raise EcgadvError(f"{clean.shape[1]} classes; predictions are kept of at most 255")
    signals.labels_fit(y, clean)
    predicted[chosen.numpy()] = clean.argmax(-1).numpy()
    right = chosen[clean.argmax(-1) == y[chosen]]
    done = len(chosen) - len(right)
    report = progress or (lambda n_done: None)
    report(done)
    if not keep_padding:
        attack = _into_padding(attack)
    for rows, x_adv, batch_mask in _crafted(
        model, x, y, attack, threat, mask, right, batch_size, seed, keep_padding=keep_padding
    ):
        logits = predict(model, x_adv, mask=batch_mask, batch_size=batch_size)
        predicted[rows.numpy()] = logits.argmax(-1).numpy()
        done += len(rows)
        report(done)
    return predicted


def craft(
    model: nn.Module,
    x: Array,
    y: Array,
    attack: Callable[..., Tensor],
    threat: Threat,
    *,
    mask: Array | None = None,
    batch_size: int = 1024,
    seed: int = 0,
) -> Tensor:
    """Return examples (N, C, L) on the CPU that the attack makes of all of x on `model`.

    It serves transfer, where another network is to read them. Arguments and errors are those of
    `attack_predictions`.
    """
    x, y, mask, batch_size = _checked(model, x, y, attack, threat, mask, batch_size)
    every = torch.arange(len(x))
    made = _crafted(model, x, y, attack, threat, mask, every, batch_size, seed)
    return torch.cat([x_adv.cpu() for _, x_adv, _ in made])


def _into_padding(attack: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the attack without the mask, on a network that has it."""

    def unmasked(model, x, y, threat, *, mask, generator):
        return attack(
            lambda x: forward(model, x, mask), x, y, threat, mask=None, generator=generator
        )

    return unmasked


def _crafted(model, x, y, attack, threat, mask, chosen, batch_size, seed, *, keep_padding=True):
    """Yield (rows, examples, mask) of each batch of the chosen ones, checked against the threat."""
    device, seed = home(model)[0] or x.device, options.whole("seed", seed, least=0)
    for k, rows in enumerate(chosen.split(batch_size) if len(chosen) else ()):
        batch, labels, batch_mask = (_take(values, rows, device) for values in (x, y, mask))
        local = threat.take(rows)
        # A copy: what an attack did to its input would not show in a comparison with it.
        given = batch.clone(), labels, local
        x_adv = attack(model, *given, mask=batch_mask, generator=_generator(seed, k, device))
        x_adv = examples.made(x_adv, batch)
        bound = batch_mask if keep_padding else None
        local.check(x_adv, batch, bound, tol=BUDGET_TOLERANCE)
        yield rows, x_adv, batch_mask


def worst_case(flags: Mapping[str, np.ndarray], *, among: np.ndarray | None = None) -> np.ndarray:
    """Combine several attacks example by example: broken where any of them broke it.

    With `among`, all other examples become 255 first. Then an example is 0 if any attack broke
    it, 1 if every attack ran on it and none broke it, 255 if no attack ran on it. An example that
    some attack left unbroken and another never saw has no worst case: that is an error, since
    counting it either way would bias the accuracy. A cascade, where each attack runs only on the
    survivors of the ones before, has no such example.

    Args:
        flags: for each attack its flags (N,), 1 held, 0 broken, 255 not attacked.
        among: bool (N,), the examples to keep, for example those that the costliest attack saw.

    Raises:
        EcgadvError: no flags, unequal lengths, other values than 0, 1, 255, or the case above.
    """
    if not flags:
        raise EcgadvError("no flags to combine; give at least one attack")
    lengths = {name: len(held) for name, held in flags.items()}
    if len(set(lengths.values())) > 1:
        raise EcgadvError(f"flags of unequal length {lengths}; give the same examples to each")
    stacked = np.stack([arrays.flags(held, name=name) for name, held in flags.items()])
    if among is not None:
        among = arrays.whole("among", among).astype(bool)
        arrays.one_each("flags of among", among, stacked[0], what="examples")
        stacked = np.where(among, stacked, np.uint8(NOT_ATTACKED))
    worst = stacked.min(axis=0)  # 0 < 1 < 255 is exactly the order that is wanted
    unseen = ((stacked == NOT_ATTACKED) & (worst == HELD)).sum(axis=1)
    if unseen.any():
        name = list(flags)[int(unseen.argmax())]
        raise EcgadvError(
            f"attack {name!r} was not run on {int(unseen.max())} examples that the others left "
            "unbroken; run it on them or pass `among` with the examples that all attacks share"
        )
    return worst


def _checked(model, x, y, attack, threat, mask, batch_size):
    """Return x, y, mask and the size of a batch as the code behind the border assumes them."""
    x, mask = examples.examples(model, x, mask)
    y = torch.from_numpy(arrays.classes("label", y))
    arrays.one_each("labels", y, x, what="examples")
    signals.fits(threat, x)
    examples.called_alike(getattr(attack, "__name__", type(attack).__name__), attack)
    return x, y, mask, options.whole("batch_size", batch_size)


def _take(values: Tensor | None, rows: Tensor, device: torch.device | None = None):
    """Return the rows on `device` (None: where they are); None stays None."""
    if values is None:
        return None
    return values[rows.to(values.device)].to(device or values.device)


def _generator(seed: int, batch: int, device: torch.device) -> torch.Generator:
    """Return the generator of one batch; SeedSequence keeps (seed, batch) pairs independent."""
    word = np.random.SeedSequence([seed, batch]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(word) >> 1)
