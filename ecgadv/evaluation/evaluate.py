"""`ecgadv.evaluate`: one call that says how robust a network is, and whether to believe it."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from ecgadv.border import options
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import suite
from ecgadv.evaluation.cascade import Cascade
from ecgadv.evaluation.report import Report
from ecgadv.evaluation.subject import Subject, subject
from ecgadv.evaluation.symptoms import symptoms


def evaluate(
    model,
    x,
    y,
    *,
    eps,
    norm: str = "linf",
    low=None,
    high=None,
    unit: str = "normalised",
    unit_mv=None,
    task: str = "multiclass",
    success: str | int = "any",
    attacks: str | Sequence = "standard",
    surrogates: Sequence = (),
    mask=None,
    groups=None,
    classes: Sequence[str] | None = None,
    batch_size: int = 256,
    seed: int = 0,
    keep_examples: bool = False,
    folder: Path | str | None = None,
    progress: bool | Callable[[str, float], None] = False,
) -> Report:
    """Return how many examples a network reads right under a cascade of attacks.

    Arguments:
        model: a module, or a function, from signals (B, C, L) to logits (B, K). It is attacked in
            eval mode, and left as it was.
        x: examples (N, C, L), or (N, L) of one lead: an array, a tensor, lists or a table.
        y: class numbers (N,); for task "multilabel" 0 or 1 for each of (N, K).
        eps: the budget in units of x, one number or several; or one for each example,
            (N, 1, 1), or lead, (1, C, 1).
        norm: "linf" (each value) or "l2" (each recording).
        low, high: bounds of the signal, or None.
        unit, unit_mv: what one unit of x is: "uV", "mV", "V" say it all; for any other, the
            millivolts of one unit, a number or one for each example (N,).
        task: "multiclass" (softmax), or "multilabel" (a sigmoid a label, at 0 of its logit).
        success: of "multilabel": "any" (a label that was read right flips), "exact" (the set of
            labels is not the true one), or the number of one label.
        attacks: "standard" (Auto-PGD with three losses from x and from random points, the smallest
            perturbation, Auto-PGD from there, plain PGD, Square, each on what is left, and SAP),
            "fast" (a quick look), or names, functions `attack(model, x, y, threat, *, mask,
            generator)` and pairs of a name and a function.
        surrogates: networks of the same task, on which examples are made to transfer.
        mask: bool (L,), (N, L) or (N, 1, L), True where the recording is; padding stays as it is.
        groups: whose each example is (N,), for intervals over people.
        classes: names of the K classes.
        batch_size: examples at once.
        seed: of all that is random; the same seed gives the same report on the same machine.
        keep_examples: keep what broke each example, for `Report.adversarial`: as large as x.
        folder: keeps what is done, so that the same call goes on after an interruption.
        progress: True for a bar, or a function of a text and the share done.

    Raises EcgadvError for whatever does not fit, in one line.
    """
    seed = options.whole("seed", seed, least=0)
    if not isinstance(success, str):
        success = options.whole("success", success, least=0)
    with torch.inference_mode(False), torch.no_grad():
        about = {"low": low, "high": high, "unit": unit, "unit_mv": unit_mv, "mask": mask}
        about |= {"task": task, "success": success, "groups": groups, "batch_size": batch_size}
        found = subject(model, x, y, eps=eps, norm=norm, **about)
        k = found.logits.shape[1]
        names = _names(classes, k)
        steps = suite.steps(attacks, k, norm=norm, signs=found.signs, surrogates=surrogates)
        cascade = Cascade(found, steps, seed=seed, keep_examples=keep_examples)
        report, close = _progress(progress)
        try:
            cascade.run(None if folder is None else Path(folder), report)
        finally:
            close()
        indicators = symptoms(cascade)
    about = {"norm": norm, "unit": unit, "task": task, "success": success, "seed": seed}
    about |= {"attacks": [s.name for s in steps], "notes": cascade.notes, "classes": names}
    return _report(found, cascade, indicators, about)


def _names(classes, k: int) -> list[str]:
    """Return what the k classes are called."""
    listed = isinstance(classes, Iterable) and not isinstance(classes, str)
    names = [str(n) for n in (classes if listed else range(k))]
    if len(names) != k or not (listed or classes is None):
        raise EcgadvError(f"classes is {classes!r}; give a list of {k} names, one for each logit")
    return names


def _report(found: Subject, cascade: Cascade, indicators, about: dict) -> Report:
    levels = [threat.eps for threat in found.threats]
    eps = np.array([level if isinstance(level, float) else 1.0 for level in levels])
    if not isinstance(own := levels[0], float):
        about = {**about, "own_eps": [float(own.min()), float(own.max())]}
    share = cascade.smallest
    return Report(
        about=about,
        eps=eps,
        y=found.y,
        right=found.right,
        flags=cascade.flags,
        breaker=cascade.breaker,
        smallest=np.where(np.isinf(share), np.inf, np.where(np.isinf(share), 0, share) * eps[-1]),
        logits=np.concatenate([found.logits.numpy()[None], cascade.logits]),
        spent=cascade.spent,
        microvolts=_microvolts(found, own),
        groups=np.empty(0) if found.groups is None else found.groups.astype(str),
        found=cascade.found,
        indicators=tuple(indicators),
    )


def _microvolts(found: Subject, own) -> np.ndarray:
    """Return what 1 of the report's eps is for each example, NaN where that is no one voltage."""
    n = len(found.x)
    if found.microvolts is None:
        return np.full(n, np.nan)
    if isinstance(own, float):
        return found.microvolts
    share = own.flatten(1).cpu().numpy()  # a row for each example, or one for all
    alike = (share == share[:, :1]).all(1)
    return found.microvolts * np.where(alike, share[:, 0], np.nan)


def _progress(wanted) -> tuple[Callable[[str, float], None], Callable[[], None]]:
    """Return what to call with a text and the share done, and what at the end."""
    if callable(wanted):
        return wanted, lambda: None
    if not wanted:
        return lambda text, share: None, lambda: None
    from tqdm.auto import tqdm

    bar = tqdm(total=100, bar_format="{l_bar}{bar}| {elapsed}<{remaining} {desc}")

    def report(text: str, share: float) -> None:
        bar.set_description_str(text, refresh=False)
        bar.update(100 * share - bar.n)

    return report, bar.close
