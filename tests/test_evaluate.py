"""`ecgadv.evaluate`: closed forms on linear networks, strange input, files, interruptions."""

from functools import partial

import numpy as np
import pandas
import pytest
import torch
from strangers import Flat, refused
from torch import nn

import ecgadv
from ecgadv import attacks
from ecgadv.attacks import apgd, fgsm, fmn
from ecgadv.evaluation import report as report_module
from ecgadv.evaluation import suite
from ecgadv.evaluation.report import Report
from ecgadv.evaluation.robustness import attack_flags
from ecgadv.evaluation.suite import Step
from ecgadv.threat import Threat

EPS = [0.05, 0.2]
QUICK = [
    Step("apgd-margin", partial(apgd, steps=20)),
    Step("fmn", partial(fmn, steps=20, targets=2), nearest=True),
]
SIGNS = [QUICK[0], Step("fmn", partial(fmn, steps=20), nearest=True)]


def beats(n=40):
    x = torch.randn(n, 1, 20, generator=torch.Generator().manual_seed(1))
    return x, Flat()(x).argmax(-1)


X, Y = beats()


def evaluate(model=None, x=X, y=Y, **options):
    return ecgadv.evaluate(
        Flat() if model is None else model, x, y, **{"eps": EPS, "attacks": QUICK, **options}
    )


@pytest.fixture(scope="module")
def plain():
    return evaluate()


def distances(x=X, y=Y, norm="linf"):
    """How far each example is from the nearest class of a linear network."""
    w, z = Flat().head.weight.detach(), Flat()(x).detach()
    rows, dual = torch.arange(len(x)), 1 if norm == "linf" else 2
    gaps = torch.stack([(z[rows, y] - z[:, k]) for k in range(3)], 1)
    sizes = torch.stack([(w[y] - w[k]).norm(p=dual, dim=1) for k in range(3)], 1)
    return (gaps / sizes).masked_fill(nn.functional.one_hot(y, 3).bool(), torch.inf).amin(1).numpy()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_network_is_measured_exactly(norm):
    wrong = Y.clone()
    wrong[:4] = (wrong[:4] + 1) % 3
    far = distances(norm=norm)
    eps = sorted(float(np.quantile(far, q)) * 1.001 for q in (0.3, 0.6))
    report = evaluate(y=wrong, norm=norm, eps=eps, unit="mV")
    assert not report.right[:4].any() and report.right[4:].all()
    for level in eps:
        np.testing.assert_array_equal(report.held(level)[4:], far[4:] > level)
        assert report.accuracy(level).estimate == pytest.approx((far[4:] > level).sum() / 40)
    assert report.accuracy().estimate == 0.9
    near = far[4:] <= 3.9 * eps[-1]
    np.testing.assert_allclose(report.smallest[4:][near], far[4:][near], rtol=2e-3)
    examples = report.examples()
    np.testing.assert_allclose(examples.smallest_microvolts, 1000 * report.smallest)
    assert (examples.read_as[:4] == Y[:4].numpy()).all() and not report.failed


def test_never_weaker_than_an_attack_alone(plain):
    for level in EPS:
        for attack in (fgsm, lambda *a, **k: apgd(*a, steps=20, loss="ce", **k)):
            alone = attack_flags(Flat(), X, Y, attack, Threat(level))
            assert (plain.held(level) <= alone).all()


def test_each_attack_meets_what_those_before_it_left():
    order = ["noise", "apgd-ce", "apgd-dlr", "square", "sap", "spsa"]
    report = evaluate(attacks=order, eps=[0.3])
    left = report.right.copy()
    for number, name in enumerate(order):
        flags = report.flags[number, 0]
        seen = report.right if name == "sap" else left
        np.testing.assert_array_equal(flags != 255, seen)
        first = left & (flags == 0)
        np.testing.assert_array_equal(report.breaker[0] == number, first)
        left &= flags != 0
    np.testing.assert_array_equal(report.held(0.3), left)
    table = report.table().set_index("attack")
    assert table.loc["worst case", "accuracy"] == left.mean()
    assert table.loc["apgd-ce", "backward"] > 0 == table.loc["noise", "backward"]
    assert table.loc["noise", "forward"] == 40


def test_the_suites_by_number_of_classes():
    def names(classes, wanted="standard", *, norm="linf", signs=False):
        return [step.name for step in suite.steps(wanted, classes, norm=norm, signs=signs)]

    every = [
        "apgd-ce",
        "fmn",
        "apgd-dlr",
        "apgd-near",
        "apgd-margin",
        "pgd-margin",
        "square",
        "sap",
    ]
    assert names(2) == names(5, signs=True) == [n for n in every if n != "apgd-dlr"]
    assert names(3) == names(4) == every
    assert names(3, norm="l2") == every[:-1]
    assert names(3, "fast") == ["apgd-margin", "fmn"]


def three_labels():
    network = Flat()
    z = network(X).detach()
    y = (z > 0).numpy().astype(int)
    y[:5, 0] = 1 - y[:5, 0]  # misread in one label
    far = (z.abs() / network.head.weight.detach().abs().sum(-1)).numpy()
    return network, y, far


@pytest.mark.parametrize("success", ["any", "exact", 0, np.int64(2)])
def test_several_labels_at_once(success):
    network, y, far = three_labels()
    hit = (network(X).detach().numpy() > 0) == y
    if success == "any":
        right, nearest = hit.any(1), np.where(hit, far, np.inf).min(1)
    elif success == "exact":
        right, nearest = hit.all(1), far.min(1)
    else:
        right, nearest = hit[:, success], far[:, success]
    eps = float(np.median(nearest)) * 1.001
    report = evaluate(network, y=y, eps=eps, task="multilabel", success=success, attacks=SIGNS)
    np.testing.assert_array_equal(report.right, right)
    np.testing.assert_array_equal(report.held(eps), right & (nearest > eps))
    found = report.labels()
    clean = found[found.eps == 0]
    assert clean.sensitivity[0] == pytest.approx(hit[y[:, 0] == 1, 0].mean())
    assert found[found.eps > 0].sensitivity.mean() < clean.sensitivity.mean()
    assert "class-balanced" not in str(report)


def test_the_area_under_the_curve_is_that_of_sklearn(plain):
    from sklearn.metrics import roc_auc_score

    for level, logits in enumerate(plain.logits):
        found = plain.labels().auc.to_numpy().reshape(-1, 3)[level]
        expected = [roc_auc_score((k == Y).numpy(), logits[:, k]) for k in range(3)]
        np.testing.assert_allclose(found, expected)


MASK = torch.arange(20) < 15
FORMS = {
    "NumPy": (X.numpy(), Y.numpy(), {}),
    "float64": (X.double(), Y.int(), {}),
    "strides": (X.numpy()[::-1].copy()[::-1], Y.tolist(), {}),
    "a table": (pandas.DataFrame(X[:, 0].numpy()), pandas.Series(Y.numpy()), {}),
    "eps as an array": (X, Y, {"eps": np.array(EPS[::-1])}),
    "a masked array without a mask": (np.ma.array(X.numpy()), np.ma.array(Y.numpy()), {}),
    "float32 levels": (X, Y, {"eps": np.array(EPS, np.float32)}),
    "NumPy integers": (X, Y, {"batch_size": np.int64(256), "seed": np.int64(0)}),
}


@pytest.mark.parametrize("form", FORMS)
def test_input_of_any_form_gives_the_same(form, plain):
    x, y, options = FORMS[form]
    network = Flat()
    with torch.inference_mode():
        report = evaluate(network, x, y, **options)
    np.testing.assert_array_equal(report.breaker, plain.breaker)
    np.testing.assert_allclose(report.smallest, plain.smallest, rtol=1e-6)
    np.testing.assert_array_equal(report.held(EPS[0]), plain.held(EPS[0]))


def test_masks_and_budgets_of_any_shape():
    where = MASK.expand(40, 1, 20)
    one = evaluate(eps=0.2, mask=where)
    for mask in (MASK, MASK.expand(40, 20), where.numpy()):
        np.testing.assert_array_equal(evaluate(eps=0.2, mask=mask).smallest, one.smallest)
    each = torch.linspace(0.05, 0.3, 40).view(40, 1, 1)
    far = distances()
    report = evaluate(eps=each)
    np.testing.assert_array_equal(report.held(1.0), far > each.flatten().numpy())
    shares = far / each.flatten().numpy()
    near = shares < 3.9
    np.testing.assert_allclose(report.smallest[near], shares[near], rtol=3e-3)
    halved = evaluate(x=X.half(), model=Flat().half(), eps=0.2)
    assert (halved.held(0.2) == (far > 0.2)).mean() > 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": lambda x: Flat()(x)[:, :1]}, r"torch.stack\(\[0 \* z, z\], -1\)"),
        ({"model": "mlp"}, "the network is 'mlp'"),
        ({"model": Flat}, "the network is the class Flat"),
        (
            {"model": nn.Linear(1, 3)},
            r"fails on .* of shape \(40, 1, 20\) \(mat1 .*network\(x.mT\)",
        ),
        ({"model": lambda x, age: x}, "missing 1 required .*wrap the network in a function of x"),
        ({"model": lambda x: {}["a"]}, r"fails on .* \('a'\); x is \(examples, leads, time\)"),
        ({"model": lambda x: (Flat()(x),)}, r"returned a tuple"),
        ({"y": Y[:, None]}, r"label of shape \(40, 1\)"),
        ({"y": Y + 9}, "the network has 3 classes"),
        ({"y": nn.functional.one_hot(Y, 3)}, r"labels of shape \(40, 3\); .* task=.multilabel"),
        ({"task": "multilabel"}, r"give 0 or 1 for each of \(N, K\)"),
        ({"task": "softmax"}, "unknown task 'softmax'; choose one of multiclass, multilabel"),
        (
            {"task": "multilabel", "y": np.ones((40, 3)), "success": 3},
            "success is 3; give 'any' .* 0 to 2",
        ),
        ({"eps": []}, "eps holds nothing"),
        ({"eps": -1.0}, "eps is -1.0"),
        ({"eps": [0.1, 0.1]}, r"eps of shape \(2,\) lists levels, each once"),
        ({"eps": np.linspace(0.1, 0.2, 40)}, r"one eps for each example as an array \(N, 1, 1\)"),
        ({"attacks": "strong"}, "attacks is 'strong'; give one of standard, fast"),
        ({"attacks": ["cw"]}, "no attack 'cw' for this task"),
        ({"attacks": [fgsm, fgsm]}, "each with a name of its own"),
        ({"attacks": []}, "give at least one"),
        ({"attacks": [3]}, "attack 3; give a name, a function, or a pair of both"),
        ({"attacks": fgsm}, "attacks is a single function; give a list of them"),
        ({"attacks": None}, "attacks is None; give a list"),
        ({"surrogates": nn.Sequential(Flat())}, "surrogates is a single Sequential; give a list"),
        ({"attacks": [fmn]}, "attack 'fmn': missing .* 'steps'; .* functools.partial"),
        ({"attacks": [lambda *all_four: X]}, "unexpected keyword argument 'mask'; it is called as"),
        ({"attacks": ["sap"], "norm": "l2"}, "no attack 'sap'"),
        ({"groups": [1, 2]}, "2 groups for 40 examples"),
        ({"groups": np.r_[np.nan, np.ones(39)]}, "groups hold nan for 1 of 40 examples"),
        ({"groups": [None, *"a" * 39]}, "groups hold None for 1 of 40"),
        ({"unit_mv": [1.0, 2.0]}, r"unit_mv of shape \(2,\) for 40 examples"),
        ({"unit_mv": np.inf}, "unit_mv of shape .* give the millivolts"),
        ({"unit": "mV", "unit_mv": 2.0}, "unit 'mV' and unit_mv 2.0 contradict; give one"),
        ({"classes": ["N", "V"]}, r"classes is \['N', 'V'\]; give a list of 3 names"),
        ({"classes": "NSV"}, "classes is 'NSV'; give a list of 3 names"),
        ({"classes": 3}, "classes is 3; give a list of 3 names"),
        ({"x": np.ma.masked_greater(X.numpy(), 1)}, "examples is a masked array"),
        ({"x": X.to_sparse()}, "torch.sparse_coo; give"),
        ({"y": np.full(40, 2**63, np.uint64)}, r"give whole numbers below 2\*\*63"),
        ({"y": np.full(40, 1e30)}, r"holds 1e\+30; give whole numbers below"),
        ({"eps": 10**400}, "eps is 1000.*; give a number"),
        ({"folder": __file__}, "test_evaluate.py is a file; give a folder"),
        ({"success": None}, "success is None"),
        ({"x": X * torch.nan}, "x holds 800 values that are not finite"),
        ({"mask": torch.arange(3) < 2}, r"mask is torch.bool of shape \(40, 1, 3\)"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(change, words):
    refused(words, evaluate, **change)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_examples_that_broke_each_are_kept_where_asked_for(norm, dtype, tmp_path):
    eps = sorted(float(np.quantile(distances(norm=norm), q)) for q in (0.3, 0.6))
    about = {"model": Flat().to(dtype), "x": X.to(dtype), "folder": tmp_path / "own"}
    asked = partial(evaluate, **about, eps=eps, norm=norm, keep_examples=True)
    report = asked()
    report.save(tmp_path / "report.npz")
    for kept in (report, asked(), Report.load(tmp_path / "report.npz")):
        for level in eps:
            rows, x_adv = kept.adversarial(level)
            np.testing.assert_array_equal(rows, np.flatnonzero(kept.held(level) == 0))
            assert len(rows) and x_adv.shape == (len(rows), 1, 20)
            assert (Flat().to(dtype)(torch.from_numpy(x_adv)).argmax(-1) != Y[rows]).all()
            added = np.abs(x_adv - X[rows].numpy())
            size = added.max((1, 2)) if norm == "linf" else np.sqrt((added**2).sum((1, 2)))
            np.testing.assert_allclose(size, kept.smallest[rows], rtol=1e-4)
            assert (size <= level * (1 + 1e-5)).all()


def test_examples_that_were_not_kept_are_told(plain, tmp_path):
    refused("no adversarial examples; evaluate with keep_examples=True", plain.adversarial, 0.05)
    evaluate(folder=tmp_path)
    refused("or keep_examples; give a folder", evaluate, folder=tmp_path, keep_examples=True)


def test_a_report_from_before_examples_were_kept_is_read(plain, tmp_path, monkeypatch):
    before = [name for name in report_module.ARRAYS if name != "found"]
    monkeypatch.setattr(report_module, "ARRAYS", before)
    plain.save(tmp_path / "report.npz")
    again = Report.load(tmp_path / "report.npz")
    assert again.accuracy(0.05) == plain.accuracy(0.05)
    refused("no adversarial examples", again.adversarial, 0.05)


def test_a_report_is_kept_and_read(tmp_path, plain):
    plain.save(tmp_path / "report.npz")
    again = Report.load(tmp_path / "report.npz")
    assert str(again) == str(plain) and again.indicators == plain.indicators
    pandas.testing.assert_frame_equal(again.table(), plain.table())
    content = bytearray((tmp_path / "report.npz").read_bytes())
    content[100] ^= 1
    (tmp_path / "report.npz").write_bytes(content)
    refused("is no report that can be read", Report.load, tmp_path / "report.npz")
    refused("is a folder; give a file in it", plain.save, tmp_path)


def test_a_level_that_is_none_is_told(plain):
    for eps in (0.3, "0.05"):
        refused("no level of eps .*; choose one of", plain.held, eps)


def test_an_interrupted_evaluation_goes_on(tmp_path, plain):
    asked = []

    def stop(text, share):
        asked.append(text)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(folder=tmp_path, progress=stop)
    more = []
    report = evaluate(folder=tmp_path, progress=lambda text, share: more.append(text))
    assert more == ["apgd-margin, eps 0.2", "fmn, eps 0.2", "done"]
    np.testing.assert_array_equal(report.breaker, plain.breaker)
    np.testing.assert_array_equal(report.logits, plain.logits)
    refused("keeps another evaluation", evaluate, folder=tmp_path, eps=0.3)


def test_a_network_whose_gradient_was_mended_is_evaluated_anew(tmp_path, plain):
    hidden = evaluate(lambda x: Flat()(x.detach()), folder=tmp_path)
    assert "did not run" in str(hidden) and hidden.held(EPS[1]).all()
    np.testing.assert_array_equal(evaluate(folder=tmp_path).breaker, plain.breaker)


def test_what_another_function_of_the_name_found_is_not_taken_over(tmp_path):
    def mine(steps):
        return {"attacks": [("mine", partial(apgd, steps=steps))], "folder": tmp_path / "a"}

    first = evaluate(**mine(5))
    np.testing.assert_array_equal(evaluate(**mine(5)).breaker, first.breaker)
    refused("keeps another evaluation", evaluate, **mine(6))
    still = {"attacks": [("mine", lambda model, x, *_, **__: x)], "folder": tmp_path / "b"}
    evaluate(**still)
    still["attacks"] = [("mine", lambda model, x, *_, **__: x + 0.01)]
    refused("keeps another evaluation", evaluate, **still)
    other = Flat()
    other.head.weight.data *= -1
    given = {"attacks": QUICK[:1], "folder": tmp_path / "c"}
    evaluate(surrogates=[Flat()], **given)
    evaluate(surrogates=[Flat()], **given)
    refused("keeps another evaluation", evaluate, surrogates=[other], **given)


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(20), nn.Dropout(), nn.Linear(20, 3))
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(network, y=torch.zeros(40).long(), eps=0.1)
    assert [m.training for m in network] == [True, True, False, True]
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_network_that_writes_to_its_input_is_measured_as_one_that_does_not():
    def writing(x):
        x *= 3
        return Flat()(x)

    report, pure = evaluate(writing), evaluate(lambda x: Flat()(3 * x))
    np.testing.assert_array_equal(report.breaker, pure.breaker)
    np.testing.assert_array_equal(report.smallest, pure.smallest)


def test_a_network_made_in_inference_mode_is_told():
    with torch.inference_mode():
        network = Flat()
    refused("the network was made in torch.inference_mode", evaluate, network)


def test_recurrent_networks_are_attacked_without_cudnn():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.used = nn.GRU(1, 3, batch_first=True), []

        def forward(self, x):
            self.used.append(torch.backends.cudnn.enabled)
            return self.rnn(x.mT)[1][0]

    network = Recurrent()
    before = torch.backends.cudnn.enabled
    attacks.fgsm(network, X, Y, Threat(0.1))
    assert not any(network.used) and torch.backends.cudnn.enabled == before


def test_no_more_examples_than_a_batch_pass_at_once():
    sizes = []

    def watched(x):
        sizes.append(len(x))
        return Flat()(x)

    report = evaluate(watched, eps=0.2, batch_size=7)
    assert max(sizes) == 7 and {i.n_examples for i in report.indicators} == {7, 40}


def test_surrogates_lend_their_gradients():
    """The network shows none of its own."""
    report = evaluate(lambda x: Flat()(x).detach(), attacks=QUICK[:1], surrogates=[Flat()], eps=0.2)
    assert report.attacks == ["apgd-margin", "transfer-1"]
    np.testing.assert_array_equal(report.held(0.2), distances() > 0.2)
    assert "apgd-margin did not run" in str(report) and (report.flags[0] == 255).all()
    names = {indicator.name for indicator in report.failed}
    assert {"only attacks without gradients break", "zero gradients (margin)"} <= names


def test_the_card_says_it_in_words(plain):
    text = str(plain)
    assert text.startswith("100.0 % (100.0 to 100.0) of 40 examples are read right")
    assert "checks of the attack passed" in text and "µV" not in text
    assert repr(plain) == text == str(evaluate())
    report = evaluate(unit="mV", groups=np.arange(40) // 4, attacks=[("<mine>", fgsm)])
    page = report._repr_html_()
    assert "&lt;mine&gt;" in page and "<mine>" not in page
    assert "(50 µV)" in page and "bootstrap over groups" in page


def test_the_card_of_own_budgets_says_their_voltage():
    """Per example: the budgets themselves in microvolts; per lead there is no one voltage."""
    each = np.linspace(0.05, 0.15, 40).reshape(40, 1, 1)
    report = evaluate(eps=each, unit="mV", attacks=[("fgsm", fgsm)])
    np.testing.assert_allclose(report.microvolts, 1000 * each[:, 0, 0], rtol=1e-6)
    assert "eps: each one's own, 0.05 to 0.15 mV (median 100 µV)" in str(report)
    two = torch.cat([X, X], dim=1)
    leads = torch.tensor([0.1, 0.0]).view(1, 2, 1)
    report = evaluate(lambda x: Flat()(x[:, :1]), two, eps=leads, unit="mV", attacks=[fgsm])
    assert np.isnan(report.microvolts).all()
    assert "eps: each one's own, 0 to 0.1 mV\n" in str(report)
