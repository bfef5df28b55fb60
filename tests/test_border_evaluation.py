"""Strange examples, labels, attacks and flags of an evaluation: as the plain form, or one line."""

import numpy as np
import pytest
import torch
from strangers import ATTACKS, FLAT, Flat, X, Y, refused

from ecgadv.attacks import fgsm
from ecgadv.evaluation import metrics
from ecgadv.evaluation.indicators import zero_gradients
from ecgadv.evaluation.robustness import (
    attack_flags,
    attack_predictions,
    craft,
    flags_of,
    predict,
    worst_case,
)
from ecgadv.experiments.store import Store, find
from ecgadv.threat import Threat

PGD = ATTACKS["pgd"]
WIDE = Threat(0.4)  # breaks some of the four
MASK = torch.arange(20).expand(4, 1, 20) < torch.tensor([20, 10, 5, 15])[:, None, None]


def predictions(model=FLAT, x=X, y=Y, attack=PGD, threat=WIDE, **options):
    return attack_predictions(model, x, y, attack, threat, batch_size=3, **options)


EXAMPLES = {
    "NumPy": X.numpy(),
    "float64": X.double(),
    "NumPy in float64": X.double().numpy(),
    "another byte order": X.numpy().astype(">f4"),
    "Fortran's order": np.asfortranarray(X.numpy()),
    "negative strides": X.numpy()[::-1, :, ::-1].copy()[::-1, :, ::-1],
    "every second row": np.repeat(X.numpy(), 2, axis=0)[::2],
    "read-only": np.frombuffer(X.numpy().tobytes(), np.float32).reshape(4, 1, 20),
    "lists": X.tolist(),
    "with a gradient": X.clone().requires_grad_(),
}


@pytest.mark.parametrize("form", EXAMPLES)
def test_examples_of_any_form_are_read_alike(form):
    x = EXAMPLES[form]
    np.testing.assert_array_equal(predictions(x=x), predictions())
    assert torch.equal(predict(FLAT, x), predict(FLAT, X))
    assert torch.equal(craft(FLAT, x, Y, fgsm, WIDE), craft(FLAT, X, Y, fgsm, WIDE))


def test_whole_numbers_are_read_as_floats():
    counts = (X * 100).round()
    expected = predict(FLAT, counts)
    for x in (counts.short(), counts.short().numpy(), counts.long().numpy().tolist()):
        assert torch.equal(predict(FLAT, x), expected)
    assert torch.equal(predict(lambda x: FLAT.head(x[:, 0]), counts.int().numpy()), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_examples_take_the_type_of_the_network(dtype):
    network = Flat().to(dtype).eval()
    assert predict(network, X).dtype == torch.float32
    for attack in (PGD, fgsm):
        for threat in (WIDE, Threat(1.0, "l2")):
            assert set(predictions(network, attack=attack, threat=threat)) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X[:, 0], r"examples of shape \(4, 20\)"),
        (X[:0], r"examples of shape \(0, 1, 20\)"),
        (X.numpy()[None], r"examples of shape \(1, 4, 1, 20\)"),
        (X.to(torch.complex64), "torch.complex64"),
        (X.numpy() + 1j, "examples holds complex64; give numbers"),
        (X.numpy().astype(str), "examples holds <U"),
        ([[1.0, 2.0], [3.0]], "examples: .*; give an array"),
        (None, "examples holds object"),
        (X * torch.nan, "NaN logits for 4 of 4 examples"),
    ],
)
def test_what_are_no_examples_is_told_in_one_line(x, words):
    refused(words, predict, FLAT, x)
    refused(words, predictions, x=x)


@pytest.mark.parametrize(
    "y",
    [Y.tolist(), Y.numpy(), Y.to(torch.uint8), Y.numpy().astype(bool), Y.double(), Y.numpy()[::1]],
)
def test_labels_of_any_kind_are_class_numbers(y):
    np.testing.assert_array_equal(predictions(y=y), predictions())
    flags = attack_flags(FLAT, X, y, PGD, WIDE)
    np.testing.assert_array_equal(flags, predictions() == Y.numpy())
    np.testing.assert_array_equal(flags_of(predictions(), y), flags_of(predictions(), Y))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([9, 10, 11, 9], "labels span 9..11, the network has 3 classes; give 0..2"),
        ([-1, 0, 1, 0], "labels span -1..1"),
        ([0, 0.9, 0, 1], "label holds 0.9; give whole numbers"),
        ([0, np.nan, 0, 1], "label holds nan"),
        (Y[:3], "3 labels for 4 examples; give one each"),
        (Y[:, None], r"label of shape \(4, 1\)"),
        ([[1.0, 0, 1]] * 4, r"label of shape \(4, 3\)"),
        (["N"] * 4, "label holds <U1"),
        (None, "label holds object"),
    ],
)
def test_what_are_no_labels_is_told_in_one_line(y, words):
    refused(words, predictions, y=y)
    refused(words, craft, FLAT, X, y, fgsm, WIDE)


def test_labels_are_not_spread_over_predictions():
    column = [[0], [1], [2]]
    refused(r"label of shape \(3, 1\)", metrics.accuracy, [0, 1, 2], column)
    refused(r"prediction of shape \(3, 1\)", metrics.accuracy, column, [0, 1, 2])
    refused(r"label of shape \(3, 1\)", flags_of, np.arange(3), column)
    refused("1 predictions for 3 labels", metrics.accuracy, [0], [0, 1, 2])
    refused("2 weights for 3 labels", metrics.accuracy, [0, 1, 2], [0, 1, 2], [0.5, 0.5])
    assert metrics.accuracy([0, 1, 2], torch.tensor([0, 1, 2])) == 1.0


@pytest.mark.parametrize("mask", [MASK, MASK.numpy(), MASK.tolist(), np.asfortranarray(MASK)])
def test_masks_of_any_form_follow_their_examples(mask):
    np.testing.assert_array_equal(predictions(mask=mask), predictions(mask=MASK))
    made = craft(FLAT, X, Y, fgsm, WIDE, mask=mask)
    assert torch.equal(made[~MASK], X[~MASK]) and not torch.equal(made, X)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (MASK.byte(), "mask is torch.uint8"),
        (MASK[:, 0], r"of shape \(4, 20\) for examples \(4, 1, 20\)"),
        (MASK[:3].numpy(), r"of shape \(3, 1, 20\)"),
        ("padding", "mask holds <U7"),
    ],
)
def test_what_is_no_mask_is_told_in_one_line(mask, words):
    refused(words, predictions, mask=mask)
    refused(words, predict, FLAT, X, mask=mask)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda x: None, "the attack returned a NoneType"),
        (lambda x: (x, x), "the attack returned a tuple"),
        (lambda x: x.numpy(), "the attack returned a ndarray"),
        (lambda x: x[:, :, :5], r"of shape \(3, 1, 5\); it must return examples"),
        (lambda x: x[:1], r"of shape \(1, 1, 20\)"),
        (lambda x: x.long(), "the attack returned torch.int64"),
        (lambda x: x + 1, "over the budget by"),
        (lambda x: x.add_(1), "over the budget by"),
        (lambda x: x * torch.nan, "not finite"),
    ],
)
def test_what_an_attack_returns_is_looked_at(returned, words):
    before = X.clone()
    refused(words, predictions, attack=lambda model, x, y, threat, **_: returned(x))
    assert torch.equal(X, before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attack": "pgd"}, "the attack is 'pgd'; give a function, such as attacks.fgsm"),
        ({"attack": None}, "the attack is None"),
        ({"threat": 0.1}, r"the threat is 0.1; give a Threat"),
        ({"threat": Threat(torch.ones(3, 1, 1))}, "does not fit x"),
        ({"model": "beat-mlp"}, "the network is 'beat-mlp'"),
        ({"candidates": [0.5]}, "candidates holds 0.5; give whole numbers"),
        ({"candidates": [4]}, "candidate 4 is out of range; indices run from 0 to 3"),
        ({"candidates": [True, False]}, r"give \(4,\) bools"),
        ({"candidates": "all"}, "candidates holds <U3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
    ],
)
def test_other_arguments_are_told_in_one_line(change, words):
    refused(words, predictions, **change)


@pytest.mark.parametrize("size", [0, True, 2.0, "all", None])
def test_a_batch_has_a_whole_number_of_examples(size):
    refused(
        "batch_size is .*; give a whole number of at least 1", predict, FLAT, X, batch_size=size
    )
    torch.testing.assert_close(predict(FLAT, X, batch_size=np.int64(3)), predict(FLAT, X))


def test_zero_gradients_looks_at_the_same_border():
    refused("x is of type ndarray", zero_gradients, FLAT, X.numpy(), Y)
    refused("labels span 9..9", zero_gradients, FLAT, X, [9] * 4)
    refused("mask is torch.uint8", zero_gradients, FLAT, X, Y, mask=MASK.byte())
    refused("no gradient to its input", zero_gradients, lambda x: FLAT(x).detach(), X, Y)
    assert zero_gradients(FLAT, X, Y.tolist()).value == 0


def test_flags_that_do_not_fit_each_other_are_told_in_one_line():
    flags = {"pgd": np.array([1, 0, 1])}
    refused("2 flags of among for 3", worst_case, flags, among=[True, False])
    refused("flag 0.5", worst_case, {"pgd": np.array([1, 0.5])})
    refused("held holds <U1; give numbers", metrics.robust_accuracy, ["1", "0"], [0, 1], 2)
    refused("2 flags for 3 labels", metrics.robust_accuracy, [1, 0], [0, 1, 2], 3)
    refused("label 2; classes run from 0 to 1", metrics.robust_accuracy, [1, 0, 1], [0, 1, 2], 2)


def test_records_may_be_named_by_words(tmp_path):
    assert Store(str(tmp_path)).root == tmp_path
    refused("no record 'KEY'", find, "KEY", [str(tmp_path), tmp_path])
