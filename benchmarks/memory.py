"""Peak memory of PGD on the CNN, ours and each peer's, every one in a process of its own."""

import json
import subprocess
import sys

import torch

from benchmarks import peers
from benchmarks.attacking import EPS, NO_PEER, STEP, pgd_last, random_beats
from benchmarks.preparing import peak_megabytes
from benchmarks.timing import Row
from ecgadv import models


def memory(*, quick: bool) -> list[Row]:
    """Megabytes that five steps need beyond those of a batch of two, which loads all code."""
    batch = 8 if quick else 1024
    own, *others = (_megabytes(name, batch) for name in ("ours", *_peers()))
    what = f"CNN, {batch:,} beats, peak memory of PGD"
    if not others:
        return [Row("memory", what, "MB", own), Row("memory", what, not_run=NO_PEER)]
    pairs = zip(_peers(), others, strict=True)
    return [Row("memory", what, "MB", own, other, name, other / own) for name, other in pairs]


def _peers() -> list[str]:
    return list(peers.pgd(peers.PlainCNN(), eps=EPS, step_size=STEP, steps=1))


def _megabytes(name: str, batch: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", name, str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return max(1.0, json.loads(done.stdout.splitlines()[-1]))


def _measure(name: str, batch: int) -> float:
    torch.manual_seed(0)
    if name == "ours":
        network = models.build("beat-cnn")

        def attack(x, y):
            return pgd_last(network, x, y, 5)
    else:
        attack = peers.pgd(peers.PlainCNN(), eps=EPS, step_size=STEP, steps=5)[name]
    x, y = random_beats(batch)
    attack(x[:2], y[:2])
    before = peak_megabytes()
    attack(x, y)
    return peak_megabytes() - before


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
