"""Strange signals, labels, masks, budgets and options: as the plain form, or one line."""

import functools
import math

import numpy as np
import pytest
import torch
from strangers import ATTACKS, LINF_ONLY, LOOKING, THREATENED, Flat, X, Y, attack, refused

from ecgadv.threat import Threat


@functools.cache
def plain(name):
    return attack(name)


def inference(x):
    with torch.inference_mode():
        return x.clone()


SIGNALS = {
    "columns first": lambda x: x.mT.contiguous().mT,
    "every second value": lambda x: torch.stack([x, x], -1)[..., 0],
    "rows of more": lambda x: torch.cat([x, x], -1)[..., :20],
    "expanded leads": lambda x: x[:, 0].unsqueeze(1),
    "a parameter": torch.nn.Parameter,
    "with history": lambda x: x.clone().requires_grad_() * 1,
    "made in inference mode": inference,
    "NumPy's memory": lambda x: torch.from_numpy(x.numpy()),
}


@pytest.mark.parametrize("form", SIGNALS)
def test_a_signal_of_any_layout_is_taken_and_left_alone(form):
    for name in ATTACKS:
        x = SIGNALS[form](X.clone())
        found = attack(name, x=x)
        assert torch.equal(found, plain(name)), name
        assert torch.equal(x, X) and not found.requires_grad, name


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X.numpy(), "x is of type ndarray; give a tensor"),
        (X.tolist(), "x is of type list"),
        (None, "x is of type NoneType"),
        ((X * 1000).short(), "x is torch.int16"),
        (X > 0, "x is torch.bool"),
        (X.to(torch.complex64), "x is torch.complex64"),
        (X.to_sparse(), "torch.sparse_coo"),
        (X[:, 0], r"of shape \(4, 20\); give \(batch, leads, time\)"),
        (X[..., :0], r"of shape \(4, 1, 0\)"),
        (X.masked_fill(X[2, 0, 3] == X, math.nan), r"x holds 1 values .* at 2 \(1 of 4\)"),
        (X.masked_fill(X[0, 0, 0] == X, math.inf), "x holds 1 values"),
    ],
)
def test_what_is_no_signal_is_told_in_one_line(x, words):
    for name in ATTACKS:
        if name != "pgd last" or "holds" not in words:  # training waits for no value
            refused(words, attack, name, x=x)


def test_a_signal_outside_the_bounds_is_told_in_one_line():
    for name in set(THREATENED) - {"pgd last"}:
        refused(r"outside the bounds 0.0 to 1.0", attack, name, threat=Threat(0.1, low=0, high=1))


def test_a_type_that_the_network_does_not_compute_in_is_told_in_one_line():
    for name in LOOKING:
        refused(r"x is torch.float64 and the network torch.float32", attack, name, x=X.double())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_type_of_floats_keeps_its_type_and_its_budget(dtype, norm):
    x, network = X.to(dtype), Flat().to(dtype).eval()
    threat = Threat(0.3, norm, low=-4.0, high=4.0)
    for name in THREATENED:
        if norm == "linf" or name not in LINF_ONLY:
            found = attack(name, network, x=x, threat=threat)
            assert found.dtype == dtype and not torch.equal(found, x), name
            threat.check(found, x)
            # By the definition: what the type rounds, at the largest value of all.
            size = (found.double() - x.double()).abs().amax()
            if norm == "l2":
                size = torch.linalg.vector_norm(found.double() - x.double(), dim=(1, 2)).max()
            rounded = torch.finfo(dtype).eps * float(x.abs().max()) * math.sqrt(20)
            assert size <= 0.3 * (1 + 1e-5) + rounded, name
    found = attack("boundary", network, x=x)
    assert found.dtype == dtype and torch.isfinite(found).all()


@pytest.mark.parametrize(
    "y",
    [
        *(Y.to(kind) for kind in (torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool)),
        Y.tolist(),
        tuple(Y.tolist()),
        Y.numpy(),
        Y.numpy().astype(np.uint8),
        Y.numpy()[::-1].copy()[::-1],
        np.repeat(Y.numpy(), 2)[::2],
        torch.stack([Y, Y], 1)[:, 0],
        inference(Y),
    ],
)
def test_labels_of_any_kind_are_class_numbers(y):
    for name in ATTACKS:
        assert torch.equal(attack(name, y=y), plain(name)), name


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (Y - 1, r"labels span -1..0, the network has 3 classes; give 0..2"),
        (Y + 2, "labels span 2..3"),
        (np.array([9, 10, 11, 9]), "labels span 9..11"),
        (Y[:3], r"give class numbers of shape \(4,\)"),
        (Y[:, None], r"column.squeeze\(-1\)"),
        (torch.eye(3, dtype=torch.int64)[Y], r"one_hot.argmax\(-1\)"),
        (Y.double(), "give class numbers|soft labels y"),
        (torch.tensor([[1.0, 0, 1]] * 4), "soft labels"),
        (torch.full((4, 3), 0.5), "soft labels"),
        (torch.tensor([[1.5, -0.5, 0.0]] * 4), "soft labels"),
        (torch.full((4, 3), math.nan), "soft labels"),
        (torch.full((4, 2), 0.5), "soft labels"),
        (["N", "N", "V", "V"], "y is of type list"),
        (None, "y is of type NoneType"),
        (Y.to(torch.complex64), "torch.complex64"),
    ],
)
def test_what_are_no_labels_of_the_network_is_told_in_one_line(y, words):
    for name in LOOKING:
        refused(words, attack, name, y=y)


HALF = torch.arange(20).expand(4, 1, 20) < torch.tensor([20, 10, 5, 15])[:, None, None]


@pytest.mark.parametrize(
    "mask",
    [
        HALF.numpy(),
        HALF.tolist(),
        HALF.numpy()[::-1].copy()[::-1],
        torch.stack([HALF, HALF], -1)[..., 0],
        inference(HALF),
    ],
)
def test_a_mask_of_any_layout_holds_the_padding_still(mask):
    for name in THREATENED:
        found = attack(name, mask=mask)
        assert torch.equal(found, attack(name, mask=HALF)), name
        assert torch.equal(found[~HALF], X[~HALF]) and not torch.equal(found, X), name


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (HALF[:, 0], r"of shape \(4, 20\); give bool of shape \(4, 1, 20\)"),
        (HALF[:1], r"of shape \(1, 1, 20\)"),
        (HALF[..., :1], r"of shape \(4, 1, 1\)"),
        (HALF.byte(), "mask is torch.uint8"),
        (HALF.float(), "mask is torch.float32"),
        ("padding", "mask is of type str"),
        (True, r"of shape \(1,\)"),
    ],
)
def test_what_is_no_mask_is_told_in_one_line(mask, words):
    for name in ATTACKS:
        refused(words, attack, name, mask=mask)


@pytest.mark.filterwarnings("ignore:the gradient of")  # of spsa, which asks within the mask
def test_a_mask_that_leaves_nothing_leaves_everything_as_it_was():
    for name in THREATENED:
        assert torch.equal(attack(name, mask=torch.zeros_like(HALF)), X), name
    refused("start, as masked, is not of the class", attack, "boundary", mask=HALF & False)


EACH = torch.tensor([0.05, 0.02, 0.0, 0.1]).view(4, 1, 1)


@pytest.mark.parametrize(
    "eps", [EACH.numpy(), EACH.tolist(), EACH.double(), EACH.expand(4, 1, 20), inference(EACH)]
)
def test_a_budget_for_each_sample_may_come_as_any_array(eps):
    for name in set(THREATENED) - (LINF_ONLY if np.shape(eps)[-1] > 1 else set()):
        found = attack(name, threat=Threat(eps))
        assert torch.equal(found, attack(name, threat=Threat(EACH))), name
        assert ((found - X).abs() <= EACH + 1e-6).all(), name


@pytest.mark.parametrize(
    "eps", [np.float32(0.05), np.array(0.05), np.array([[0.05]]), torch.tensor(0.05), [0.05]]
)
def test_a_budget_of_one_number_may_come_as_any_scalar(eps):
    assert Threat(eps).eps == pytest.approx(0.05)
    assert isinstance(Threat(eps).eps, float)
    assert Threat(1).eps == 1.0


@pytest.mark.parametrize(
    "value", ["0.1", None, True, 1j, np.array(["a", "b"]), object(), [[1], [1, 2]]]
)
def test_what_is_no_budget_is_told_in_one_line(value):
    refused("eps is ", Threat, value)


def test_a_masked_array_is_refused_where_its_mask_would_be_lost():
    hidden = np.ma.masked_equal(np.array([0, 1, 1, 0]), 1)
    refused("y is a masked array, whose mask would be lost", attack, "fgsm", y=hidden)
    each = np.ma.masked_equal(np.full((4, 1, 1), 0.1), 0.1)
    refused("eps is a masked array", Threat, each)
    assert Threat(np.ma.array(each.data)).eps.shape == (4, 1, 1)


def test_a_budget_that_may_not_be_written_to_is_taken_without_a_word():
    fixed = np.frombuffer(np.full(4, 0.1).tobytes()).reshape(4, 1, 1)
    assert Threat(fixed).eps.shape == (4, 1, 1)


@pytest.mark.parametrize("shape", [(4,), (20,), (4, 1), (4, 20)])
def test_a_budget_that_could_be_of_samples_or_of_time_is_refused(shape):
    refused("could mean samples, leads or time", Threat, torch.full(shape, 0.1))
    refused("could mean samples, leads or time", Threat, 0.1, low=np.zeros(shape))


def test_a_budget_of_other_signals_is_refused():
    for name in THREATENED:
        for shape in ((3, 1, 1), (4, 1, 19), (1, 4, 1, 1)):
            threat = Threat(torch.full(shape, 0.1))
            refused(
                r"eps of shape .* does not fit x of shape \(4, 1, 20\)", attack, name, threat=threat
            )


@pytest.mark.parametrize("threat", [0.05, None, {"eps": 0.05}, Threat, np.float32(0.05)])
def test_what_is_no_threat_is_told_in_one_line(threat):
    for name in THREATENED:
        refused(r"give a Threat, such as Threat\(0.05\)", attack, name, threat=threat)


@pytest.mark.filterwarnings("ignore:the gradient of 'ce' is zero")
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_budget_below_the_spacing_of_the_type_is_warned_of(norm):
    x, threat = 3000 * X.abs() + 2000, Threat(1e-4, norm, unit="mV")
    for name in set(THREATENED) - {"pgd last"} - (LINF_ONLY if norm == "l2" else set()):
        with pytest.warns(UserWarning, match=r"torch.float32 cannot move them by eps 0.0001 mV"):
            attack(name, x=x, y=Flat()(x).argmax(-1), threat=threat)


COUNTS = ("steps", "restarts", "samples", "pgd_steps", "smooth_steps", "candidates", "window")
SIZES = ("step_size", "delta")


def options_of(names):
    return [
        (attack_name, option)
        for attack_name, function in ATTACKS.items()
        for option in getattr(function, "keywords", {})
        if option in names
    ]


@pytest.mark.parametrize(("name", "option"), options_of(COUNTS))
def test_counts_are_whole_numbers_numpys_too(name, option):
    value = ATTACKS[name].keywords[option]
    for same in (np.int64(value), np.uint8(value)):
        assert torch.equal(attack(name, **{option: same}), plain(name))
    for odd in (True, float(value), str(value), 0, -1, None, np.array([value]), math.nan):
        refused(f"{option} is .*; give a whole number of at least 1", attack, name, **{option: odd})


@pytest.mark.parametrize(("name", "option"), options_of(SIZES))
def test_sizes_are_finite_numbers_above_0(name, option):
    value = ATTACKS[name].keywords[option]
    assert torch.equal(attack(name, **{option: np.float64(value)}), plain(name))
    for odd in (True, str(value), 0, -value, None, math.nan, math.inf, np.array([value])):
        refused(f"{option} is .*; give a finite number", attack, name, **{option: odd})


@pytest.mark.parametrize("generator", [0, np.random.default_rng(0), "cpu"])
def test_what_is_no_generator_is_told_in_one_line(generator):
    for name in ATTACKS:
        refused("generator is ", attack, name, generator=generator)
