"""The attacks of `evaluate` by name, and the cascades made of them.

The key of a record holds the name of a suite, not its steps: whoever changes the steps of one gives
the configs that name it an option, so that their records are made anew.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from ecgadv import attacks
from ecgadv.border import examples
from ecgadv.errors import EcgadvError

REACH = 4.0  # perturbations are looked for up to so many times the largest eps, then drawn in
MOST_TARGETS = 9  # as AutoAttack (Croce and Hein, ICML 2020) has it
SUITES = ("standard", "fast")
CONSTANTS = int | float | str | bytes | tuple | None  # of a function, shown alike each time


@dataclass(frozen=True)
class Step:
    """One attack of a cascade.

    Attributes:
        name: what the report calls it.
        attack: called as `attack(model, x, y, threat, mask=..., generator=...)`.
        beside: attack all examples, not only those that the steps before left.
        nearest: look for the smallest perturbation, once for all levels of eps.
        blind: it sees no gradient of the network, so that it should break nothing that is left.
        word: tells it from another of its name, where that says too little.
    """

    name: str
    attack: Callable[..., Tensor]
    beside: bool = False
    nearest: bool = False
    blind: bool = False
    word: str = ""


def steps(
    wanted: str | Sequence, classes: int, *, norm: str, signs: bool, surrogates: Sequence = ()
) -> list[Step]:
    """Return the steps of a suite by name, or those of a list.

    Arguments:
        wanted: "standard", "fast", or names, functions, pairs of a name and a function, or steps.
        classes: K.
        norm: of the threat.
        signs: whether labels are several classes at once.
        surrogates: networks on which examples are crafted to transfer, after the others.

    Raises EcgadvError for what is no attack, two of one name, or one that norm or task forbid.
    """
    named = _named(classes, norm=norm, signs=signs)
    if isinstance(wanted, str) and wanted in SUITES:
        fast = ["apgd-margin", "fmn"]
        wanted = fast if wanted == "fast" else [n for n in named if n not in ("noise", "spsa")]
    elif isinstance(wanted, str):
        raise EcgadvError(
            f"attacks is {wanted!r}; give one of {', '.join(SUITES)}, or a list of {list(named)} "
            "and of functions of your own"
        )
    found = [_step(entry, named) for entry in _several("attacks", wanted)]
    others = _several("surrogates", surrogates)
    found += [_transfer(n, surrogate) for n, surrogate in enumerate(others, start=1)]
    names = [step.name for step in found]
    if not names or len(set(names)) < len(names):
        raise EcgadvError(f"attacks are {names}; give at least one, each with a name of its own")
    return found


def _named(classes: int, *, norm: str, signs: bool) -> dict[str, Step]:
    """Return what there is for this task and norm, in the order of the cascade."""
    targets = 0 if signs else min(classes - 1, MOST_TARGETS)
    aimed = targets > 1
    aims = targets if aimed else 0
    # The margin's slope can vanish where that of its ratio does not: on a network under paper B's
    # penalty the ratio finds perturbations half as large.
    near = "dlr" if classes >= 4 and not signs else "margin"
    found = {"apgd-ce": partial(_from_x, loss="ce")}
    found["fmn"] = partial(attacks.fmn, steps=100, targets=aims, loss=near)
    if classes >= 3 and not signs:
        ratio = aims if classes >= 4 else 0
        found["apgd-dlr"] = partial(_from_x, loss="dlr", targets=ratio, restarts=2)
    found["apgd-near"] = partial(_from_near, targets=aims, loss=near)
    found["apgd-margin"] = partial(_from_x, targets=aims)
    found["pgd-margin"] = _plain
    found["square"] = partial(attacks.square, queries=1000)
    if norm == "linf":
        found["sap"] = _sap
        found["spsa"] = _spsa
    found["noise"] = attacks.uniform_noise
    more = {
        "fmn": {"nearest": True},
        "sap": {"beside": True},
        **{name: {"blind": True} for name in ("square", "spsa", "noise")},
    }
    return {name: Step(name, attack, **more.get(name, {})) for name, attack in found.items()}


def _several(name: str, values) -> list:
    # A network may be a sequence too, of layers.
    if callable(values) or not isinstance(values, Iterable):
        shown = values if values is None else f"a single {type(values).__name__}"
        raise EcgadvError(f"{name} is {shown}; give a list of them")
    return list(values)


def _step(entry, named: dict[str, Step]) -> Step:
    if isinstance(entry, Step):
        return entry
    if isinstance(entry, str):
        if entry not in named:
            raise EcgadvError(f"no attack {entry!r} for this task; choose among {list(named)}")
        return named[entry]
    pair = entry if isinstance(entry, tuple | list) else (_name(entry), entry)
    if len(pair) != 2 or not isinstance(pair[0], str) or not callable(pair[1]):
        raise EcgadvError(f"attack {entry!r}; give a name, a function, or a pair of both")
    examples.called_alike(*pair)
    return Step(*pair, word=_word(pair[1]))


def _word(attack) -> str:
    """Return what a function does, as far as that can be told: its code and plain options."""
    options = ""
    while isinstance(attack, partial):
        options += repr([*attack.args, *sorted(attack.keywords.items())])
        attack = attack.func
    code = getattr(attack, "__code__", None)
    # Not where it was written: a notebook's cells have another name each time.
    told = code and (
        code.co_code,
        code.co_names,
        [c for c in code.co_consts if isinstance(c, CONSTANTS)],
    )
    return repr((getattr(attack, "__qualname__", ""), options, told))


def _name(attack) -> str:
    return getattr(attack, "__name__", None) or getattr(
        getattr(attack, "func", None), "__name__", type(attack).__name__
    )


def _transfer(number: int, surrogate) -> Step:
    def crafted(model, x, y, threat, *, mask, generator):
        return attacks.apgd(surrogate, x, y, threat, steps=100, mask=mask, generator=generator)

    weights = hashlib.sha256()
    if isinstance(surrogate, nn.Module):
        for values in surrogate.state_dict().values():
            weights.update(values.detach().cpu().float().numpy().tobytes())
    word = weights.hexdigest() + _word(getattr(surrogate, "forward", surrogate))
    return Step(f"transfer-{number}", crafted, blind=True, word=word)


def _from_x(model, x, y, threat, **given):
    """Begin at x, then at random: a network that was trained on random starts can know those."""
    return attacks.apgd(model, x, y, threat, steps=100, first=x, **given)


def _from_near(model, x, y, threat, *, targets: int, loss: str, **given):
    """Begin where the nearest misclassified example, beyond the budget, is drawn into it."""
    found = {"steps": 100, "loss": loss, **given}
    beyond = threat.at(REACH * threat.eps)
    far = attacks.fmn(model, x, y, beyond, targets=targets, **found)
    return attacks.apgd(model, x, y, threat, first=far, **found)


def _plain(model, x, y, threat, **given):
    """Take short plain steps from random points: on some networks they end where no others do."""
    options = {"loss": "margin", "restarts": 4, "early_stop": True, **given}
    return attacks.pgd(model, x, y, threat, steps=100, step_size=_pace(threat) / 2, **options)


def _sap(model, x, y, threat, **given):
    return attacks.sap(
        *(model, x, y, threat),
        pgd_steps=20,
        smooth_steps=40,
        loss="margin",
        restarts=2,
        step_size=_pace(threat),
        **given,
    )


def _spsa(model, x, y, threat, **given):
    pace = _pace(threat)
    return attacks.spsa(
        *(model, x, y, threat), steps=40, samples=32, step_size=pace, delta=pace / 5, **given
    )


def _pace(threat) -> float:
    """Return a fifth of the largest eps, or the least float above 0."""
    tiny = torch.finfo(torch.float32).tiny
    return max(float(torch.as_tensor(threat.eps).max()) / 5, tiny)
