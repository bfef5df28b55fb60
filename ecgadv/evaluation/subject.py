"""What `evaluate` is handed, put into one form: network, examples, labels, levels, microvolts."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv.attacks.gradient import misread
from ecgadv.border import arrays, examples, options, signals
from ecgadv.border.networks import attacked, called, explained
from ecgadv.border.signals import SIGN
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.robustness import predict
from ecgadv.threat import Threat

TASKS = ("multiclass", "multilabel")
SUCCESS = ("any", "exact")
MICROVOLTS = {"uV": 1.0, "\u00b5V": 1.0, "\u03bcV": 1.0, "mV": 1e3, "V": 1e6}


class Counted(nn.Module):
    """A network that counts the examples that pass through it, forward and backward."""

    def __init__(self, model: Callable):
        super().__init__()
        called(model)
        self.model = model
        self.uses_mask = getattr(model, "uses_mask", False)
        self.training = getattr(model, "training", False)
        self.passes = [0, 0]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.passes[0] += len(x)
        try:
            logits = self.model(x, mask=mask) if self.uses_mask else self.model(x)
        except EcgadvError:
            raise
        except Exception as error:  # a stranger's network raises whatever it likes
            raise explained(self.model, x, error) or EcgadvError(_failed(x, error)) from error
        if isinstance(logits, Tensor) and logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.passes[1] += len(gradient)


def _failed(x: Tensor, error: Exception) -> str:
    """Say that a network cannot read x, and what may help."""
    mend = (
        "x is (examples, leads, time): wrap the network in a function of x alone that gives it "
        "what it takes, such as lambda x: network(x.mT) for (examples, time, leads)"
    )
    if isinstance(error, torch.OutOfMemoryError):
        mend = "give a smaller batch_size"
    said = " ".join(str(error).split()) or type(error).__name__
    return f"the network fails on {x.dtype} of shape {tuple(x.shape)} ({said[:200]}); {mend}"


@dataclass
class Subject:
    """Network and examples as the code behind the border assumes them, N of them.

    Attributes:
        y: what the report keeps, class numbers (N,) or bool (N, K).
        labels: what attacks are given, class numbers int64 (N,) or signs int8 (N, K).
        right: bool (N,), examples that can be broken: those read right without an attack.
        logits: (N, K) without an attack.
        threats: one for each level of eps, ascending.
        microvolts: of one unit of x, for each example (N,), or None where nobody said.
    """

    network: Counted
    x: Tensor
    y: np.ndarray
    labels: Tensor
    mask: Tensor | None
    right: np.ndarray
    logits: Tensor
    threats: list[Threat]
    microvolts: np.ndarray | None
    groups: np.ndarray | None
    batch_size: int

    @property
    def signs(self) -> bool:
        return self.labels.dim() == 2

    def key(self, *more) -> str:
        """Return a name for all that the result depends on."""
        digest = hashlib.sha256(repr(more).encode())
        for values in (self.x, self.labels, self.mask, self.logits):
            if values is not None:
                digest.update(values.cpu().contiguous().float().numpy().tobytes())
        for threat in self.threats:
            digest.update(repr(threat).encode())
            digest.update(torch.as_tensor(threat.eps).double().numpy().tobytes())
        return digest.hexdigest()


def subject(
    model, x, y, *, eps, norm, low, high, unit, unit_mv, task, success, mask, groups, batch_size
) -> Subject:
    """Return the subject of an evaluation; EcgadvError for the first misfit."""
    options.word("task", task, TASKS)
    network = Counted(model)
    with attacked(network, None):  # which tells of a network that nothing can be asked of
        pass
    x, mask = _examples(network, x, mask)
    batch_size = options.whole("batch_size", batch_size)
    threats = _threats(eps, len(x), norm=norm, low=low, high=high, unit=unit)
    for threat in threats:
        signals.fits(threat, x)
    signals.finite("x", x)
    y = _labels(y, x, task)
    logits = predict(network, x, mask=mask, batch_size=batch_size)
    if task == "multiclass":
        labels = torch.from_numpy(np.require(y, None, arrays.OWNED))
        signals.labels_fit(labels, logits)
        right = ~misread(logits, labels)
    else:
        labels, right = _signs(y, logits, success)
    given = None if groups is None else _groups(groups, x)
    return Subject(
        *(network, x, y, labels, mask, right.numpy(), logits, threats),
        microvolts=_microvolts(unit, unit_mv, len(x)),
        groups=given,
        batch_size=batch_size,
    )


def _examples(network: Counted, x, mask) -> tuple[Tensor, Tensor | None]:
    """Return examples (N, C, L) and their mask; rows (N, L), as of a table, are of one lead."""
    x = x if isinstance(x, Tensor) else arrays.array("examples", x)
    x = x[:, None] if x.ndim == 2 else x
    if mask is not None and x.ndim == 3:
        mask = mask if isinstance(mask, Tensor) else torch.from_numpy(arrays.array("mask", mask))
        if mask.dim() == 1:
            mask = mask.expand(len(x), 1, -1)
        elif mask.dim() == 2:
            mask = mask[:, None]
        elif mask.dim() == 3 and mask.shape == tuple(x.shape) and x.shape[1] > 1:
            if not bool((mask == mask[:, :1]).all()):
                raise EcgadvError(
                    "mask differs between the leads of a recording; give (N, 1, L), and to leave "
                    "single leads alone an eps of shape (1, C, 1) that is 0 there"
                )
            mask = mask[:, :1]
        mask = mask.contiguous()
    return examples.examples(network, x, mask)


def _threats(eps, n: int, **of) -> list[Threat]:
    """Return a threat for each level: several numbers, or one budget of whatever shape.

    One number for each of the n examples is refused where it could be meant as levels.
    """
    if isinstance(eps, np.ndarray | Tensor | list | tuple) or hasattr(eps, "to_numpy"):
        found = eps if isinstance(eps, Tensor) else arrays.array("eps", eps)
        if found.ndim == 1:
            levels = sorted({float(value) for value in found})
            if not levels:
                raise EcgadvError("eps holds nothing; give a number, or several")
            if len(levels) < len(found) or (
                len(found) == n > 1 and not isinstance(eps, list | tuple)
            ):
                raise EcgadvError(
                    f"eps of shape ({len(found)},) lists levels, each once and in a list; give one "
                    "eps for each example as an array (N, 1, 1)"
                )
            return [Threat(level, **of) for level in levels]
        eps = found
    return [Threat(eps, **of)]


def _labels(y, x: Tensor, task: str) -> np.ndarray:
    if task == "multiclass":
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise EcgadvError(
                f"labels of shape {tuple(np.shape(y))}; give class numbers (N,), such as "
                "y.argmax(-1) of one-hot rows, or for several classes at once task='multilabel'"
            )
        y = arrays.classes("label", y)
        arrays.one_each("labels", y, x, what="examples")
        return y
    y = arrays.whole("labels", y)
    if y.ndim != 2 or len(y) != len(x) or not np.isin(y, (0, 1)).all():
        raise EcgadvError(
            f"labels of shape {y.shape} with values {np.unique(y)[:4].tolist()} for {len(x)} "
            "examples; for task='multilabel' give 0 or 1 for each of (N, K)"
        )
    return y.astype(bool)


def _groups(groups, x: Tensor) -> np.ndarray:
    found = np.asarray(groups)
    arrays.one_each("groups", found, x, what="examples")
    missing = np.array([g is None or g != g for g in found])  # NaN alone differs from itself
    if missing.any():
        raise EcgadvError(
            f"groups hold {found[missing][0]} for {missing.sum()} of {len(x)} examples; say whose "
            "each one is, or leave groups out"
        )
    return found


def _signs(y: np.ndarray, logits: Tensor, success) -> tuple[Tensor, Tensor]:
    """Return the signs of the labels that count, and which examples can be broken."""
    signs = torch.where(torch.from_numpy(y), SIGN, -SIGN).to(torch.int8)
    signals.labels_fit(signs, logits)
    hit = (logits > 0) == (signs > 0)
    if success == "exact":
        return signs, hit.all(-1)
    if success == "any":
        return torch.where(hit, signs, 0).to(torch.int8), hit.any(-1)
    if isinstance(success, str) or success >= y.shape[1]:
        raise EcgadvError(
            f"success is {success!r}; give 'any' (a label read right flips), 'exact' (the set of "
            f"labels is not the true one) or the number of one label, 0 to {y.shape[1] - 1}"
        )
    only = torch.zeros_like(signs)
    only[:, success] = signs[:, success]
    return only, hit[:, success]


def _microvolts(unit: str, unit_mv, n: int) -> np.ndarray | None:
    if unit_mv is None:
        return np.full(n, MICROVOLTS[unit]) if unit in MICROVOLTS else None
    found = 1000.0 * arrays.array("unit_mv", unit_mv).astype(float)
    if unit in MICROVOLTS and not np.allclose(found, MICROVOLTS[unit]):
        raise EcgadvError(f"unit {unit!r} and unit_mv {unit_mv} contradict; give one of them")
    if found.shape not in ((), (n,)) or not ((found > 0) & np.isfinite(found)).all():
        raise EcgadvError(
            f"unit_mv of shape {found.shape} for {n} examples; give the millivolts of one unit of "
            "x, above 0, one number or one for each example"
        )
    return np.broadcast_to(found, (n,)).copy()


def take(values: Tensor | None, rows: Sequence | Tensor, device: torch.device) -> Tensor | None:
    """Return the rows on a device; None stays None."""
    return None if values is None else values[rows.to(values.device)].to(device)
