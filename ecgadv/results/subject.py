"""A trained network with test examples, to be attacked before the reader's eyes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ecgadv import data
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import attack_flags, predict
from ecgadv.experiments.config import from_dict
from ecgadv.experiments.exposure import threat
from ecgadv.experiments.session import load_model
from ecgadv.results.result import Result


@dataclass(frozen=True)
class Subject:
    """A trained network and the test examples on which it is attacked; padding is left alone."""

    name: str
    model: nn.Module
    x: torch.Tensor  # (N, C, L)
    y: torch.Tensor  # (N,)
    mask: torch.Tensor  # (N, 1, L)
    index: np.ndarray  # (N,) position of the examples in the dataset
    dataset: data.Dataset

    def read(self, x: torch.Tensor) -> np.ndarray:
        """Return the class that the network says of each signal, (N,)."""
        return predict(self.model, x).argmax(1).numpy()

    def held(self, attack: Callable, eps: float, *, bounded: bool = True) -> np.ndarray:
        """Return which examples hold under an attack, (N,).

        Args:
            attack: as `ecgadv.attacks.pgd`, with its options filled in.
            eps: the budget in the unit of the data.
            bounded: whether attacked signals keep to the range of the data, if it has one.
        """
        budget = threat(self.dataset.unit, eps, bounded=bounded)
        return attack_flags(self.model, self.x, self.y.numpy(), attack, budget, mask=self.mask)

    def added(
        self, attack: Callable, eps: float, example: int, *, bounded: bool = True
    ) -> tuple[np.ndarray, str]:
        """Return what an attack adds to an example in microvolts (C, L), and the class it ends in.

        Args:
            attack, eps, bounded: see `held`.
            example: its position among the subject's.
        """
        x, y, mask = (v[example : example + 1] for v in (self.x, self.y, self.mask))
        budget = threat(self.dataset.unit, eps, bounded=bounded)
        x_adv = attack(self.model, x, y, budget, mask=mask)
        budget.check(x_adv, x, mask)
        change = (x_adv - x)[0, :, mask[0, 0]].numpy() * 1000 * self.unit_millivolts(example)
        return change, self.dataset.classes[int(self.read(x_adv)[0])]

    def millivolts(self, example: int) -> np.ndarray:
        """Return an example without its padding in millivolts, (C, L)."""
        seen = self.mask[example, 0]
        return self.x[example, :, seen].numpy() * self.unit_millivolts(example)

    def unit_millivolts(self, example: int) -> np.ndarray:
        """Return what one unit of each lead of an example is in millivolts, (1, 1) or (C, 1)."""
        return np.reshape(self.dataset.unit_mv[self.index[example]], (-1, 1))

    def balanced(self, held: np.ndarray) -> float:
        """Return the class-balanced accuracy of flags (N,)."""
        k = len(self.dataset.classes)
        return metrics.robust_accuracy(held, self.y.numpy(), k, balanced=True)


def subject(
    result: Result, *, per_class: int | None = None, index: np.ndarray | None = None
) -> Subject:
    """Return the first seed's network with some examples.

    Args:
        result: of the network.
        per_class: take the first so many test examples of each class.
        index: or take these, by their positions in the dataset.

    Raises:
        EcgadvError: the record has no weights.
    """
    record = result.records[0]
    if not record.weights.exists():
        raise EcgadvError(
            f"record {record.key} of {result.name} has no weights to attack: train it by "
            f"`ecgadv run {result.experiment} --profile {record.config['profile']}`"
        )
    config = from_dict(record.config)
    dataset = data.load(config.dataset)
    if index is None:
        test = data.split(dataset, config.split).test
        index = np.concatenate(
            [test[dataset.y[test] == c][:per_class] for c in range(len(dataset.classes))]
        )
    return Subject(
        result.name,
        load_model(config, dataset, record.weights),
        torch.from_numpy(dataset.x[index]),
        torch.from_numpy(dataset.y[index]),
        torch.from_numpy(dataset.mask(index)),
        index,
        dataset,
    )
