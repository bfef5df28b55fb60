"""Strange networks: as the plain one, or one line; and each is left as it was."""

import copy
import functools
import threading
from collections import OrderedDict
from typing import NamedTuple

import pytest
import torch
from strangers import BLIND, DECIDING, FLAT, LOOKING, Flat, X, Y, attack, refused
from torch import nn

from ecgadv.attacks import pgd
from ecgadv.evaluation.robustness import predict
from ecgadv.threat import Threat


def plain(x):
    return FLAT.head(x.flatten(-2))


class Answer(NamedTuple):
    loss: int
    logits: torch.Tensor


ANSWERS = {
    "a tuple": (lambda z: (z, z), r"returned a tuple; .* network\(x\)\[0\]"),
    "a dict": (lambda z: {"logits": z}, r"returned a dict; .* network\(x\)\['logits'\]"),
    "a dict of another key": (lambda z: {"out": z}, r"network\(x\)\['out'\]"),
    "a dict of another class": (lambda z: OrderedDict(logits=z), r"network\(x\)\['logits'\]"),
    "a named tuple": (lambda z: Answer(0, z), r"returned a Answer; .* network\(x\).logits"),
    "a list": (lambda z: [z], r"returned a list; .* network\(x\)\[0\]"),
    "nothing": (lambda z: None, "returned a NoneType"),
    "NumPy": (lambda z: z.detach().numpy(), "returned a ndarray"),
    "one logit": (lambda z: z[..., :1], r"of shape \(4, 1\) .* torch.stack\(\[0 \* z, z\], -1\)"),
    "a row": (lambda z: z[..., 0], r"of shape \(4,\) .* torch.stack"),
    "the classes": (lambda z: z.argmax(-1), "returned torch.int64"),
    "a sequence": (lambda z: z[..., None].expand(-1, -1, 7), r"of shape \(4, 3, 7\)"),
    "another batch": (lambda z: z[:3], r"of shape \(3, 3\)"),
    "classes first": (lambda z: z.mT, r"of shape \(3, 4\)"),
    "the mean": (lambda z: z.mean(), r"of shape \(\)"),
    "complex": (lambda z: z.to(torch.complex64), "returned torch.complex64"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_logits_is_told_in_one_line(answer):
    change, words = ANSWERS[answer]
    for name in LOOKING:
        refused(words, attack, name, lambda x: change(plain(x)))
    refused(words, predict, lambda x: change(plain(x)), X)


@pytest.mark.parametrize("value", [torch.nan, "some"])
def test_nan_logits_are_no_robustness(value):
    def broken(x):
        z = plain(x)
        return z * torch.nan if value is torch.nan else z.sqrt()

    for name in set(LOOKING) - ({"pgd last"} | DECIDING):
        refused("NaN", attack, name, broken)
    refused("NaN", predict, broken, X)


def squeezed(x):
    return plain(x).squeeze()


def test_a_squeezed_batch_of_one_is_told_in_one_line():
    for name in LOOKING:
        refused(
            r"of shape \(3,\) for x of shape \(1, 1, 20\)", attack, name, squeezed, X[:1], Y[:1]
        )
    refused("squeeze no dimension of the batch", predict, squeezed, X[:3], batch_size=2)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, "the network is None; give a module or a function"),
        ("beat-mlp", "the network is 'beat-mlp'"),
        (lambda x: plain(x.detach()), "no gradient to its input"),
        (torch.no_grad()(plain), "no gradient to its input"),
        (lambda x: torch.from_numpy(plain(x).detach().numpy()), "no gradient to its input"),
        (lambda x: plain(torch.from_numpy(x.numpy())), "no gradient to its input"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), "lazy layers .* run it once"),
        (Flat, "the network is the class Flat; give a network of it"),
        (FLAT.state_dict(), "the network is a OrderedDict; give a module"),
        (lambda x: torch.zeros(len(x), 3, requires_grad=True), "no gradient to its input"),
    ],
)
def test_a_network_without_a_gradient_is_told_in_one_line(model, words):
    for name in set(LOOKING) - (BLIND if callable(model) else set()):
        refused(words, attack, name, model)


class Centred(Flat):
    """Takes away the mean, in one of several ways."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return super().forward(HOW[self.how](x))


def into_data(x):
    mean = x.mean(-1, keepdim=True)
    x.data -= mean.data
    return x - mean + mean.detach()


def subtract(x):
    x -= x.mean(-1, keepdim=True)
    return x


def fill(x):
    centred = x - x.mean(-1, keepdim=True)
    x.zero_()
    return centred


HOW = {
    "purely": lambda x: x - x.mean(-1, keepdim=True),
    "in place": subtract,
    "and clear x": fill,
    "through .data": into_data,
}


@pytest.mark.parametrize("how", [*HOW][1:])
def test_a_network_that_writes_to_its_input_changes_nothing(how):
    with torch.no_grad():
        y = Centred("purely")(X).argmax(-1)
    for name in LOOKING:
        x = X.clone()
        found = attack(name, Centred(how).eval(), x, y)
        assert torch.equal(x, X), name
        torch.testing.assert_close(found, attack(name, Centred("purely").eval(), X, y), msg=name)
    x = X.clone()
    torch.testing.assert_close(predict(Centred(how), x), predict(Centred("purely"), X))
    assert torch.equal(x, X)


def test_a_first_relu_in_place_changes_nothing():
    def rectified(inplace):
        torch.manual_seed(0)
        layers = nn.ReLU(inplace=inplace), nn.Flatten(-2), nn.Linear(20, 3, bias=False)
        return nn.Sequential(*layers).eval()

    y = rectified(False)(X).argmax(-1)
    for name in set(LOOKING) - DECIDING:  # -x need not be of another class
        x = X.clone()
        assert torch.equal(attack(name, rectified(True), x, y), attack(name, rectified(False), y=y))
        assert torch.equal(x, X), name


class Alone:
    """A callable that is no module."""

    def __call__(self, x):
        return plain(x)


CALLABLES = {
    "a function": lambda: plain,
    "a method": lambda: Flat().forward,
    "an object": Alone,
    "a partial": lambda: functools.partial(nn.functional.linear, weight=Flat().head.weight),
    "a script": lambda: torch.jit.script(Flat().eval()),
    "a frozen script": lambda: torch.jit.freeze(torch.jit.script(Flat().eval())),
    "a trace": lambda: torch.jit.trace(Flat().eval(), X),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", CALLABLES)
def test_a_network_may_be_any_callable(kind):
    model = CALLABLES[kind]()
    if kind == "a partial":
        inner, model = model, lambda x: inner(x.flatten(-2))
    for name in LOOKING:
        assert torch.equal(attack(name, model), attack(name)), name
    assert torch.equal(predict(model, X), predict(Flat(), X))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_every_mode_of_autograd_gives_the_same(mode):
    for name in LOOKING:
        network = Flat().eval()
        with mode():
            x = X.clone()
            found = attack(name, network, x)
        assert torch.equal(found, attack(name)), name
        assert network.head.weight.requires_grad, name


def test_a_network_made_in_inference_mode_is_told_in_one_line():
    with torch.inference_mode():
        model = Flat()
    for name in LOOKING:
        refused("the network was made in torch.inference_mode", attack, name, model)


class Training(Flat):
    """A network in training mode, with statistics that move there and a part kept in eval mode."""

    def __init__(self, meanwhile=None):
        super().__init__()
        self.norm, self.kept = nn.BatchNorm1d(1, affine=False), nn.Dropout(0.5)
        self.train()
        self.kept.eval()
        self.meanwhile = meanwhile

    def forward(self, x):
        if self.meanwhile is not None:
            self.meanwhile, once = None, self.meanwhile
            once(self)
        return super().forward(self.kept(self.norm(x)))

    def state(self):
        modes = [module.training for module in self.modules()]
        flags = [parameter.requires_grad for parameter in self.parameters()]
        return modes, flags, self.norm.running_mean.tolist(), self.norm.num_batches_tracked.item()


def test_a_network_in_training_mode_is_attacked_in_eval_mode_and_goes_on_training():
    for name in LOOKING:
        network = Training()
        before = network.state()
        found = attack(name, network)
        assert network.state() == before, name
        assert torch.equal(found, attack(name, Training().eval())), name


def in_a_thread(call):
    """Return what the call returns, or raises, in a thread of its own."""
    found = []

    def run():
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("name", LOOKING)
def test_a_second_thread_on_a_network_is_told_and_the_first_goes_on(name):
    told = []

    def meanwhile(network):
        told.append(in_a_thread(lambda: attack(name, network)))
        told.append(in_a_thread(lambda: predict(network, X)))
        told.append(in_a_thread(lambda: attack(name, copy.deepcopy(network))))

    network = Training(meanwhile)
    before = network.state()
    found = attack(name, network)
    assert network.state() == before
    assert torch.equal(found, attack(name, Training()))
    for error in told[:2]:
        assert "another thread holds this network" in str(error) and "\n" not in str(error)
    assert torch.equal(told[2], found)
    assert torch.equal(in_a_thread(lambda: attack(name, network)), found)  # it is free again


def test_a_network_that_fails_is_let_go():
    def fail(network):
        raise KeyError("no such lead")

    network = Training(fail)
    before = network.state()
    with pytest.raises(KeyError):
        attack("pgd", network)
    assert network.state() == before
    assert torch.equal(in_a_thread(lambda: attack("pgd", network)), attack("pgd", Training()))


def test_logits_that_round_to_certainty_are_flagged():
    sure = Flat().eval()
    sure.head.weight.data *= 1e4
    with pytest.warns(UserWarning, match="gradient of 'ce' is zero for 4 of 4 examples"):
        held = attack("pgd", sure, random_start=False)
    assert torch.equal(held, X)
    margin = {"steps": 4, "step_size": 1.0, "loss": "margin", "random_start": False}
    found = pgd(sure, X, Y, Threat(3.0), **margin)
    assert (sure(found).argmax(-1) != Y).all()
