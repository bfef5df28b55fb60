"""The two beat networks against plain references, and stacked against side by side."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ecgadv.errors import EcgadvError
from ecgadv.models import BeatCNN, BeatMLP, build, forward
from ecgadv.models.stacking import stack, unstack

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}


def beats(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def network(kind, *, seed=0, dtype=torch.float64, **options):
    """A network with biases other than zero, which a forgotten bias would not survive."""
    torch.manual_seed(seed)
    model = kind(**options)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    return model.to(dtype)


def reference_cnn(state, x):
    """The network of PROTOCOLS 3.2 with one-dimensional operations; also the lengths on its way."""
    h = F.conv1d(x, state["stem.weight"], state["stem.bias"], padding=2)
    lengths = [h.shape[-1]]
    for block in range(5):
        first, second = f"blocks.{block}.conv1", f"blocks.{block}.conv2"
        u = F.relu(F.conv1d(h, state[f"{first}.weight"], state[f"{first}.bias"], padding=2))
        u = F.conv1d(u, state[f"{second}.weight"], state[f"{second}.bias"], padding=2)
        h = F.max_pool1d(F.relu(u + h), 5, stride=2)
        lengths.append(h.shape[-1])
    u = F.relu(F.linear(h.flatten(1), state["hidden.weight"], state["hidden.bias"]))
    return F.linear(u, state["output.weight"], state["output.bias"]), lengths


def leaves(model):
    return {k: v.detach().clone().requires_grad_() for k, v in model.state_dict().items()}


def gradients(logits, inputs):
    """Gradients of a sum of the logits that treats no two of them alike."""
    weights = torch.linspace(-1, 2, logits.numel(), dtype=logits.dtype).view_as(logits)
    return torch.autograd.grad((weights * logits).sum(), inputs)


@pytest.mark.parametrize(("kind", "count"), [(BeatMLP, 61_381), (BeatCNN, 53_957)])
def test_parameter_counts_of_the_paper(kind, count):
    assert sum(p.numel() for p in kind().parameters()) == count


def test_lengths_of_the_paper():
    model = network(BeatCNN)
    _, lengths = reference_cnn(model.state_dict(), beats(1, 1, 187))
    assert lengths == [187, 92, 44, 20, 8, 2]
    assert model.hidden.in_features == 32 * 2


@pytest.mark.parametrize("batch", [1, 3, 20])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cnn_equals_plain_convolutions(dtype, batch):
    model, x = network(BeatCNN, dtype=dtype), beats(batch, 1, 187, dtype=dtype)
    state = leaves(model)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, (theirs, _) = model(x_ours), reference_cnn(state, x_theirs)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    torch.testing.assert_close(ours, theirs, **close)
    found = gradients(ours, [x_ours, *model.parameters()])
    wanted = gradients(theirs, [x_theirs, *(state[n] for n, _ in model.named_parameters())])
    for mine, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine / other.abs().max(), other / other.abs().max(), **close)


def test_cnn_with_fixed_parameters_equals_plain_convolutions():
    model, x = network(BeatCNN).requires_grad_(False), beats(20, 1, 187)
    x_ours, x_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, (theirs, _) = model(x_ours), reference_cnn(model.state_dict(), x_theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients(ours, x_ours), gradients(theirs, x_theirs))


def test_narrow_cnn_for_other_beats():
    model = network(BeatCNN, length=160, classes=3, width=4)
    x = beats(2, 1, 160)
    torch.testing.assert_close(model(x), reference_cnn(model.state_dict(), x)[0])


def test_mlp_equals_matrix_products():
    model, x = network(BeatMLP), beats(4, 1, 187)
    state = {k: v.numpy() for k, v in model.state_dict().items()}
    h = x.numpy().reshape(4, 187)
    for layer in range(5):
        h = h @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
        if layer < 3:  # none between the layer of 32 and the output
            h = np.where(h > 0, h, 0)
    np.testing.assert_allclose(model(x).detach().numpy(), h, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [BeatMLP, BeatCNN])
@pytest.mark.parametrize("fixed", [False, True], ids=["trained", "attacked"])
def test_stacked_equals_each_alone(kind, fixed):
    models = [network(kind, seed=seed, width=6) for seed in range(3)]
    stacked = stack(models)
    for model in (*models, stacked):
        model.requires_grad_(not fixed)
    x = beats(3, 4, 1, 187)
    together = x.clone().requires_grad_()
    logits = stacked(together)
    assert logits.shape == (3, 4, 5)
    inputs = [together] if fixed else [together, *stacked.parameters()]
    own = gradients(logits, inputs)
    singles = [part.clone().requires_grad_() for part in x]
    parts = torch.stack([model(part) for model, part in zip(models, singles, strict=True)])
    torch.testing.assert_close(logits, parts)
    others = gradients(parts, [*singles, *(p for m in models if not fixed for p in m.parameters())])
    torch.testing.assert_close(own[0], torch.stack(others[:3]))
    if not fixed:
        count = len(list(models[0].parameters()))
        for index in range(count):
            each = torch.stack([others[3 + seed * count + index] for seed in range(3)])
            torch.testing.assert_close(own[1 + index], each)


@pytest.mark.parametrize("kind", [BeatMLP, BeatCNN])
def test_stacking_and_back_changes_no_bit_and_shares_no_memory(kind):
    models = [network(kind, seed=seed, width=6) for seed in range(2)]
    before = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    stacked = stack(models)
    assert list(stacked.state_dict()) == list(before[0])
    back = unstack(stacked)
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter.zero_()
    for state, model, single in zip(before, models, back, strict=True):
        assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
        assert all(torch.equal(state[k], v) for k, v in single.state_dict().items())
        assert single(beats(2, 1, 187)).shape == (2, 5)


def test_networks_by_name():
    assert isinstance(build("beat-cnn", width=4), BeatCNN)
    assert build("beat-mlp", length=20, classes=2)(torch.zeros(3, 1, 20)).shape == (3, 2)
    with pytest.raises(EcgadvError, match=r"unknown model 'resnet'; choose one of beat-cnn, beat-"):
        build("resnet")


def test_only_a_network_that_uses_masks_gets_one():
    class Masked(torch.nn.Module):
        uses_mask = True

        def forward(self, x, mask=None):
            return (x * mask).sum(-1).expand(-1, 2)

    x, mask = torch.ones(2, 1, 4), torch.tensor([True, True, False, False])
    assert forward(Masked(), x, mask).tolist() == [[2.0, 2.0]] * 2
    assert forward(lambda x: x.sum(-1).expand(-1, 2), x, mask).tolist() == [[4.0, 4.0]] * 2
