"""One run: train a network or take the weights that are there, attack it, write the record."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ecgadv import attacks, data, defenses
from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import BROKEN, NOT_ATTACKED, attack_flags, predict
from ecgadv.experiments import provenance
from ecgadv.experiments.config import Attack, Config, as_dict, run_key, training_key
from ecgadv.experiments.store import Record, Store
from ecgadv.models import build
from ecgadv.models.stacking import stack, unstack
from ecgadv.threat import Threat
from ecgadv.training import OutOfTime, Samples, train

# The range a signal can take, by the unit of the data; None where there is no physical bound.
BOUNDS = {"normalised": (0.0, 1.0)}
ATTACKS = {
    "uniform-noise": attacks.uniform_noise,
    "fgsm": attacks.fgsm,
    "pgd": attacks.pgd,
    "adamax-pgd": attacks.adamax_pgd,
    "sap": attacks.sap,
}


@dataclass
class Session:
    """What all runs of one process share.

    Args:
        store: where records go.
        device: where networks live.
        deadline: `time.monotonic()` after which nothing new starts, or None.
        on_progress: called with a description and the share done, from 0 to 1.
        command: what makes the run again, for the record.
    """

    store: Store
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    deadline: float | None = None
    on_progress: Callable[[str, float], None] = lambda text, share: None
    command: str = "ecgadv.experiments.run.run_once"
    _data: dict = field(default_factory=dict)

    def dataset(self, name: str) -> data.Dataset:
        """Return a dataset, read once in a session."""
        if name not in self._data:
            self._data[name] = data.load(name)
        return self._data[name]


def threat(unit: str, eps: float, *, bounded: bool = True, norm: str = "linf") -> Threat:
    """Return the threat of that size on data in `unit`, clipped to its range if `bounded`."""
    low, high = BOUNDS.get(unit, (None, None)) if bounded else (None, None)
    return Threat(eps, norm=norm, low=low, high=high, unit=unit)


def build_loss(config: Config, unit: str, generator: torch.Generator) -> Callable:
    """Return loss(model, x, y, mask) for the config's defense, drawing from `generator`."""
    options = dict(config.defense.options)
    if config.defense.name == "adversarial":
        weights = {k: options.pop(k) for k in ("clean_weight", "adversarial_weight")}
        budget = threat(unit, options.pop("eps"))
        attack = partial(attacks.pgd, threat=budget, generator=generator, keep="last", **options)
        return partial(defenses.adversarial.loss, attack=attack, **weights)
    losses = {
        "cross-entropy": defenses.cross_entropy.loss,
        "jacobian": defenses.jacobian.loss,
        "nsr": defenses.nsr.loss,
    }
    return partial(losses[config.defense.name], **options)


def fresh_model(config: Config, dataset: data.Dataset, seed: int) -> nn.Module:
    """Return the config's network with the initial weights of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(
            config.model,
            length=dataset.x.shape[-1],
            classes=len(dataset.classes),
            **config.model_options,
        )


def load_model(config: Config, dataset: data.Dataset, weights: Path) -> nn.Module:
    """Return the config's network with the weights of a safetensors file.

    Raises EcgadvError if the file is damaged or holds another network.
    """
    model = fresh_model(config, dataset, 0)
    try:
        model.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise EcgadvError(f"{weights.parent.name}/{weights.name} is damaged: delete it") from error
    return model


def samples(dataset: data.Dataset, index: np.ndarray, device, *, masked: bool) -> Samples:
    """Return the chosen examples on the device."""
    mask = torch.from_numpy(dataset.mask(index)).to(device) if masked else None
    x = torch.from_numpy(dataset.x[index]).to(device)
    return Samples(x, torch.from_numpy(dataset.y[index]).to(device), mask)


def train_missing(config: Config, seeds: Sequence[int], session: Session) -> None:
    """Train the seeds that have no weights yet, side by side, and store what comes out."""
    dataset = session.dataset(config.dataset)
    keys = {seed: training_key(config, seed, dataset.fingerprint) for seed in seeds}
    folders = {seed: session.store.weights_folder(keys[seed]) for seed in seeds}
    missing = [seed for seed in seeds if not folders[seed].exists()]
    checkpoint = _checkpoint(session, keys)
    if not missing:
        checkpoint.unlink(missing_ok=True)
        return
    # A group that was begun is gone on with, even if it was killed while publishing its seeds.
    if not checkpoint.exists():
        seeds, checkpoint = missing, _checkpoint(session, {seed: keys[seed] for seed in missing})
    train_part = data.split(dataset, config.split).train
    masked = config.defense.variant == "corrected"
    models = [fresh_model(config, dataset, seed) for seed in seeds]
    model = (stack(models) if len(seeds) > 1 else models[0]).to(session.device)
    generator = torch.Generator(session.device)
    history = train(
        model,
        build_loss(config, dataset.unit, generator),
        samples(dataset, train_part, session.device, masked=masked),
        config.schedule,
        seeds=seeds,
        generator=generator,
        checkpoint=checkpoint,
        deadline=session.deadline,
        on_epoch=lambda line: session.on_progress(
            f"train, loss {line['loss']:.4f}", line["epoch"] / config.schedule.epochs
        ),
    )
    about = {
        "seeds_together": list(seeds),
        "command": session.command,
        "seconds": round(sum(line["seconds"] for line in history) / len(seeds), 1),
        **provenance.environment(session.device),
        "history": history,
    }
    for seed, single in zip(seeds, unstack(model) if len(seeds) > 1 else [model], strict=True):
        if seed in missing:
            with session.store.publish(folders[seed]) as part:
                _write_weights(part, single)
                _write_json(part / "training.json", about)
    checkpoint.unlink(missing_ok=True)


def _write_weights(folder: Path, model: nn.Module) -> None:
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    (folder / "weights.safetensors").write_bytes(save(state))


def _checkpoint(session: Session, keys: dict[int, str]) -> Path:
    """Return the file that holds the progress of seeds trained side by side."""
    return session.store.checkpoint("-".join(keys.values()))


def run_once(config: Config, seed: int, session: Session) -> Record:
    """Return the record of this config and seed, made now if it is not there yet.

    It trains the network (or takes weights already trained by the same recipe), evaluates it on
    the test part and publishes the record whole.
    """
    dataset = session.dataset(config.dataset)
    key = run_key(config, seed, dataset.fingerprint)
    if record := session.store.get(key):
        return record
    train_missing(config, [seed], session)
    folder = session.store.weights_folder(training_key(config, seed, dataset.fingerprint))
    model = load_model(config, dataset, folder / "weights.safetensors").to(session.device)
    began = time.monotonic()
    numbers, examples = evaluate(config, model, dataset, session)
    training = json.loads((folder / "training.json").read_text())
    run = {
        "config": as_dict(config),
        "seed": seed,
        "command": session.command,
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "labels": dataset.labels,
            "unit": dataset.unit,
            "classes": list(dataset.classes),
        },
        "seconds": round(time.monotonic() - began, 1),
        **provenance.environment(session.device),
        "training": training,
    }
    with session.store.publish(session.store.root / key) as part:
        _write_json(part / "run.json", run)
        _write_json(part / "metrics.json", numbers)
        np.savez_compressed(part / "examples.npz", **examples)
        (part / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    return Record(session.store.root / key)


def evaluate(config: Config, model: nn.Module, dataset: data.Dataset, session: Session):
    """Return the numbers of metrics.json and the arrays of examples.npz.

    Raises OutOfTime when the session's deadline passes between two attacks.
    """
    parts = data.split(dataset, config.split)
    test = parts.test
    x, y = torch.from_numpy(dataset.x[test]), dataset.y[test]
    mask = torch.from_numpy(dataset.mask(test))
    classes = len(dataset.classes)
    logits = predict(model, x).numpy()
    validation = predict(model, torch.from_numpy(dataset.x[parts.validation])).numpy()
    numbers = {
        "clean": _clean(logits, y, classes),
        "validation": _clean(validation, dataset.y[parts.validation], classes),
        "attacks": {},
    }
    examples = {"id": test, "label": y.astype(np.uint8), "logits": logits.astype(np.float16)}
    # The prediction is kept beside the rounded logits, which may tie.
    examples["prediction"] = logits.argmax(1).astype(np.uint8)
    clean_held = (logits.argmax(1) == y).astype(np.uint8)
    total = sum(len(attack.eps) for attack in config.attacks)
    for attack in config.attacks:
        held = {}
        for eps in attack.eps:
            if session.deadline is not None and time.monotonic() > session.deadline:
                raise OutOfTime
            done = sum(k.startswith("held/") for k in examples)
            session.on_progress(f"{attack.name} eps {eps:g}", done / total)
            held[eps] = _attack(attack, eps, model, x, y, mask, dataset.unit, held)
            examples[f"held/{attack.name}/{eps:g}"] = held[eps]
        numbers["attacks"][attack.name] = _attacked(held, clean_held, y, classes)
    return numbers, examples


def _attack(attack: Attack, eps, model, x, y, mask, unit, before) -> np.ndarray:
    """Return the flags at one eps; `before` holds those of smaller ones."""
    candidates = subset(y, attack.per_class)
    flags = np.full(len(y), NOT_ATTACKED, np.uint8)
    if attack.nested and before:
        broken = np.min(list(before.values()), axis=0) == BROKEN
        flags[broken] = BROKEN
        candidates = candidates & ~broken
    options = dict(attack.options)
    if "relative_step" in options:
        options["step_size"] = options.pop("relative_step") * eps
    found = attack_flags(
        model,
        x,
        y,
        partial(ATTACKS[attack.method], **options),
        threat(unit, eps, bounded=attack.bounded),
        mask=mask if attack.masked else None,
        candidates=candidates,
    )
    return np.where(candidates, found, flags)


def subset(y: np.ndarray, per_class: int | None) -> np.ndarray:
    """Return which test examples are attacked: all, or the same random few of each class."""
    chosen = np.ones(len(y), bool)
    if per_class is None:
        return chosen
    rng = np.random.default_rng(0)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        chosen[members[per_class:]] = False
    return chosen


def _clean(logits: np.ndarray, y: np.ndarray, classes: int) -> dict:
    prediction = logits.argmax(1)
    about = (prediction, y, classes)
    return {
        "n": len(y),
        "accuracy": metrics.accuracy(prediction, y),
        "balanced_accuracy": metrics.balanced_accuracy(*about),
        "macro_f1": _number(metrics.macro_f1(*about)),
        "sensitivity": [_number(value) for value in metrics.sensitivity(*about)],
        "precision": [_number(value) for value in metrics.precision(*about)],
        "confusion": metrics.confusion(*about).tolist(),
    }


def _number(value: float) -> float | None:
    """Return None for an undefined number: JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def _attacked(held: dict, clean_held: np.ndarray, y: np.ndarray, classes: int) -> dict:
    """Return accuracy against eps, natural and class-balanced, with paper B's summaries."""
    eps = sorted(held)
    result = {"eps": eps, "n": int((held[eps[0]] != NOT_ATTACKED).sum())}
    for name, balanced in (("accuracy", False), ("balanced_accuracy", True)):
        levels, values = metrics.robustness_curve(
            {0.0: clean_held, **held}, y, classes, balanced=balanced
        )
        result[name] = values[1:].tolist()
        if 0.1 in eps:
            area = metrics.auc(levels, values)
            result[f"{name}_auc"] = float(area)
            result[f"{name}_robust"] = float(metrics.acc_robust(values[0], area))
    return result


def _write_json(path: Path, value: dict) -> None:
    try:
        path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")
    except ValueError as error:
        raise EcgadvError(f"{path.name}: a number is NaN or infinite ({error})") from error
