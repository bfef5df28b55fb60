"""What every attack keeps: budget, bounds, mask, the input, the network's state, its seed."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ecgadv.attacks import (
    adamax_pgd,
    apgd,
    band_pgd,
    fgsm,
    fmn,
    frozen,
    pgd,
    sap,
    spsa,
    square,
    uniform_noise,
)
from ecgadv.errors import EcgadvError
from ecgadv.threat import Threat

ATTACKS = {
    "uniform_noise": uniform_noise,
    "fgsm": fgsm,
    "fgsm margin": functools.partial(fgsm, loss="margin"),
    "pgd": functools.partial(pgd, steps=3, step_size=0.1),
    "pgd last": functools.partial(pgd, steps=3, step_size=0.1, keep="last"),
    "pgd early": functools.partial(
        pgd, steps=3, step_size=0.1, early_stop=True, restarts=2, loss="margin"
    ),
    "apgd": functools.partial(apgd, steps=5),
    "apgd targeted": functools.partial(apgd, steps=3, targets=2, restarts=2),
    "apgd dlr": functools.partial(apgd, steps=3, loss="dlr"),
    "adamax_pgd": functools.partial(adamax_pgd, steps=3, step_size=0.1),
    "spsa": functools.partial(spsa, steps=2, step_size=0.1, samples=8, delta=0.01),
    "square": functools.partial(square, queries=4),
    "fmn": functools.partial(fmn, steps=3, targets=2),
    "band_pgd": functools.partial(
        band_pgd, steps=3, step_size=0.1, rate=100.0, low_hz=0.0, high_hz=20.0
    ),
    "sap": functools.partial(sap, pgd_steps=2, smooth_steps=3, step_size=0.1),
    "sap again": functools.partial(
        sap, pgd_steps=2, smooth_steps=3, step_size=0.1, restarts=2, loss="margin"
    ),
    "sap last": functools.partial(sap, pgd_steps=2, smooth_steps=3, step_size=0.1, keep="last"),
    "sap after": functools.partial(
        sap, pgd_steps=2, smooth_steps=3, step_size=0.1, mask_inside=False
    ),
}
LINF_ONLY = {"adamax_pgd", "spsa", "sap", "sap again", "sap last", "sap after"}


class Network(nn.Module):
    """Dropout, batch statistics, one part in eval mode on purpose, one frozen parameter."""

    def __init__(self, leads, fails_after=None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.conv = nn.Conv1d(leads, 4, 3, padding=1)
            self.norm = nn.BatchNorm1d(4)
            self.dropout = nn.Dropout(0.5)
            self.head = nn.Linear(4, 3)
        self.train()
        self.norm.eval()
        self.head.bias.requires_grad_(False)
        self.calls, self.fails_after = 0, fails_after

    def forward(self, x):
        self.calls += 1
        if self.fails_after is not None and self.calls > self.fails_after:
            raise RuntimeError("the network broke")
        return 5 * self.head(self.dropout(torch.tanh(self.norm(self.conv(x)))).mean(-1))

    def state(self):
        return (
            {name: module.training for name, module in self.named_modules()},
            {name: value.requires_grad for name, value in self.named_parameters()},
            {name: value.clone() for name, value in self.state_dict().items()},
            [value.grad for value in self.parameters()],
        )


def assert_untouched(before, after):
    assert before[0] == after[0] and before[1] == after[1]
    for name, value in before[2].items():
        assert torch.equal(value, after[2][name])
    assert after[3] == before[3] == [None] * len(before[3])


@pytest.mark.filterwarnings("ignore:most values of x")  # eps may be as small as a float can be
@pytest.mark.filterwarnings("ignore:the gradient of")  # a mask may leave nothing to move
@given(
    name=st.sampled_from(sorted(ATTACKS)),
    norm=st.sampled_from(["linf", "l2"]),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 23)),
    eps=st.floats(0, 0.5),
    bounded=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 100),
)
@settings(max_examples=80, deadline=None)
def test_every_attack_keeps_the_contract(name, norm, shape, eps, bounded, masked, seed):
    attack, model = ATTACKS[name], Network(shape[1])
    norm = "linf" if name in LINF_ONLY else norm
    threat = Threat(eps, norm, *((0.0, 1.0) if bounded else (None, None)))
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator)
    y = torch.randint(3, shape[:1], generator=generator)
    valid = torch.randint(0, shape[2] + 1, (shape[0], 1, 1), generator=generator)
    mask = torch.arange(shape[2]) < valid if masked else None
    state, x_before = model.state(), x.clone()
    elsewhere = torch.get_rng_state()

    first, again = (
        attack(model, x, y, threat, mask=mask, generator=torch.Generator().manual_seed(seed))
        for _ in range(2)
    )

    threat.check(first, x, mask)
    assert first.shape == x.shape and first.dtype == x.dtype
    assert not first.requires_grad and first.grad_fn is None
    assert first.data_ptr() != x.data_ptr() and torch.equal(x, x_before)
    if masked:
        assert torch.equal(first[~mask.expand(x.shape)], x[~mask.expand(x.shape)])
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), elsewhere)
    assert_untouched(state, model.state())


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"uniform_noise"}))
def test_a_network_that_raises_is_restored_too(name):
    calls = 0 if name.startswith("fgsm") else 1
    x = torch.rand(2, 1, 9)
    y = Network(1).eval()(x).argmax(-1)
    model = Network(1, fails_after=calls)
    state = model.state()
    with pytest.raises(RuntimeError, match="the network broke"):
        ATTACKS[name](model, x, y, Threat(0.0))
    assert_untouched(state, model.state())


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_works_inside_no_grad_and_on_an_input_that_needs_its_gradient(name):
    model, threat = Network(2), Threat(0.05)
    x = torch.rand(3, 2, 12, requires_grad=True)
    y = torch.tensor([0, 1, 2])
    seeded = functools.partial(torch.Generator().manual_seed, 0)
    outside = ATTACKS[name](model, x, y, threat, generator=seeded())
    with torch.no_grad():
        inside = ATTACKS[name](model, x, y, threat, generator=seeded())
    assert torch.equal(outside, inside) and not outside.requires_grad
    assert x.grad is None and x.is_leaf


@pytest.mark.parametrize(
    "attack",
    [
        fgsm,
        functools.partial(pgd, steps=6, step_size=0.02, random_start=False),
        functools.partial(pgd, steps=6, step_size=0.02, random_start=False, keep="last"),
        functools.partial(pgd, steps=6, step_size=0.02, random_start=False, early_stop=True),
        functools.partial(sap, pgd_steps=4, smooth_steps=6, step_size=0.02),
    ],
)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_result_does_not_depend_on_the_batch(attack, norm):
    if norm == "l2" and getattr(attack, "func", None) is sap:
        norm = "linf"
    model = Network(1).double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(17, 1, 30, generator=generator, dtype=torch.float64)
    y = model(x).argmax(-1)
    threat = Threat(0.06, norm)
    together = attack(model, x, y, threat)
    for rows in (slice(0, 1), slice(1, 6), slice(6, 17)):
        torch.testing.assert_close(attack(model, x[rows], y[rows], threat), together[rows])


def test_a_seed_fixes_the_draw_and_another_changes_it():
    model, x, y = Network(1), torch.rand(2, 1, 9), torch.tensor([0, 1])
    for name in ("uniform_noise", "pgd", "pgd last", "apgd", "adamax_pgd"):
        runs = [
            ATTACKS[name](model, x, y, Threat(0.3), generator=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        ]
        assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_train_mode_crafts_on_the_network_as_it_trains():
    class Watching(Network):
        def forward(self, x):
            modes.append((self.training, self.norm.training))
            assert not any(value.requires_grad for value in self.parameters())
            return super().forward(x)

    for train_mode in (False, True):
        modes, model = [], Watching(1)
        before = model.state()
        options = {"steps": 2, "step_size": 0.1, "keep": "last", "train_mode": train_mode}
        pgd(model, torch.rand(4, 1, 9), torch.zeros(4, dtype=torch.int64), Threat(0.1), **options)
        assert modes == [(train_mode, train_mode)] * 2
        assert before[:2] == model.state()[:2]


def test_frozen_restores_after_an_error():
    model = Network(1)
    before = model.state()
    with pytest.raises(KeyError), frozen(model):
        assert not any(module.training for module in model.modules())
        assert not any(value.requires_grad for value in model.parameters())
        raise KeyError
    assert_untouched(before, model.state())


def test_uniform_noise_is_one_draw_clamped_to_the_bounds():
    x, y = torch.rand(2, 1, 50), torch.zeros(2, dtype=torch.int64)
    threat = Threat(0.4, low=0.0, high=1.0)
    found = uniform_noise(Network(1), x, y, threat, generator=torch.Generator().manual_seed(4))
    draw = torch.rand(x.shape, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(found, (x + 0.8 * (draw - 0.5)).clamp(0, 1))
    with pytest.raises(EcgadvError, match="not finite"):
        uniform_noise(Network(1), x * torch.nan, y, threat)


def test_an_eps_of_zero_and_an_empty_batch_are_harmless():
    model = Network(1)
    x, y = torch.rand(3, 1, 9), torch.tensor([0, 1, 2])
    for name, attack in ATTACKS.items():
        assert torch.equal(attack(model, x, y, Threat(0.0)), x), name
        assert attack(model, x[:0], y[:0], Threat(0.1)).shape == (0, 1, 9), name
