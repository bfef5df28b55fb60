"""The CPSC2018 network, its losses and attacks beside the numbers that the authors' code gave."""

import formulas
import pytest
import torch

from ecgadv import attacks, draws
from ecgadv.attacks.gradient import attack_loss
from ecgadv.defenses import adversarial, cross_entropy, jacobian, nsr
from ecgadv.models import pullback
from ecgadv.threat import Threat

# Their names of some of our parameters.
NAMES = {
    "layer0.0.weight": "stem.weight",
    "layer0.1.weight": "stem_norm.weight",
    "layer1.0.conv1.weight": "blocks.0.first.weight",
    "layer2.1.downsample.weight": "blocks.3.beside.weight",
    "layer3.0.gn3.bias": "blocks.4.beside_norm.bias",
    "layer4.2.weight": "last.weight",
    "layer4.2.bias": "last.bias",
    "layer5.weight": "output.weight",
    "layer5.bias": "output.bias",
}
LOSSES = {
    "cross_entropy": cross_entropy.loss,
    "nsr": lambda *given: nsr.loss(*given, beta=1.0, gate=True),
    "jacobian": lambda *given: jacobian.loss(*given, beta=24.0, norm="rooted", divisor=9),
}


@pytest.fixture(scope="module")
def given():
    return (formulas.network(), *formulas.batch())


def close(found, expected, tol=1e-9):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert (found.detach() - expected).abs().max() <= tol * expected.abs().max().clamp_min(1)


def gradients_match(model, loss, expected):
    model.zero_grad()
    loss.backward()
    for theirs, values in expected.items():
        gradient = model.get_parameter(NAMES[theirs]).grad
        size = max(values["abs_sum"], 1e-12)
        assert abs(float(gradient.norm()) - values["l2"]) <= 1e-9 * max(values["l2"], 1e-12)
        assert abs(float(gradient.sum()) - values["sum"]) <= 1e-9 * size
        assert abs(float(gradient.abs().sum()) - values["abs_sum"]) <= 1e-9 * size
        for place, name in ((0, "first"), (-1, "last")):
            assert abs(float(gradient.flatten()[place]) - values[name]) <= 1e-9 * size


@torch.no_grad()
def test_network(golden, given):
    model, x, mask = given
    net = golden["network"]
    assert [list(p.shape) for p in model.parameters()] == [shape for _, shape in net["parameters"]]
    close(model(x, mask), net["logits"])
    close(model(x, torch.ones_like(mask)), net["full_mask_logits"])
    close(model.position_weights(mask.double(), 31)[:, 0], net["pooling_weights"])
    free, _ = formulas.batch(padded=False)
    close(model(free, mask), net["logits_of_x_without_zero_padding"])


@pytest.mark.long
def test_nsr(golden, given):
    model, x, mask = given
    wanted = golden["nsr_training"]
    y = torch.tensor(wanted["labels"])
    loss = LOSSES["nsr"](model, x, y, mask)
    close(loss, wanted["total_beta1_1_beta2_1"])
    gradients_match(model, loss, wanted["gradients"])
    logits = model(x, mask)
    close(nsr.squared_error(logits, y), wanted["L1"])
    close(nsr.margin(logits, y), wanted["L2"])


@pytest.mark.long
def test_gated_ratios_of_any_labels(golden, given):
    model, x, mask = given
    wanted = golden["nsr_any_labels"]
    y = torch.tensor(wanted["labels"])
    logits, pull = pullback(model, x, mask)
    found = nsr.noise_to_signal(logits, pull, y, max_noise=1.0, stabiliser=0.01, gate=True)
    close(found, wanted["R_n_gated"])
    gradients_match(model, found.log1p().mean(), wanted["gradients"])
    logits, pull = pullback(model, x, mask)
    slope = pull(torch.nn.functional.one_hot(y, 9).double()).abs()
    close(slope.sum((1, 2)), wanted["l1_of_input_gradient_of_z_y_ungated"])
    close((slope * ~mask).sum((1, 2)), wanted["of_it_outside_the_mask"])


@pytest.mark.long
def test_cross_entropy_and_jacobian(golden, given):
    model, x, mask = given
    wanted = golden["cross_entropy"]
    loss = cross_entropy.loss(model, x, torch.tensor(wanted["labels"]), mask)
    close(loss, wanted["value"])
    gradients_match(model, loss, wanted["gradients"])
    wanted = golden["jacobian"]
    found = jacobian.penalty(*pullback(model, x, mask), norm="rooted", divisor=9)
    close(found, wanted["value_sqrt_sum_over_N_C"])
    gradients_match(model, found, wanted["gradients"])


@pytest.mark.long
def test_one_step_of_adam(golden, given):
    _, x, mask = given
    for name, loss in (("ce", "cross_entropy"), ("nsr", "nsr"), ("jacobian24", "jacobian")):
        wanted = golden[f"after_one_adam_step_{name}"]
        model = formulas.network()
        value = LOSSES[loss](model, x, torch.tensor(wanted["labels"]), mask)
        close(value, wanted["loss"])
        value.backward()
        torch.optim.Adam(model.parameters(), lr=1e-3, foreach=True).step()
        with torch.no_grad():
            close(model(x, mask), wanted["logits"])


@pytest.fixture
def start(monkeypatch):
    """The random start that the formulas give, in place of the draw."""

    def from_formulas(shape, x, generator):
        noise = formulas.start_noise(1.0)
        rows = noise if len(x) == 4 else noise[: len(x)]
        return ((rows + 1) / 2).to(x)

    monkeypatch.setattr(draws, "uniform", from_formulas)


def moved(x_adv, x, wanted):
    delta = (x_adv - x).detach()
    for name, found in (
        ("sum", delta.sum((1, 2))),
        ("abs_sum", delta.abs().sum((1, 2))),
        ("max_abs", delta.abs().amax((1, 2))),
    ):
        close(found, wanted[name], tol=1e-8)


AUTHORS = {"keep": "last", "clip_start": False, "mask_start": False}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "steps", "loss"),
    [
        ("training_attack_slm_1_steps", 1, "soft-margin"),
        ("training_attack_slm_3_steps", 3, "soft-margin"),
        ("evaluation_pgd_4_steps_no_stop", 4, "ce"),
    ],
)
def test_pgd(golden, given, start, name, steps, loss):
    model, x, mask = given
    wanted = golden[name]
    y, budget = torch.tensor(wanted["labels"]), Threat(wanted["eps"], low=-1.0, high=1.0)
    options = {"steps": steps, "step_size": wanted["step"], "loss": loss, **AUTHORS}
    x_adv = attacks.pgd(model, x, y, budget, mask=mask, **options)
    moved(x_adv, x, wanted)
    with torch.no_grad():
        close(model(x_adv, mask), wanted["logits"], tol=1e-8)


def test_soft_margin(golden, given):
    model, x, mask = given
    wanted = golden["soft_logit_margin"]
    with torch.no_grad():
        found = attack_loss("soft-margin", model(x, mask), torch.tensor(wanted["labels"]))
    close(found, wanted["each"])


@pytest.mark.long
def test_adversarial_training(golden, given, start):
    model, x, mask = given
    wanted = golden["advls_training_3_steps"]
    budget = Threat(wanted["eps"], low=-1.0, high=1.0)

    def attack(network, x, y, mask):
        options = {"steps": 3, "step_size": wanted["step"], "loss": "soft-margin", **AUTHORS}
        return attacks.pgd(network, x, y, budget, mask=mask, **options)

    y = torch.tensor(wanted["labels"])
    loss = adversarial.loss(model, x, y, mask, attack=attack, correct_only=True)
    close(loss, wanted["total"], tol=1e-8)
    gradients_match(model, loss, wanted["gradients"])


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "kernel"),
    [("sap_released_2_plus_4_steps", "last-of-25"), ("sap_sum_repaired_2_plus_4_steps", "mean")],
)
def test_sap(golden, given, name, kernel):
    model, _, mask = given
    x, _ = formulas.batch(padded=False)
    wanted = golden[name]
    y, step = torch.tensor(wanted["labels"]), wanted["step"]

    def network(x):
        return model(x, mask)

    # They return the example before the last step.
    options = {"pgd_steps": 2, "smooth_steps": 3, "step_size": step, "keep": "last"}
    x_adv = attacks.sap(network, x, y, Threat(wanted["eps"]), kernel=kernel, **options)
    moved(x_adv, x, {**wanted})
    with torch.no_grad():
        close(model(x_adv, mask), wanted["logits"], tol=1e-8)
