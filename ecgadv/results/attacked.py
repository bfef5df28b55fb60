"""Examples under attack to look at: a few signals, what attacks add, and what networks read.

`made` attacks with the settings of the networks' records. What it returns is plain, so that a
few beats of real recordings can be kept in a file (`book/explore.yml`); `signals` makes of it what
the viewer takes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ecgadv import data
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.robustness import craft, predict
from ecgadv.experiments.config import Attack, Config, from_dict
from ecgadv.experiments.evaluate import attack_function
from ecgadv.experiments.exposure import subset, threat
from ecgadv.experiments.session import load_model
from ecgadv.results import names
from ecgadv.results.result import Result

COUNTS = 127  # eps in counts of `Signals.added`
ATTACKS = ("pgd-margin", "sap", "apgd-t")
LEVELS = (0.01, 0.03, 0.05, 0.1)


@dataclass(frozen=True, eq=False)
class Signals:
    """Examples, and what attacks made of them for each network.

    Attributes:
        name: what they are, in words.
        height: what the vertical axis measures.
        fs: samples a second.
        classes: (K,) names.
        examples, defenses, attacks, levels: words for the E examples, D networks, A attacks and S
            noise levels.
        length: (E,) samples that are no padding.
        signal: (E, L) in millivolts.
        step: (E, S) microvolts of one count of `added`.
        added: (E, D, A, S, L) int8, what attacks add.
        clean: (E, D, K) probabilities without an attack.
        attacked: (E, D, A, S, K) probabilities under it.
    """

    name: str
    height: str
    fs: float
    classes: tuple[str, ...]
    examples: tuple[str, ...]
    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    levels: tuple[str, ...]
    length: np.ndarray
    signal: np.ndarray
    step: np.ndarray
    added: np.ndarray
    clean: np.ndarray
    attacked: np.ndarray


def picked(results: Sequence[Result], dataset: data.Dataset, *, per_class: int) -> np.ndarray:
    """Return examples of each class that all networks read right, one a record while there are.

    They are the first of those that the records attacked.

    Args:
        results: one a network, tested on the same examples.
        dataset: theirs.
        per_class: how many of each class.

    Raises:
        EcgadvError: of a class there are fewer.
    """
    first = results[0].records[0].examples()
    right = subset(first["label"].astype(int), _per_class(results[0]))
    for result in results:
        right &= result.records[0].examples()["prediction"] == first["label"]
    chosen: list[int] = []
    for label, name in enumerate(dataset.classes):
        found = first["id"][right & (first["label"] == label)]
        _, apart = np.unique(dataset.record[found], return_index=True)
        order = [*found[np.sort(apart)], *np.delete(found, apart)][:per_class]
        if len(order) < per_class:
            raise EcgadvError(
                f"{len(order)} examples of class {name} are read right by all networks, not "
                f"{per_class}: ask for fewer"
            )
        chosen += order
    return np.array(chosen)


def made(results: Sequence[Result], dataset: data.Dataset, index: np.ndarray) -> dict[str, Any]:
    """Return examples under attack, as a file keeps them.

    Args:
        results: one a network; the first seed's is attacked, as its record says.
        dataset: theirs.
        index: (E,) positions of the examples.

    Returns:
        Words and levels, and for each of `examples` its origin, `signal` in the unit of the data,
        `clean` (D, K) and `attacked` (D, A, S, K) probabilities to the thousandth, and `added`:
        the bytes of int8 (D, A, S, L), in parts of eps.
    """
    networks = [_stacked(list(_network(result, dataset, index))) for result in results]
    parts = zip(*networks, strict=True)
    clean, added, attacked = (np.stack(part, axis=1) for part in parts)
    experiment = results[0].experiment
    examples = [
        {
            "record": str(dataset.record[i]),
            "onset": int(dataset.onset[i]),
            "class": dataset.classes[dataset.y[i]],
            "length": int(dataset.length[i]),
            "unit_mv": round(float(dataset.unit_mv[i]), 4),
            "signal": np.round(dataset.x[i, 0].astype(float), 4).tolist(),
            "clean": np.round(clean[e].astype(float), 3).tolist(),
            "attacked": np.round(attacked[e].astype(float), 3).tolist(),
            "added": added[e].tobytes(),
        }
        for e, i in enumerate(index)
    ]
    return {
        "fs": dataset.fs,
        "unit": dataset.unit,
        "classes": list(dataset.classes),
        "defenses": [result.name for result in results],
        "attacks": [names.attack_name(attack, experiment) for attack in ATTACKS],
        "eps": list(LEVELS),
        "records": [result.records[0].key for result in results],
        "examples": examples,
    }


def signals(found: dict[str, Any], name: str) -> Signals:
    """Return what `made` returned, or a file kept of it, as the viewer takes it.

    Args:
        found: words, levels and examples.
        name: what the examples are.

    Raises:
        EcgadvError: the bytes of an example are not as many as its words ask for.
    """
    examples = found["examples"]
    length = len(examples[0]["signal"])
    shape = (*(len(found[axis]) for axis in ("defenses", "attacks", "eps")), length)
    for number, one in enumerate(examples):
        if len(one["added"]) != np.prod(shape):
            raise EcgadvError(
                f"example {number} of {name} holds {len(one['added'])} bytes, not "
                f"{np.prod(shape)}: make the file again, with python book/explore.py"
            )
    unit = np.array([one["unit_mv"] for one in examples])
    return Signals(
        name=name,
        height="mV above the lowest point",
        fs=found["fs"],
        classes=tuple(found["classes"]),
        examples=tuple(_said(one, number) for number, one in enumerate(examples, start=1)),
        defenses=tuple(found["defenses"]),
        attacks=tuple(found["attacks"]),
        levels=tuple(names.level(eps, found["unit"]) for eps in found["eps"]),
        length=np.array([one["length"] for one in examples]),
        signal=unit[:, None] * np.array([one["signal"] for one in examples]),
        step=1000 * unit[:, None] * np.array(found["eps"]) / COUNTS,
        added=np.stack([np.frombuffer(one["added"], np.int8).reshape(shape) for one in examples]),
        clean=np.array([one["clean"] for one in examples]),
        attacked=np.array([one["attacked"] for one in examples]),
    )


def load(path: str | Path) -> Signals:
    """Return the real beats of `book/explore.yml`."""
    import yaml

    found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    return signals(found, "MIT-BIH beats")


def _said(one: dict[str, Any], number: int) -> str:
    return f"{number}: class {one['class']}, record {one['record']}"


def _per_class(result: Result) -> int | None:
    own = [attack.per_class for attack in _attacks(from_dict(result.records[0].config))]
    return min((count for count in own if count is not None), default=None)


def _attacks(config: Config) -> list[Attack]:
    own = {attack.name: attack for attack in config.attacks}
    return [own[name] for name in ATTACKS]


def _network(
    result: Result, dataset: data.Dataset, index: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (counts int8 (E, L), probabilities (E, K)): first without an attack, then under each.

    Attack by attack, and of each level by level.
    """
    record = result.records[0]
    config = from_dict(record.config)
    model = load_model(config, dataset, record.weights)
    x, y = torch.from_numpy(dataset.x[index]), dataset.y[index]
    mask = torch.from_numpy(dataset.mask(index))
    yield np.zeros((len(x), x.shape[-1]), np.int8), _probabilities(model, x)
    for attack in _attacks(config):
        for eps in LEVELS:
            budget = threat(dataset.unit, eps, bounded=attack.bounded)
            function, own = attack_function(attack, eps), mask if attack.masked else None
            x_adv = craft(model, x, y, function, budget, mask=own)
            counts = ((x_adv - x)[:, 0] * (COUNTS / eps)).round().clamp(-COUNTS, COUNTS)
            yield counts.numpy().astype(np.int8), _probabilities(model, x_adv)


def _probabilities(model: torch.nn.Module, x: Tensor) -> np.ndarray:
    return predict(model, x).softmax(1).numpy()


def _stacked(
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (E, K) probabilities, and by attack and level (E, A, S, L) counts and (E, A, S, K)."""
    clean, *under = parts
    shape = (len(clean[1]), len(ATTACKS), len(LEVELS), -1)
    added, read = (np.stack(part, axis=1).reshape(shape) for part in zip(*under, strict=True))
    return clean[1], added, read
