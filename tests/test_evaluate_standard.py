"""The cascade `standard` beside each attack alone, on small networks that are hard to attack."""

from functools import partial

import pytest
import torch
from torch import nn

import ecgadv
from ecgadv import attacks, data, defenses
from ecgadv.evaluation.robustness import attack_flags
from ecgadv.threat import Threat
from ecgadv.training import Samples, Schedule, train

EPS = 0.04
THREAT = Threat(EPS, low=0.0, high=1.0)
EACH = {
    "fgsm": attacks.fgsm,
    "noise": attacks.uniform_noise,
    "authors' PGD": partial(attacks.adamax_pgd, steps=100, step_size=0.01),
    "PGD": partial(attacks.pgd, steps=100, step_size=0.01, early_stop=True),
    "PGD, margin": partial(attacks.pgd, steps=100, step_size=0.01, loss="margin", early_stop=True),
    "Auto-PGD": partial(attacks.apgd, steps=100),
    "Auto-PGD, ce": partial(attacks.apgd, steps=100, loss="ce"),
    "Auto-PGD, DLR": partial(attacks.apgd, steps=100, loss="dlr", targets=4),
    "smallest": partial(attacks.fmn, steps=100, targets=4),
    "Square": partial(attacks.square, queries=300),
    "SPSA": partial(attacks.spsa, steps=20, samples=16, step_size=0.02, delta=0.005),
    "SAP": partial(attacks.sap, pgd_steps=10, smooth_steps=10, step_size=0.02),
}


@pytest.fixture(scope="module", params=["undefended", "adversarial"])
def subject(request):
    """A network trained for a moment, with beats of each class that it reads right."""
    beats = data.load("synthetic")
    order = torch.randperm(len(beats.y), generator=torch.Generator().manual_seed(0))
    x, y = torch.from_numpy(beats.x)[order], torch.from_numpy(beats.y)[order]
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(187, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU()
    model = nn.Sequential(*layers, nn.Linear(32, 5))
    loss, generator = defenses.cross_entropy.loss, torch.Generator().manual_seed(0)
    if request.param == "adversarial":
        attack = partial(attacks.pgd, threat=THREAT, steps=4, step_size=0.02, keep="last")
        loss = partial(defenses.adversarial.loss, attack=partial(attack, generator=generator))
    schedule = Schedule(epochs=8, batch_size=64, learning_rate=3e-3, sampler="natural")
    train(model, loss, Samples(x[:1500], y[:1500]), schedule, seeds=[0], generator=generator)
    return model.eval(), x[1500:1580], y[1500:1580]


@pytest.fixture(scope="module")
def report(subject):
    return ecgadv.evaluate(*subject, eps=EPS, low=0.0, high=1.0)


@pytest.mark.parametrize("name", EACH)
def test_no_attack_alone_breaks_what_standard_leaves(name, subject, report):
    model, x, y = subject
    alone = attack_flags(model, x, y, EACH[name], THREAT)
    held = report.held(EPS)
    assert (held <= alone).all()
    assert 0 < held.sum() < report.right.sum()
