"""What all runs of one process share: where records go, the data, and trained networks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load
from torch import nn

from ecgadv import data, models
from ecgadv.errors import EcgadvError
from ecgadv.experiments.config import Config, from_dict, training_key
from ecgadv.experiments.described import Described
from ecgadv.experiments.store import WEIGHTS, Record, Store, Trained, released_folder


@dataclass
class Session:
    """What all runs of one process share.

    Args:
        store: where records go.
        device: where networks live.
        deadline: `time.monotonic()` after which nothing new starts, or None.
        on_progress: called with a description and the share done, from 0 to 1.
        command: what makes the run again, for the record.
        released: records whose weights may be taken instead of training, or None.
        known_fingerprint: gives a dataset's fingerprint where it is known without reading it.
    """

    store: Store
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    deadline: float | None = None
    on_progress: Callable[[str, float], None] = lambda text, share: None
    command: str = "ecgadv.experiments.run.run_once"
    released: Store | None = field(default_factory=lambda: Store(released_folder()))
    known_fingerprint: Callable[[str], str] | None = None
    crafted: dict = field(default_factory=dict)  # transferred examples, by what made them
    _data: dict = field(default_factory=dict)

    def dataset(self, name: str) -> data.Dataset:
        """Return a dataset, read once in a session."""
        if name not in self._data:
            self._data[name] = data.load(name)
        return self._data[name]

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of a dataset."""
        if self.known_fingerprint is not None:
            return self.known_fingerprint(name)
        return self.dataset(name).fingerprint

    def weights(self, config: Config, seed: int) -> Path | None:
        """Return the file of the weights that `config` and `seed` give, or None.

        It is that of a training here or of a released record.
        """
        key = training_key(config, seed, self.fingerprint(config.dataset))
        here = self.store.weights_folder(key) / WEIGHTS
        return here if here.exists() else self._released.get(key)

    @cached_property
    def _released(self) -> dict[str, Path]:
        found = {}
        for record in self.released.records() if self.released else ():
            if record.weights.exists():
                config, fingerprint = from_dict(record.config), record.run["data"]["fingerprint"]
                found[training_key(config, record.seed, fingerprint)] = record.weights
        return found

    def trained(self, config: Config, seed: int) -> nn.Module:
        """Return the network that `config` and `seed` gave, on the device.

        Raises:
            EcgadvError: it is not trained yet.
        """
        weights = self.weights(config, seed)
        if weights is None:
            raise EcgadvError(f"{config.label} seed {seed} is not trained: run it first")
        return load_model(config, self.dataset(config.dataset), weights).to(self.device)


def fresh_model(config: Config, dataset: data.Dataset, seed: int) -> nn.Module:
    """Return the config's network with the initial weights of `seed`."""
    return _built(config, len(dataset.classes), dataset.x.shape[-1], seed)


def _built(config: Config, classes: int, length: int, seed: int) -> nn.Module:
    options = {"classes": classes, **config.model_options}
    if config.model in models.FIXED_LENGTH:
        options["length"] = length
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.build(config.model, **options)


def load_model(config: Config, dataset: data.Dataset, weights: Path) -> nn.Module:
    """Return the config's network with the weights of a safetensors file, checked.

    Half-precision weights come back as float32.

    Raises EcgadvError if the file is damaged or holds another network.
    """
    return load_weights(config, weights, len(dataset.classes), dataset.x.shape[-1])


def load_weights(config: Config, weights: Path, classes: int, length: int) -> nn.Module:
    """Return the same for signals of `length` values, where the data set is not at hand."""
    model, source = _built(config, classes, length, 0), source_of(weights)
    content = source.read(weights.name)
    with source.told(weights.name):
        model.load_state_dict(load(content))
    return model


def source_of(weights: Path) -> Described:
    """Return the record or the training that a file of weights belongs to."""
    folder = weights.parent
    return Record(folder) if (folder / Record.description).exists() else Trained(folder)
