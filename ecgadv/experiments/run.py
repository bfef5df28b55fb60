"""One run: train a network or take the weights that are there, attack it, write the record."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ecgadv import data, defenses
from ecgadv.evaluation import metrics
from ecgadv.evaluation.robustness import predict
from ecgadv.experiments import cost, described, earlier, provenance
from ecgadv.experiments.config import Config, as_dict, run_key, training_key
from ecgadv.experiments.evaluate import ATTACKS, BATCH, evaluate
from ecgadv.experiments.exposure import threat
from ecgadv.experiments.growing import Growing
from ecgadv.experiments.session import Session, fresh_model, load_model, source_of
from ecgadv.experiments.store import WEIGHTS, Record, Trained
from ecgadv.experiments.unfinished import Unfinished
from ecgadv.files import dump_arrays, sha256
from ecgadv.models.stacking import stack, unstack
from ecgadv.training import OutOfTime, Samples, train

# Defenses by name; those whose losses draw, of noise or for an attack, are built apart.
LOSSES = {
    "cross-entropy": defenses.cross_entropy.loss,
    "jacobian": defenses.jacobian.loss,
    "nsr": defenses.nsr.loss,
}
# What is minimised in the warm-up epochs of a defense; else plain cross-entropy (PROTOCOLS 2.4).
WARMUP = {"nsr": defenses.nsr.squared_error_loss}


def build_loss(config: Config, unit: str, generator: torch.Generator) -> Callable:
    """Return loss(model, x, y, mask) for the config's defense, drawing from `generator`.

    Its attribute `begin`, where it has one, is to be called with each epoch before it.
    """
    options = dict(config.defense.options)
    if config.teacher is not None:
        options["temperature"] = config.teacher.temperature
    if config.defense.name == "adversarial":
        own = {k: options.pop(k) for k in _WEIGHTS if k in options}
        method = ATTACKS[options.pop("attack", "pgd")]
        budget = threat(unit, options.pop("eps"))
        if options.pop("growing", False):
            epochs = {"first": config.schedule.warmup, "epochs": config.schedule.epochs}
            step = options.pop("relative_step")
            attack = partial(method, generator=generator, keep="last", **options)
            growing = Growing(attack, budget, relative_step=step, **epochs)
            loss = partial(defenses.adversarial.loss, attack=growing, **own)
            loss.begin = growing.begin
            return loss
        attack = partial(method, threat=budget, generator=generator)
        return partial(
            defenses.adversarial.loss, attack=partial(attack, keep="last", **options), **own
        )
    if config.defense.name == "trades":
        own = {"beta": options.pop("beta")} if "beta" in options else {}
        attack = partial(ATTACKS["pgd"], threat=threat(unit, options.pop("eps")), **options)
        attack = partial(attack, generator=generator, keep="last")
        return partial(defenses.trades.loss, attack=attack, **own)
    if config.defense.name == "gaussian":
        return partial(defenses.gaussian.loss, generator=generator, **options)
    return partial(LOSSES[config.defense.name], **options)


# Options of adversarial training that are not its attack's.
_WEIGHTS = (
    *("clean_weight", "adversarial_weight", "temperature", "summed", "normalize"),
    "correct_only",
)


def warmup_loss(config: Config) -> Callable:
    """Return what is minimised in the warm-up epochs of the config's defense."""
    loss = WARMUP.get(config.defense.name, defenses.cross_entropy.loss)
    if not config.defense.options.get("correct_only"):
        return loss
    weight = config.defense.options.get("clean_weight", 0.5)  # as in the loss itself
    return lambda model, x, y, mask: weight * loss(model, x, y, mask)


def samples(dataset: data.Dataset, index: np.ndarray, device, *, masked: bool) -> Samples:
    """Return the chosen examples on the device."""
    mask = torch.from_numpy(dataset.mask(index)).to(device) if masked else None
    x = torch.from_numpy(dataset.x[index]).to(device)
    return Samples(x, torch.from_numpy(dataset.y[index]).to(device), mask)


def train_missing(config: Config, seeds: Sequence[int], session: Session) -> None:
    """Train the seeds that have no weights yet, side by side, and store what comes out.

    What the config builds on, a teacher say, is trained first where it is missing, too.
    """
    for before in config.builds_on().values():
        train_missing(before, seeds, session)
    dataset = session.dataset(config.dataset)
    keys = {seed: training_key(config, seed, dataset.fingerprint) for seed in seeds}
    missing = [seed for seed in seeds if session.weights(config, seed) is None]
    checkpoint = _checkpoint(session, keys)
    if not missing:
        checkpoint.unlink(missing_ok=True)
        return
    # A group that was begun is gone on with, even if it was killed while publishing its seeds.
    if not checkpoint.exists():
        seeds, checkpoint = missing, _checkpoint(session, {seed: keys[seed] for seed in missing})
    if session.deadline is not None and time.monotonic() > session.deadline:
        raise OutOfTime
    model, history, operations = _train(config, seeds, session, checkpoint)
    seconds = sum(line["seconds"] for line in history) / len(seeds)
    device = provenance.device_name(session.device)
    about = {
        "seeds_together": list(seeds),
        "command": session.command,
        "seconds": round(seconds, 1),
        "operations": operations,
        **cost.rate(operations, seconds, device, config.schedule.precision),
        **provenance.environment(session.device),
        "history": history,
    }
    for seed, single in zip(seeds, unstack(model) if len(seeds) > 1 else [model], strict=True):
        if seed in missing:
            with session.store.publish(session.store.weights_folder(keys[seed])) as part:
                files = {WEIGHTS: _weights(single, half=config.half)}
                described.write(part, Trained.description, about, files)
    checkpoint.unlink(missing_ok=True)


def _train(
    config: Config, seeds: Sequence[int], session: Session, checkpoint: Path
) -> tuple[nn.Module, list[dict], float]:
    """Train seeds side by side.

    Returns the network, stacked if there are several seeds, the history, and the floating-point
    operations of one seed.
    """
    dataset = session.dataset(config.dataset)
    parts = data.split(dataset, config.split)
    part = samples(dataset, parts.train, session.device, masked=config.defense.masked)
    if config.teacher is not None:
        part = dataclasses.replace(part, soft=_soft_labels(config, seeds[0], part, session))
    models = [_start(config, seed, session) for seed in seeds]
    model = (stack(models) if len(seeds) > 1 else models[0]).to(session.device)
    generator = torch.Generator(session.device)
    loss = build_loss(config, dataset.unit, generator)
    warmup = warmup_loss(config)
    first = models[0].to(session.device)
    operations = cost.operations(first, loss, part, config.schedule, warmup_loss=warmup)
    index = parts.validation
    validation, seen = torch.from_numpy(dataset.x[index]), torch.from_numpy(dataset.mask(index))

    def validate(model: nn.Module) -> float:
        logits = predict(model, validation, mask=seen, batch_size=BATCH[config.model])
        return metrics.accuracy(logits.argmax(1).numpy(), dataset.y[index])

    history = train(
        model,
        loss,
        part,
        config.schedule,
        seeds=seeds,
        generator=generator,
        warmup_loss=warmup,
        validate=validate,
        checkpoint=checkpoint,
        deadline=session.deadline,
        begin=getattr(loss, "begin", None),
        on_epoch=lambda line: session.on_progress(
            f"train, loss {line['loss']:.4f}", line["epoch"] / config.schedule.epochs
        ),
    )
    return model, history, operations


def _start(config: Config, seed: int, session: Session) -> nn.Module:
    """Return the network as it is before training."""
    if config.initial is not None:
        return session.trained(config.initial, seed)
    return fresh_model(config, session.dataset(config.dataset), seed)


def _soft_labels(config: Config, seed: int, part: Samples, session: Session) -> Tensor:
    """Return the teacher's soft labels (N, K) of the training part."""
    with torch.random.fork_rng([session.device] if session.device.type == "cuda" else []):
        torch.manual_seed(seed)  # the teacher's dropout draws from it
        return defenses.distillation.soft_labels(
            session.trained(config.teacher.config, seed),
            part.x,
            temperature=config.teacher.temperature,
            train_mode=config.teacher.train_mode,
            batch_size=config.schedule.batch_size,
        )


def _weights(model: nn.Module, *, half: bool) -> bytes:
    """Return the weights' file; `half` keeps vectors whole: variances exceed its range."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if half:
        state = {k: v.half() if v.dim() > 1 else v for k, v in state.items()}
    return save(state)


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
    weights = session.weights(config, seed)
    source = source_of(weights)
    content = source.read(WEIGHTS)
    model = load_model(config, dataset, weights).to(session.device)
    began = time.monotonic()
    unfinished = _unfinished(key, content, session)
    known = earlier.find(config, seed, weights, session)
    numbers, examples = evaluate(config, seed, model, dataset, session, unfinished, known)
    run = {
        **_made_of(config, seed, session),
        "seconds": round(time.monotonic() - began + unfinished.seconds, 1),
        **provenance.environment(session.device),
        **({"taken_over": known.about()} if known and known.used else {}),
        **({"parts_of_commits": sorted(unfinished.commits)} if unfinished.commits else {}),
        "training": {
            "key": training_key(config, seed, dataset.fingerprint),
            **(source.about if isinstance(source, Trained) else source.about["training"]),
        },
    }
    with session.store.publish(session.store.root / key) as part:
        files = {
            "metrics.json": described.dump_json(numbers, "metrics.json"),
            "examples.npz": dump_arrays(examples, compressed=True),
            WEIGHTS: content,
        }
        described.write(part, Record.description, run, files)
    session.store.clear_evaluation(key)
    return Record(session.store.root / key)


def _made_of(config: Config, seed: int, session: Session) -> dict:
    """Return what a record says of what is run, on which data and on what other trainings."""
    dataset = session.dataset(config.dataset)
    return {
        "config": as_dict(config),
        "seed": seed,
        "command": session.command,
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "labels": dataset.labels,
            "unit": dataset.unit,
            "classes": list(dataset.classes),
            **_tested_on(config, session),
        },
        "builds_on": {
            role: {"label": other.label, "training": training_key(other, seed, dataset.fingerprint)}
            for role, other in config.builds_on().items()
        },
    }


def _tested_on(config: Config, session: Session) -> dict:
    """Return what a record says of the dataset of its test part, where that is another one."""
    if config.tested_on in ("", "validation"):
        return {}
    name = config.tested_on
    return {"tested_on": {"name": name, "fingerprint": session.fingerprint(name)}}


def _unfinished(key: str, weights: bytes, session: Session) -> Unfinished:
    """Return what is kept of this evaluation, of these very weights and on this kind of device."""
    about = weights + provenance.device_name(session.device).encode()
    folder = session.store.evaluation(key) / sha256(about)[:16]
    return Unfinished(folder, provenance.commit()[0])
