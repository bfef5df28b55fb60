"""The batches that an attack gets: signals, labels and mask, and whether they fit the threat."""

import math
import warnings

import numpy as np
import torch
from torch import Tensor

from ecgadv.border import arrays, options
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

Batch = tuple[Tensor, Tensor, Tensor | None]
ROUNDED_SUM = 0.01  # soft labels may sum to 1 within this
# Labels of several classes at once are plus or minus this, so that one-hot rows are never such.
SIGN = 2
NAMED = 10  # positions that a message names one by one
STUCK = 0.5  # the share of values that a budget must be able to move


def admit(
    x: Tensor,
    y: Tensor,
    threat: Threat,
    mask: Tensor | None,
    generator: torch.Generator | None,
    *,
    linf_only: str = "",
    stacked: bool = True,
    soft: bool = False,
    wait: bool = True,
) -> Batch:
    """Return x (..., B, C, L), y (..., B) and the mask of an attack, as the code behind assumes.

    They are contiguous, and labels int64 on the device of x. What the labels must be depends on
    the classes, so the network's first answer is held against them.

    Arguments:
        linf_only: name of an attack that knows no other norm.
        stacked: whether x may have leading dimensions.
        soft: whether y may be soft labels (..., B, K).
        wait: look at the values of x too, which waits for a GPU.

    Raises EcgadvError for the first misfit; warns if the budget is too small to move x.
    """
    options.generator(generator)
    x = signals("x", x, stacked=stacked)
    y, mask = labels("y", y, x, soft=soft), padding(mask, x)
    fits(threat, x)
    if linf_only and threat.norm != "linf":
        raise EcgadvError(
            f"{linf_only} knows only norm 'linf', not {threat.norm!r}; use pgd for it"
        )
    if wait:
        finite("x", x)
        _within(threat, x)
        _warn_of_rounding(threat, x)
    return x, y, mask


def signals(name: str, x: Tensor, *, stacked: bool = False) -> Tensor:
    """Return signals, floats (B, C, L), or with leading dimensions if `stacked`."""
    if not isinstance(x, Tensor):
        kind = type(x).__name__
        raise EcgadvError(f"{name} is of type {kind}; give a tensor, such as torch.tensor({name})")
    if x.layout != torch.strided or not x.is_floating_point():
        raise EcgadvError(f"{name} is {x.dtype}, {x.layout}; give floats, such as {name}.float()")
    if x.dim() < 3 or 0 in x.shape[-2:]:
        raise EcgadvError(
            f"{name} is {x.dtype} of shape {tuple(x.shape)}; give (batch, leads, time)"
        )
    if x.dim() > 3 and not stacked:
        raise EcgadvError(f"{name} has {x.dim()} dimensions; give (batch, leads, time)")
    return _own(x)


def like(name: str, values: Tensor, x: Tensor) -> Tensor:
    """Return signals of the shape and type of x (B, C, L)."""
    values = signals(name, values)
    if values.shape != x.shape:
        raise EcgadvError(
            f"{name} has shape {tuple(values.shape)}, x {tuple(x.shape)}; give one signal for each"
        )
    finite(name, values)
    return values.to(x)


def labels(name: str, y, x: Tensor, *, soft: bool = False) -> Tensor:
    """Return one label for each sample of x, int64 (..., B), or the soft labels (..., B, K).

    Labels of several classes at once come as signs, int8 (..., B, K) of -SIGN, 0 and SIGN: see
    `attacks.gradient.misread`.
    """
    samples = tuple(x.shape[:-2])
    y = _as_tensor(name, y)
    found = f"{name} is {y.dtype} of shape {tuple(y.shape)}, x of shape {tuple(x.shape)}"
    mend = f"give class numbers of shape {samples}"
    if y.is_complex() or y.layout != torch.strided:
        raise EcgadvError(f"{found}; {mend}")
    if y.dtype == torch.int8 and y.shape[:-1] == samples and not bool((y % SIGN).any()):
        return _own(y.to(x.device))
    if not y.is_floating_point():
        if y.shape != samples:
            raise EcgadvError(f"{found}; {mend}, such as one_hot.argmax(-1) or column.squeeze(-1)")
        return _own(y.to(x.device, torch.int64))
    if y.shape[:-1] != samples:
        raise EcgadvError(f"{found}; {mend}, or one row of probabilities for each sample")
    if not soft:
        raise EcgadvError(
            f"soft labels {name} do not say which example is misclassified; give class numbers, "
            f"such as {name}.argmax(-1), or use loss='ce' and keep='last'"
        )
    return _own(y.to(x.device))


def labels_fit(y: Tensor, logits: Tensor) -> None:
    """Raise EcgadvError for labels that are no class of the logits, or no probabilities of all."""
    classes = logits.shape[-1]
    if y.dim() == logits.dim() and not y.is_floating_point():
        if y.shape != logits.shape:
            raise EcgadvError(
                f"signs of labels of shape {tuple(y.shape)} do not match logits of shape "
                f"{tuple(logits.shape)}; give one for each sample and label"
            )
    elif y.is_floating_point():
        if y.shape != logits.shape:
            raise EcgadvError(
                f"soft labels of shape {tuple(y.shape)} do not match logits of shape "
                f"{tuple(logits.shape)}; give one probability per sample and class"
            )
        total = y.sum(-1)
        odd = ~((total - 1).abs() <= ROUNDED_SUM) | (y < 0).any(-1)
        if bool(odd.any()):
            raise EcgadvError(
                f"soft labels sum to {float(total[odd][0]):.4g} {places(odd)}; give probabilities "
                "that sum to 1, or for several classes at once task='multilabel' of ecgadv.evaluate"
            )
    elif y.numel():
        low, high = y.min(), y.max()
        if not 0 <= int(low) <= int(high) < classes:
            raise EcgadvError(
                f"labels span {int(low)}..{int(high)}, the network has {classes} classes; give "
                f"0..{classes - 1}"
            )


def padding(mask: Tensor | None, x: Tensor) -> Tensor | None:
    """Return the mask of x, bool (..., B, 1, L), True where the recording is, or None."""
    if mask is None:
        return None
    mask = _as_tensor("mask", mask)
    wanted = (*x.shape[:-2], 1, x.shape[-1])
    if mask.dtype != torch.bool or mask.shape != wanted:
        raise EcgadvError(
            f"mask is {mask.dtype} of shape {tuple(mask.shape)}; give bool of shape {wanted}, "
            "True where the recording is"
        )
    return _own(mask.to(x.device))


def fits(threat: Threat, x: Tensor) -> None:
    """Raise EcgadvError for what is no threat, or has levels that do not broadcast to x."""
    if not isinstance(threat, Threat):
        raise EcgadvError(f"the threat is {threat!r}; give a Threat, such as Threat(0.05)")
    for name in ("eps", "low", "high"):
        value = getattr(threat, name)
        if isinstance(value, Tensor) and not _broadcasts(value.shape, x.shape):
            raise EcgadvError(
                f"{name} of shape {tuple(value.shape)} does not fit x of shape {tuple(x.shape)}; "
                "give a number, (B, 1, 1) for each sample or (1, C, 1) for each lead"
            )


def finite(name: str, x: Tensor) -> None:
    """Raise EcgadvError if x holds a NaN or infinity."""
    if bool(torch.isfinite(x).all()):
        return
    broken = ~torch.isfinite(x)
    raise EcgadvError(
        f"{name} holds {int(broken.sum())} values that are not finite, "
        f"{places(broken.flatten(-2).any(-1))}; repair or drop them first"
    )


def places(where: Tensor) -> str:
    """Return the positions of the True values, as "at 0, 4 (2 of 9)"."""
    found = where.flatten().nonzero().flatten().tolist()
    shown = ", ".join(map(str, found[:NAMED])) + (", ..." if len(found) > NAMED else "")
    return f"at {shown} ({len(found)} of {where.numel()})"


def _within(threat: Threat, x: Tensor) -> None:
    bounded = threat.low is not None or threat.high is not None
    if bounded and bool(threat.violations(x, x).any()):
        raise EcgadvError(
            f"x spans {float(x.min()):.4g} to {float(x.max()):.4g}, outside the bounds "
            f"{threat.low} to {threat.high}; widen the bounds or clip the signal first"
        )


def _warn_of_rounding(threat: Threat, x: Tensor) -> None:
    """Warn if most values are so large that adding the budget gives the same value again."""
    if not x.numel():
        return
    eps = torch.as_tensor(threat.eps).to(x)
    if threat.norm == "l2":  # what each value moves if all do
        eps = eps / math.sqrt(x.shape[-2] * x.shape[-1])
    if bool((eps > torch.finfo(x.dtype).eps * x.abs().max()).all()):
        return
    stuck = (x + eps == x) & (x - eps == x) & (eps > 0)
    if int(stuck.sum()) > STUCK * x.numel():
        warnings.warn(
            f"most values of x are so large that {x.dtype} cannot move them by eps "
            f"{threat.shown_eps} {threat.unit}; centre or scale the signal, or use x.double()",
            stacklevel=3,
        )


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    if len(shape) > len(to):
        return False
    return all(n in (1, m) for n, m in zip(reversed(shape), reversed(to), strict=False))


def _as_tensor(name: str, values) -> Tensor:
    if isinstance(values, Tensor):
        return values
    arrays.unmasked(name, values)
    try:
        return torch.as_tensor(np.ascontiguousarray(values))
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise EcgadvError(
            f"{name} is of type {type(values).__name__} ({reason}); give a tensor"
        ) from None


def _own(values: Tensor) -> Tensor:
    """Return values without history and contiguous; copied if made in inference mode."""
    if values.is_inference():
        with torch.inference_mode(False):
            return values.clone(memory_format=torch.contiguous_format)
    return values.detach().contiguous()
