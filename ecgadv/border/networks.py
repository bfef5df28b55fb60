"""Networks of whoever: what they answer fits, what they get is theirs, and they stay as they were.

A network is any callable that maps x (..., B, C, L) to logits (..., B, K): a module, a function, a
frozen script.
"""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from ecgadv.border.signals import labels_fit
from ecgadv.errors import EcgadvError, NoGradientError

NO_GRADIENT = (
    "the network's logits have no gradient to its input, as after detach(), no_grad() or "
    "NumPy; let it compute with tensors throughout, or use spsa or boundary"
)
_holders: dict[int, int] = {}  # id of a module that is held still -> the thread that does
_lock = threading.Lock()


def forward(model: Callable, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the logits of `x`; the mask is passed on only to a network that uses one.

    Raises EcgadvError unless they are one row of two classes or more for each sample.
    """
    if type(model) is Network:
        return model(x, mask)
    try:
        logits = model(x, mask=mask) if getattr(model, "uses_mask", False) else model(x)
    except RuntimeError as error:
        known = explained(model, x, error)
        if known is None:
            raise
        raise known from error
    if (
        not isinstance(logits, Tensor)
        or logits.shape[:-1] != x.shape[:-2]
        or logits.shape[-1] < 2
        or not logits.is_floating_point()
    ):
        raise EcgadvError(_misfit(logits, x))
    return logits


class Network:
    """A network under attack: it never writes to what the attack goes on from.

    The first time it works on a copy, and the answer is held against the labels; later only a
    network that wrote to that copy gets others, since they cost time.

    Arguments:
        y: labels (..., B) or soft labels (..., B, K), None if nothing depends on them.
        wait: look at values on a GPU too, which waits for it.
    """

    def __init__(self, model: Callable, y: Tensor | None, *, wait: bool):
        self.model, self.y, self.wait = model, y, wait
        self.asked = self.in_place = False

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.asked:
            return forward(self.model, x.clone() if self.in_place else x, mask)
        copy = x.clone()
        version = copy._version
        logits = forward(self.model, copy, mask)
        self.asked, self.in_place = True, copy._version != version
        if self.wait or not x.is_cuda:
            # The version misses what is written through .data or NumPy.
            self.in_place = self.in_place or not torch.equal(copy, x)
            if self.y is not None:
                labels_fit(self.y, logits)
        return logits


@contextmanager
def attacked(
    model: Callable, y: Tensor | None, *, train_mode: bool = False, wait: bool = True
) -> Iterator[Network]:
    """Hold a network still and hand it out as a `Network`, whatever mode of autograd is on."""
    tensors = [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []
    if any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        raise EcgadvError(
            "the network has lazy layers whose shape is not known yet; run it once on examples"
        )
    if any(tensor.is_inference() for tensor in tensors):
        raise EcgadvError(
            "the network was made in torch.inference_mode(), where nothing ever has a gradient; "
            "make it outside"
        )
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        if isinstance(model, nn.Module) and any(isinstance(m, nn.RNNBase) for m in model.modules()):
            # cuDNN has no backward of a recurrent layer in eval mode; torch's own has.
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(frozen(model, train_mode=train_mode))
        yield Network(model, y, wait=wait)


@contextmanager
def frozen(model: Callable, *, train_mode: bool = False) -> Iterator[Callable]:
    """Put `model` in eval mode with frozen parameters; restore both on leaving, error or not.

    What has no modes or parameters, such as a function, is left alone.

    Arguments:
        model: the network under attack.
        train_mode: craft in training mode instead, as some protocols do inside training
            (dropout is active and batch statistics move).

    Raises EcgadvError for what cannot be called, and while another thread holds the network, or a
    part of it.
    """
    called(model)
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    held = _hold(model, modules)
    try:
        # A module of a frozen script has no mode.
        modes = [(module, module.training) for module in modules if hasattr(module, "training")]
        flags = [(p, p.requires_grad) for p in model.parameters()] if modules else []
        try:
            if any(mode != train_mode for _, mode in modes):
                model.train(train_mode)
            for parameter, flag in flags:
                if flag:
                    parameter.requires_grad_(False)
            yield model
        finally:
            # Each submodule by itself: a part that was kept in eval mode on purpose stays so.
            for module, mode in modes:
                module.training = mode
            for parameter, flag in flags:
                if parameter.requires_grad != flag:
                    parameter.requires_grad_(flag)
    finally:
        with _lock:
            for key in held:
                del _holders[key]


def called(model: Callable) -> None:
    """Raise EcgadvError for what is no network: a word, mere weights, a class of networks."""
    if not callable(model):
        shown = repr(model) if isinstance(model, str | None) else f"a {type(model).__name__}"
        raise EcgadvError(f"the network is {shown}; give a module or a function of x")
    if isinstance(model, type):
        raise EcgadvError(
            f"the network is the class {model.__name__}; give a network of it, with its weights"
        )


def _hold(model: Callable, modules: list[nn.Module]) -> list[int]:
    """Note that this thread holds the modules; return those that it did not hold before."""
    me, keys = threading.get_ident(), [id(module) for module in modules]
    with _lock:
        if any(_holders.get(key, me) != me for key in keys):
            raise EcgadvError(
                "another thread holds this network, whose mode would change under it; give each "
                "thread a copy.deepcopy of the network, or take turns"
            )
        held = [key for key in keys if key not in _holders]
        _holders.update(dict.fromkeys(held, me))
    return held


def home(model: Callable) -> tuple[torch.device | None, torch.dtype | None]:
    """Return where a network computes and in which type; None where it does not say."""
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    of_floats = next((p for p in parameters if p.is_floating_point()), None)
    if of_floats is None:
        return None, None
    return of_floats.device, of_floats.dtype


def gradient_to(x: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
    """Return the gradient to x of the logits' sum with these weights."""
    gradient = None
    if logits.requires_grad:
        (gradient,) = torch.autograd.grad(logits, x, weights, allow_unused=True)
    if gradient is None:
        raise NoGradientError(NO_GRADIENT)
    return gradient


def refuse_nan(gradient: Tensor) -> None:
    """Raise EcgadvError if a gradient, or a sum of it, is NaN.

    The sign of NaN is 0, so a broken gradient would look like robustness.
    """
    if bool(gradient.isnan().any()):
        raise NoGradientError(
            "the network's input gradient became NaN during the attack; check its weights and "
            "operations (a square root or a logarithm at 0 is the usual cause)"
        )


def warn_of_flat(flat: Tensor, *, of: int, loss: str) -> None:
    """Warn of samples that hold although, or because, the attack never had a gradient.

    A cross-entropy runs flat where a network is so confident that its softmax rounds to 1.

    Arguments:
        flat: bool, True for a sample that holds and whose gradient was 0 throughout.
        of: samples in the batch.
        loss: the attack's.
    """
    count = int(flat.sum())
    if count:
        mend = "use loss='margin' or 'dlr'"
        if loss != "ce":
            mend = "its answers are flat there: use spsa with a larger delta, or boundary"
        warnings.warn(
            f"the gradient of {loss!r} is zero for {count} of {of} examples, which hold "
            f"because nothing says where to go; {mend}",
            stacklevel=3,
        )


def _misfit(logits, x: Tensor) -> str:
    """Say what a network answered instead of logits, and how to mend it."""
    wanted = f"(..., {x.shape[-3]}, K) with K of at least 2, one row for each sample"
    if not isinstance(logits, Tensor):
        return (
            f"the network returned a {type(logits).__name__}; it must return logits {wanted}: "
            f"wrap it in a function that returns {_inside(logits)}"
        )
    found = f"the network returned {logits.dtype} of shape {tuple(logits.shape)} for x of shape "
    found += f"{tuple(x.shape)}; it must return floats {wanted}"
    if logits.shape in (x.shape[:-2], (*x.shape[:-2], 1)):
        return (
            f"{found}: if it is one logit z of two classes, wrap it to return "
            "torch.stack([0 * z, z], -1) with z of shape (B,)"
        )
    if logits.dim() == x.dim() - 2:
        return f"{found}: squeeze no dimension of the batch, such as with squeeze(-1)"
    return found


def _inside(answer) -> str:
    """Say where in a network's answer its logits are likely to be."""
    if hasattr(answer, "logits"):  # as those of transformers and named tuples
        return "network(x).logits"
    if isinstance(answer, Mapping):
        key = next((k for k in ("logits", *answer) if k in answer), "logits")
        return f"network(x)[{key!r}]"
    if isinstance(answer, tuple | list):
        return "network(x)[0]"
    return "logits"


def explained(model: Callable, x: Tensor, error: Exception) -> EcgadvError | None:
    """Return what to raise for a network's own error, or None if that says it best."""
    text, (device, dtype) = str(error), home(model)
    if "numpy()" in text and "requires grad" in text:
        return NoGradientError(NO_GRADIENT)
    if device is not None and device != x.device and "device" in text:
        return EcgadvError(
            f"x is on {x.device} and the network on {device}; give x.to({str(device)!r})"
        )
    if dtype is not None and dtype != x.dtype and "type" in text:
        return EcgadvError(
            f"x is {x.dtype} and the network {dtype}; give both alike, such as x.to({dtype})"
        )
    return None
