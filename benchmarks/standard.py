"""The cascade `standard` and its parts: seconds, and what they leave beside the peers' parts."""

import time
from functools import partial

import torch

import ecgadv
from benchmarks import peers
from benchmarks.attacking import NO_PEER, shuffled_beats, trained
from benchmarks.timing import Row
from ecgadv import attacks
from ecgadv.evaluation.robustness import predict
from ecgadv.evaluation.subject import Counted
from ecgadv.threat import Threat

EPS = 0.04
GOALS = {"beat-mlp": "under 60 s", "beat-cnn": "under 600 s"}
THREAT = Threat(EPS, low=0.0, high=1.0)


def standard(*, quick: bool) -> list[Row]:
    """`standard` on networks trained against PGD for a moment; the CNN's on fewer beats, scaled."""
    sizes = {"beat-mlp": 8, "beat-cnn": 2} if quick else {"beat-mlp": 1000, "beat-cnn": 256}
    suite = "fast" if quick else "standard"
    x, y = shuffled_beats()
    rows = []
    for name, count in sizes.items():
        network = trained(name, x, y, steps=2 if quick else 60, threat=THREAT)
        # As the network reads them, so that all can be broken.
        own, read = x[:count], predict(network, x[:count]).argmax(-1)
        began = time.perf_counter()
        report = ecgadv.evaluate(network, own, read, eps=EPS, low=0.0, high=1.0, attacks=suite)
        seconds = (time.perf_counter() - began) * 1000 / count
        what = f"{name.removeprefix('beat-').upper()}, `standard` for 1,000 beats"
        scaled = "" if count == 1000 else f", from {count}"
        rows.append(Row("standard", what + scaled, "s", seconds, goal=GOALS[name]))
        if name == "beat-mlp":
            rows += _beside(network, own, read, report)
    return rows


def _beside(network, x, y, report) -> list[Row]:
    """Return what each part leaves at equal steps or queries, and the cascade beside AutoAttack."""
    near = THREAT.at(1.0)
    ours = {
        "Auto-PGD": partial(attacks.apgd, threat=THREAT, steps=100, loss="dlr", targets=4),
        "smallest": partial(attacks.fmn, threat=near, steps=100),
        "Square": partial(attacks.square, threat=THREAT, queries=1000),
    }
    counted, rows = Counted(network), []
    for part, others in peers.parts(counted, eps=EPS, classes=5).items():
        if not others:
            rows.append(Row("standard", f"MLP, {part}", not_run=NO_PEER))
            continue
        if part in ours:
            generator = torch.Generator().manual_seed(0)
            own = partial(ours[part], counted, generator=generator)
            a = _measured(counted, own, x, y, part)
        else:
            passes = report.spent.sum(axis=(0, 1))[:2].sum() / len(x)
            a = 100 * float(report.held(EPS).mean()), float(passes)
        unit = "eps, median" if part == "smallest" else "% hold"
        for name, attack in others.items():
            b = _measured(counted, attack, x, y, part)
            better = b[0] / a[0] if a[0] else None
            rows.append(Row("standard", f"MLP, {part}", unit, a[0], b[0], name, better))
            rows.append(Row("standard", f"MLP, {part}", "passes a beat", a[1], b[1], name))
    return rows


def _measured(counted: Counted, attack, x, y, part: str) -> tuple[float, float]:
    """Return the share that holds in percent, or the median distance, and passes a beat."""
    counted.passes[:] = 0, 0
    x_adv = attack(x, y).detach()
    passes = sum(counted.passes) / len(x)
    with torch.no_grad():
        wrong = counted(x_adv).argmax(-1) != y
    distance = (x_adv - x).abs().amax((1, 2))
    if part == "smallest":
        return float(torch.where(wrong, distance, torch.inf).median()), passes
    return 100 * float((~(wrong & (distance <= EPS + 1e-6))).double().mean()), passes
