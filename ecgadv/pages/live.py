"""What the chapters on attacks and defenses compute before the reader's eyes, on demo networks.

The networks come from the records of profile demo; nothing is trained here, and nothing here is
evidence, because the beats are synthetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from ecgadv import attacks, data
from ecgadv.defenses import nsr
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.indicators import Indicator, gains_from_more_steps, zero_gradients
from ecgadv.evaluation.robustness import attack_flags, predict
from ecgadv.experiments.config import from_dict
from ecgadv.experiments.exposure import threat as budget
from ecgadv.experiments.session import load_model
from ecgadv.figures import Table
from ecgadv.figures.panels import Line
from ecgadv.markdown import Markdown
from ecgadv.models import pullback
from ecgadv.results.names import look_of
from ecgadv.results.records import Results
from ecgadv.results.result import Result

ITERATED = ("authors' PGD", "PGD", "PGD, margin loss", "APGD, targeted")
STEP = 0.01  # paper B's, in units of the beat's range


@dataclass(frozen=True)
class Subject:
    """A trained network and the test beats on which it is attacked."""

    name: str
    model: nn.Module
    x: torch.Tensor  # (N, C, L)
    y: torch.Tensor  # (N,)
    mask: torch.Tensor  # (N, 1, L)
    index: np.ndarray  # (N,) position of the beats in the dataset
    dataset: data.Dataset


def demo(results: Results, defense: str) -> Result:
    """Return a demo network's result, or raise with the command that makes it."""
    found = results.one(split="beatwise", network="mlp", defense=defense, variant="faithful")
    if found is None or not found.records[0].weights.exists():
        raise EcgadvError(
            f"no demo network {defense!r} here: run `ecgadv run paper-b --profile demo` first"
        )
    return found


def subject(result: Result, *, per_class: int) -> Subject:
    """Return the first seed's network with the first test beats of each class."""
    record = result.records[0]
    config = from_dict(record.config)
    dataset = data.load(config.dataset)
    model = load_model(config, dataset, record.weights)
    test = data.split(dataset, config.split).test
    picked = [test[dataset.y[test] == c][:per_class] for c in range(len(dataset.classes))]
    index = np.concatenate(picked)
    mask = torch.from_numpy(dataset.mask(index))
    x, y = torch.from_numpy(dataset.x[index]), torch.from_numpy(dataset.y[index])
    return Subject(result.name, model, x, y, mask, index, dataset)


def shown_attacks(steps: int) -> dict[str, tuple]:
    """Return the attacks of the chapter by name, each with whether it keeps to [0, 1]."""
    plain = {"steps": steps, "step_size": STEP}
    sap = {"pgd_steps": steps // 2, "smooth_steps": steps, "step_size": STEP}
    return {
        "white noise": (attacks.uniform_noise, True),
        "FGSM": (attacks.fgsm, True),
        "SAP": (partial(attacks.sap, **sap), False),
        "authors' PGD": (partial(attacks.adamax_pgd, **plain), True),
        "PGD": (partial(attacks.pgd, **plain, early_stop=True), True),
        "PGD, margin loss": (
            partial(attacks.pgd, **plain, early_stop=True, loss="margin", restarts=2),
            True,
        ),
        "APGD, targeted": (partial(attacks.apgd, steps=steps, targets=4), True),
    }


def perturbations(
    subject: Subject, beat: int, *, eps: float, steps: int
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return what PGD and SAP add to one beat, in microvolts (L,), and the class they end in.

    Neither stops at its first success, so that the shape of a finished perturbation shows.

    Args:
        subject: network and beats.
        beat: which of them.
        eps: budget in units of the beat's range; the padding is left alone.
        steps: of PGD and of SAP's second phase.
    """
    x, y, mask = (v[beat : beat + 1] for v in (subject.x, subject.y, subject.mask))
    signal, unit = in_millivolts(subject, beat)
    whole = {
        "PGD": partial(attacks.pgd, steps=steps, random_start=False),
        "SAP": partial(attacks.sap, pgd_steps=steps // 2, smooth_steps=steps),
    }
    added, read_as = {}, {}
    for name, attack in whole.items():
        threat = budget(subject.dataset.unit, eps, bounded=shown_attacks(steps)[name][1])
        x_adv = attack(subject.model, x, y, threat, mask=mask, step_size=STEP, keep="last")
        threat.check(x_adv, x, mask)
        added[name] = (x_adv - x)[0, 0, : len(signal)].numpy() * 1000 * unit
        read_as[name] = subject.dataset.classes[int(predict(subject.model, x_adv).argmax())]
    return added, read_as


def first_broken(
    subject: Subject, label: str, names: Sequence[str], *, eps: float, steps: int
) -> int:
    """Return the first beat of a class that the network reads right and every attack breaks.

    Raises:
        EcgadvError: there is none among the subject's beats.
    """
    wanted = subject.y.numpy() == subject.dataset.classes.index(label)
    wanted &= predict(subject.model, subject.x).argmax(1).numpy() == subject.y.numpy()
    for name in names:
        attack, bounded = shown_attacks(steps)[name]
        wanted &= flags(subject, attack, eps, bounded=bounded) == 0
    if not wanted.any():
        raise EcgadvError(f"no beat of class {label} falls to all of {names} at eps {eps:g}")
    return int(np.flatnonzero(wanted)[0])


def in_millivolts(subject: Subject, beat: int) -> tuple[np.ndarray, float]:
    """Return a beat without its padding (L,) in millivolts, and the millivolts of one unit."""
    row = subject.index[beat]
    unit = float(subject.dataset.unit_mv[row])
    return subject.x[beat, 0, : int(subject.dataset.length[row])].numpy() * unit, unit


def flags(subject: Subject, attack, eps: float, *, bounded: bool) -> np.ndarray:
    """Return which beats hold under an attack that leaves the padding alone, (N,)."""
    threat = budget(subject.dataset.unit, eps, bounded=bounded)
    return attack_flags(
        subject.model, subject.x, subject.y.numpy(), attack, threat, mask=subject.mask
    )


def against_eps(subject: Subject, levels: Sequence[float], *, steps: int) -> dict[str, Line]:
    """Return accuracy against noise level under every shown attack."""
    y, k = subject.y.numpy(), len(subject.dataset.classes)
    clean = metrics.balanced_accuracy(predict(subject.model, subject.x).argmax(1).numpy(), y, k)
    lines = {}
    for number, (name, (attack, bounded)) in enumerate(shown_attacks(steps).items()):
        values = [
            metrics.robust_accuracy(flags(subject, attack, e, bounded=bounded), y, k, balanced=True)
            for e in levels
        ]
        lines[name] = Line([0.0, *levels], [clean, *values], look=number)
    return lines


def against_steps(subject: Subject, counts: Sequence[int], *, eps: float) -> dict[str, Line]:
    """Return accuracy at one noise level against the number of steps of four attacks."""
    y, k = subject.y.numpy(), len(subject.dataset.classes)
    lines = {}
    for number, name in enumerate(ITERATED):
        values = []
        for steps in counts:
            attack, bounded = shown_attacks(steps)[name]
            held = flags(subject, attack, eps, bounded=bounded)
            values.append(metrics.robust_accuracy(held, y, k, balanced=True))
        lines[name] = Line(list(counts), values, look=number)
    return lines


def checks(subjects: Sequence[Subject], *, eps: float, steps: int) -> Table:
    """Return live indicators of failed attacks for several networks, in percent of beats."""
    rows: list[Indicator] = []
    names = []
    for subject in subjects:
        attack, bounded = shown_attacks(steps)["authors' PGD"]
        more, _ = shown_attacks(2 * steps)["authors' PGD"]
        held, held_more = (flags(subject, a, eps, bounded=bounded) for a in (attack, more))
        rows.append(gains_from_more_steps(held, held_more))
        rows += [zero_gradients(subject.model, subject.x, subject.y, loss=x) for x in LOSSES]
        names += [subject.name] * (1 + len(LOSSES))
    return Table(
        {
            "network": names,
            "indicator": [indicator.name for indicator in rows],
            "value, %": [f"{100 * indicator.value:.1f}" for indicator in rows],
            "largest that passes, %": [f"{100 * indicator.threshold:g}" for indicator in rows],
            "beats": [indicator.n_examples for indicator in rows],
            "": ["**failed**" if indicator.failed else "passed" for indicator in rows],
        }
    )


LOSSES = ("ce", "margin")
RATIO = "noise-to-signal ratio (median)"


def noise_to_signal(subjects: Sequence[Subject]) -> Table:
    """Return the quantities of the NSR penalty on the beats that each network reads right."""
    columns: Mapping[str, list] = {
        "network": [],
        "gradient of z_y, L1 norm (median)": [],
        "z_y (median)": [],
        RATIO: [],
        "95 % of beats below": [],
        "beats": [],
    }
    for subject in subjects:
        logits, pull = pullback(subject.model, subject.x)
        ratio = nsr.noise_to_signal(
            logits, pull, subject.y, max_noise=1.0, stabiliser=0.01, gate=False
        ).detach()
        signal = logits.detach().gather(1, subject.y[:, None])[:, 0]
        right = logits.detach().argmax(1) == subject.y
        gradient = ratio * (signal.abs() + 0.01)
        cells = [
            subject.name,
            float(gradient[right].median()),
            float(signal[right].median()),
            float(ratio[right].median()),
            float(ratio[right].quantile(0.95)),
            int(right.sum()),
        ]
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    return Table(columns, digits=2)


def lowest_ratio(table: Table) -> Markdown:
    """Say whether the network whose loss asks for a low noise-to-signal ratio has the lowest."""
    ratios = dict(zip(table.columns["network"], table.columns[RATIO], strict=True))
    nsr = next(name for name in ratios if name.startswith("NSR"))
    lowest = min(ratios, key=ratios.__getitem__)
    if lowest == nsr:
        return Markdown(f"{nsr} has the lowest median ratio of these networks.")
    return Markdown(
        f"**{nsr}, whose loss asks for a low ratio, does not have the lowest one here:** its "
        f"median is {ratios[nsr]:.2f}, that of {lowest} {ratios[lowest]:.2f}. On these synthetic "
        "beats, with this short training, another loss brings the ratio down further."
    )


def learning_curves(results: Sequence[Result]) -> dict[str, Line]:
    """Return the training loss of each defense, as a share of its first epoch's.

    The losses are different formulas, so only their course can be compared. The line is the mean
    over seeds, which train side by side.
    """
    lines = {}
    for result in results:
        history = np.mean(
            [[e["loss"] for e in r.run["training"]["history"]] for r in result.records], axis=0
        )
        epochs = list(range(1, len(history) + 1))
        lines[result.name] = Line(
            epochs, (history / history[0]).tolist(), look=look_of(result.defense, result.experiment)
        )
    return lines
