"""Attack steps on the CNN, SAP's smoothing, and a whole evaluation."""

from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from benchmarks import peers
from benchmarks.timing import Row, in_turns, matrix_peak, ratio
from ecgadv import attacks, data, defenses, models
from ecgadv.attacks.sap import smooth
from ecgadv.evaluation.robustness import attack_flags
from ecgadv.threat import Threat
from ecgadv.training import Samples, Schedule, train

LENGTH = 187
EPS, STEP = 0.1, 0.01
NO_PEER = "no peer is installed; `make bench` does it"
GOALS = {128: "2 on 2 cores", 1024: "2.5 on 2 cores"}


def pgd_step(*, quick: bool) -> list[Row]:
    """Microseconds a beat and PGD step on the CNN, ours and the peers' on conv1d layers."""
    steps, rounds = (2, 2) if quick else (20, 7)
    network, plain = models.build("beat-cnn"), peers.PlainCNN()
    plain.load_state_dict(network.state_dict())
    peak, work = matrix_peak(rounds=rounds), peers.flops(plain, LENGTH)
    bound = f"{peak / 1e9:.0f} GFLOP/s; {work / 1e6:.1f} MFLOP a beat and step"
    rows = [Row("pgd-step", f"matrix product {bound}", "us at that peak", work / peak * 1e6)]
    for batch in (32,) if quick else (128, 1024):
        what = f"CNN, {batch} beats"
        others = peers.pgd(plain, eps=EPS, step_size=STEP, steps=steps)
        if not others:
            return [*rows, Row("pgd-step", what, not_run=NO_PEER)]
        x, y = random_beats(batch)
        ours = partial(pgd_last, network, x, y, steps)
        calls = [ours, *(partial(attack, x, y) for attack in others.values())]
        a, *rest = in_turns(calls, rounds=rounds if batch < 1000 else min(rounds, 5))
        each = 1e6 / (batch * steps)
        for name, b in zip(others, rest, strict=True):
            times = "us a beat and step", median(a) * each, median(b) * each
            told = f"{name} on conv1d", ratio(a, b), GOALS.get(batch, "")
            rows.append(Row("pgd-step", what, *times, *told))
        part = work / peak * 1e6 / (median(a) * each)
        rows.append(Row("pgd-step", f"{what}, of the time at that peak", "x", 1 / part, goal="2.5"))
    return rows


def pgd_last(model, x, y, steps: int):
    threat = Threat(EPS, low=0.0, high=1.0)
    return attacks.pgd(model, x, y, threat, steps=steps, step_size=STEP, keep="last")


def sap_smoothing(*, quick: bool) -> list[Row]:
    """SAP's smoothing and its gradient, with one kernel and with 25 convolutions."""
    theta, weight = torch.rand(2, 64 if quick else 1024, 1, LENGTH).unbind()
    kernels = peers.gaussian_kernels()

    def one_kernel():
        return smooth(theta), smooth(weight)

    def by_25():
        leaf = theta.detach().requires_grad_()
        return torch.autograd.grad(peers.smooth_by_25(leaf, kernels), leaf, weight)

    a, b = in_turns([one_kernel, by_25], rounds=2 if quick else 10)
    each = 1e6 / len(theta)
    row = Row(
        *("sap", f"smoothing and its gradient, {len(theta)} beats", "us a beat"),
        *(median(a) * each, median(b) * each, "25 convolutions", ratio(a, b), "10"),
    )
    return [row]


def evaluation(*, quick: bool) -> list[Row]:
    """Beats a second through a PGD evaluation of an undefended network trained for a moment."""
    count, steps, rounds = (32, 3, 1) if quick else (256, 20, 2)
    x, y = shuffled_beats()
    rows = []
    for name in ("beat-mlp", "beat-cnn"):
        network = trained(name, x, y, steps=2 if quick else 60)
        what = f"{name.removeprefix('beat-').upper()}, PGD-{steps} on {count} synthetic beats"
        ours = _flags(network, x[:count], y[:count], steps)
        theirs, peer = _evaluation_peer(network, name, x[:count], y[:count], steps)
        if theirs is None:
            rows.append(Row("evaluate", what, not_run=NO_PEER))
            continue
        a, b = in_turns([ours, theirs], rounds=rounds)
        row = Row(
            *("evaluate", what, "beats a second", count / median(a), count / median(b)),
            *(f"{peer}, all steps for all beats", ratio(a, b)),
        )
        rows.append(row)
    return rows


def _flags(network, x, y, steps: int) -> Callable:
    attack = partial(attacks.pgd, steps=steps, step_size=STEP, early_stop=True)
    return partial(attack_flags, network, x, y, attack, Threat(EPS, low=0.0, high=1.0))


def _evaluation_peer(network, name: str, x, y, steps: int) -> tuple[Callable | None, str]:
    if name == "beat-cnn":
        plain = peers.PlainCNN()
        plain.load_state_dict(network.state_dict())
        network = plain
    others = peers.pgd(network, eps=EPS, step_size=STEP, steps=steps)
    if not others:
        return None, ""
    peer, attack = next(iter(others.items()))

    def evaluate():
        held = []
        for part, labels in zip(x.split(128), y.split(128), strict=True):
            x_adv = attack(part, labels)
            with torch.no_grad():
                held.append(network(x_adv).argmax(-1) == labels)
        return torch.cat(held)

    return evaluate, peer


def trained(name: str, x, y, *, steps: int, threat: Threat | None = None):
    """Return a network after so many steps of training, against PGD within a threat if given."""
    loss = defenses.cross_entropy.loss
    if threat is not None:
        options = {"steps": 4, "step_size": threat.eps / 2, "keep": "last", "threat": threat}
        loss = partial(defenses.adversarial.loss, attack=partial(attacks.pgd, **options))
    torch.manual_seed(0)
    network = models.build(name)
    rows = min(128 * steps, len(x))
    train(
        *(network, loss, Samples(x[:rows], y[:rows])),
        Schedule(epochs=-(-128 * steps // rows), sampler="natural"),
        seeds=[0],
        generator=torch.Generator(),
    )
    return network


def shuffled_beats():
    """Return the synthetic beats and their labels, of all classes from the beginning on."""
    beats = data.load("synthetic")
    order = torch.randperm(len(beats.y), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(beats.x)[order], torch.from_numpy(beats.y)[order]


def random_beats(batch: int):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(batch, 1, LENGTH, generator=generator)
    return x, torch.randint(5, (batch,), generator=generator)
