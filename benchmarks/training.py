"""Training steps a second: one seed, eight side by side, and the CNN in conv1d layers."""

from functools import partial
from statistics import median

import torch

from benchmarks import peers
from benchmarks.timing import Row, in_turns, ratio
from ecgadv import models
from ecgadv.experiments.config import Config
from ecgadv.experiments.run import build_loss
from ecgadv.experiments.suites.paper_b import NSR_BETA, config_of
from ecgadv.models.stacking import stack
from ecgadv.training import Samples, train

SEEDS = 8
DEFENSES = (("cross-entropy", None), ("nsr", NSR_BETA), ("adversarial", 0.1))
# Steps of one timing; an adversarial step holds ten attack steps.
STEPS = {
    "beat-mlp": {"cross-entropy": 40, "nsr": 20, "adversarial": 10},
    "beat-cnn": {"cross-entropy": 3, "nsr": 2, "adversarial": 1},
}


def training(*, quick: bool) -> list[Row]:
    """Steps of 128 beats a second with paper B's schedules, summed over the seeds."""
    rows, batch = [], 8 if quick else 128
    for name, counts in STEPS.items():
        for defense, strength in DEFENSES:
            strength = strength[name] if isinstance(strength, dict) else strength
            steps, rounds = (1, 1) if quick else (counts[defense], 3)
            rows += _rows(name, defense, strength, steps=steps, batch=batch, rounds=rounds)
    return rows


def _rows(name: str, defense: str, strength, *, steps: int, batch: int, rounds: int) -> list[Row]:
    torch.manual_seed(0)
    networks = [models.build(name) for _ in range(SEEDS)]
    runs = [(networks[0], 1), (stack(networks), SEEDS)]
    if name == "beat-cnn":
        runs.append((_plain(networks[0]), 1))
    changes = {"epochs": 1, "sampler": "natural", "batch_size": batch}
    config = config_of("paper", name, defense, strength, **changes)
    functions = [partial(_train, network, config, steps, seeds) for network, seeds in runs]
    one, eight, *plain = in_turns(functions, rounds=rounds)
    what = f"{name.removeprefix('beat-').upper()}, {defense}"
    single, unit = steps / median(one), "steps a second"
    rows = [Row("train", f"{what}, one seed", unit, single)]
    if plain:
        peer = (steps / median(plain[0]), "conv1d", ratio(one, plain[0]))
        rows = [Row("train", f"{what}, one seed", unit, single, *peer)]
    together = (SEEDS * steps / median(eight), single, "one after another")
    gain = SEEDS * ratio(eight, one)
    return [*rows, Row("train", f"{what}, {SEEDS} seeds side by side", unit, *together, gain)]


def _plain(network) -> peers.PlainCNN:
    plain = peers.PlainCNN()
    plain.load_state_dict(network.state_dict())
    # Same trainer, same kernels to keep at unit norm.
    convs = [layer for block in plain.blocks[:-1] for layer in (block.conv1, block.conv2)]
    plain.normalized_layers = lambda: [plain.stem, *convs, plain.hidden, plain.output]
    return plain


def _train(network, config: Config, steps: int, seeds: int) -> None:
    count, generator = steps * config.schedule.batch_size, torch.Generator()
    x = torch.rand(count, 1, 187, generator=generator.manual_seed(0))
    train(
        network,
        build_loss(config, "normalised", generator),
        Samples(x, torch.arange(count) % 5),
        config.schedule,
        seeds=range(seeds),
        generator=generator,
    )
