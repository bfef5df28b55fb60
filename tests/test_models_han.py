"""Han's network: its size, the length of every block, and equality with plain one-dim layers."""

import pytest
import torch
from torch import nn

from ecgadv import models
from ecgadv.errors import EcgadvError

# PROTOCOLS 2.2: in, out, kernel, dilation, padding, pool, length after (of 9,000).
TABLE = (
    (1, 320, 24, 1, 11, True, 4500),
    (320, 256, 16, 2, 15, False, 4500),
    (256, 256, 16, 4, 30, False, 4500),
    (256, 256, 16, 4, 30, False, 4500),
    (256, 256, 16, 4, 30, False, 4500),
    (256, 128, 8, 4, 14, True, 2250),
    (128, 128, 8, 6, 21, False, 2250),
    (128, 128, 8, 6, 21, False, 2250),
    (128, 128, 8, 6, 21, False, 2250),
    (128, 128, 8, 6, 21, False, 2250),
    (128, 128, 8, 8, 28, True, 1125),
    (128, 64, 8, 8, 28, False, 1125),
    (64, 64, 8, 8, 28, False, 1125),
)


class Plain(nn.Module):
    """The table, drawn with the layers of torch, in the order in which the table has them."""

    def __init__(self, divisor=1):
        super().__init__()
        self.blocks = nn.ModuleList()
        for inputs, outputs, kernel, dilation, padding, pool, _ in TABLE:
            layers = {
                "conv": nn.Conv1d(
                    max(inputs // divisor, 1),
                    outputs // divisor,
                    kernel,
                    dilation=dilation,
                    padding=padding,
                ),
                "norm": nn.BatchNorm1d(outputs // divisor),
                "relu": nn.ReLU(),
            }
            if pool:
                layers["pool"] = nn.MaxPool1d(2, stride=2, padding=1, dilation=2)
            self.blocks.append(nn.ModuleDict(layers))
        self.output = nn.Linear(64 // divisor, 4)

    def forward(self, h):
        for block in self.blocks:
            for layer in block.values():
                h = layer(h)
        return self.output(h.mean(-1))


def pair(divisor=32):
    """(ours, plain) in float64 with one state, statistics that are not the initial ones."""
    torch.manual_seed(0)
    ours = models.build("han-cnn", width=1 / divisor, dropout=0.0).double()
    for name, value in ours.state_dict().items():
        if name.endswith(("running_var", "norm.weight")):
            value.uniform_(0.5, 2)
        elif name.endswith(("running_mean", "norm.bias")):
            value.normal_()
    plain = Plain(divisor).double()
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def counts(batch, length=300):
    return (300 * torch.randn(batch, 1, length, dtype=torch.float64)).round().requires_grad_()


def test_parameters():
    assert sum(p.numel() for p in models.build("han-cnn").parameters()) == 5_486_916
    assert sum(p.numel() for p in Plain().parameters()) == 5_486_916
    narrow = models.build("han-cnn", width=0.125, classes=3)
    assert [block.conv.out_channels for block in narrow.blocks] == [
        *(40, 32, 32, 32, 32, 16, 16, 16, 16, 16, 16, 8, 8)
    ]
    assert narrow(torch.zeros(2, 1, 50)).shape == (2, 3)


def test_layers_and_lengths_are_those_of_the_table():
    network = models.build("han-cnn")
    for block, row in zip(network.blocks, TABLE, strict=True):
        conv = block.conv
        found = (conv.in_channels, conv.out_channels, *conv.kernel_size, *conv.dilation)
        assert (*found, *conv.padding, block.pool) == row[:6]
        assert block.dropout == 0.3
    narrow, lengths = models.build("han-cnn", width=1 / 64).eval(), []
    for block in narrow.blocks:
        block.register_forward_hook(lambda block, x, h: lengths.append(h.shape[-1]))
    assert narrow(torch.zeros(1, 1, 9000)).shape == (1, 4)
    assert lengths == [row[-1] for row in TABLE]


@pytest.mark.parametrize("training", [False, True])
def test_logits_gradients_and_statistics_are_those_of_plain_layers(training):
    ours, plain = pair()
    ours.train(training), plain.train(training)
    x, weight = counts(4, length=301), torch.randn(4, 4, dtype=torch.float64)
    logits, expected = ours(x), plain(x)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    gradients = torch.autograd.grad(logits, [x, *ours.parameters()], weight)
    theirs = torch.autograd.grad(expected, [x, *plain.parameters()], weight)
    for gradient, wanted in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-7, atol=1e-9)
    assert ours.state_dict().keys() == plain.state_dict().keys()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-9, atol=1e-9)


def test_single_precision_is_as_close_as_that_of_plain_layers():
    ours, plain = pair()
    x = counts(4).detach()
    with torch.no_grad():
        ours(x), ours.eval()  # statistics of such an input
        plain.load_state_dict(ours.state_dict()), plain.eval()
        exact = plain(x)
        error, theirs = (
            (network.float()(x.float()) - exact).abs().max() for network in (ours, plain)
        )
    assert error < 2 * theirs + 1e-6


def test_only_odd_samples_leave_a_pooled_block():
    torch.manual_seed(0)
    pooled = models.build("han-cnn", width=1 / 64).blocks[0].eval()
    x = torch.randn(1, 1, 1, 24)  # 23 samples after the convolution
    with torch.no_grad():
        found = pooled(x)
        inner = pooled.norm(pooled.conv(x.squeeze(2)).unsqueeze(2)).relu()[0, :, 0]
    padded = torch.nn.functional.pad(inner[:, 1::2], (1, 1), value=-torch.inf)
    torch.testing.assert_close(found[0, :, 0], torch.maximum(padded[:, :-1], padded[:, 1:]))


def test_dropout_falls_in_training_alone():
    torch.manual_seed(0)
    network, x = models.build("han-cnn", width=1 / 64), torch.randn(2, 1, 100)
    assert not torch.equal(network(x), network(x))
    network.eval()
    torch.testing.assert_close(network(x), network(x), rtol=0, atol=0)
    block, x = models.build("han-cnn", width=1 / 16).blocks[0], torch.randn(2, 1, 1, 1000)
    dropped = block(x)
    block.dropout = 0.0
    whole = block(x)
    kept = dropped > 0
    torch.testing.assert_close(dropped[kept], whole[kept] / 0.7)
    assert kept.sum() / (whole > 0).sum() == pytest.approx(0.7, abs=0.02)


def test_the_mean_takes_the_padding_in():
    ours, _ = pair(64)
    ours.eval()
    x = counts(1).detach()
    wider = nn.functional.pad(x, (300, 300))
    assert not torch.allclose(ours(x), ours(wider))
    assert torch.equal(models.forward(ours, x, torch.ones_like(x, dtype=torch.bool)), ours(x))


@pytest.mark.parametrize("width", [0, -1.0, 0.3, 1 / 128])
def test_a_width_without_whole_channels_is_refused(width):
    with pytest.raises(EcgadvError, match="does not give whole numbers of channels: use a multi"):
        models.build("han-cnn", width=width)


def test_no_block_has_fewer_channels_than_fewest():
    network = models.build("han-cnn", width=1 / 16, fewest=16)
    assert [block.conv.out_channels for block in network.blocks] == [20, *[16] * 12]
    assert [block.conv.in_channels for block in network.blocks] == [1, 20, *[16] * 11]
    assert network.output.in_features == 16
    same = models.build("han-cnn", width=1 / 64, fewest=1)
    assert [block.conv.out_channels for block in same.blocks] == [
        *(5, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1)
    ]


@pytest.mark.parametrize("length", [300, 305])
def test_decimation_averages_consecutive_samples(length):
    plain, _ = pair(16)
    network = models.build("han-cnn", width=1 / 16, dropout=0.0, decimate=6).double()
    network.load_state_dict(plain.state_dict())
    plain.eval(), network.eval()
    x = counts(3, length=length)
    wanted = x[..., : length // 6 * 6].reshape(3, 1, -1, 6).mean(-1)  # a rest is left out
    torch.testing.assert_close(network(x), plain(wanted), rtol=1e-10, atol=1e-10)
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    groups = gradient[..., : length // 6 * 6].reshape(3, 50, 6)
    assert (groups - groups[..., :1]).abs().max() == 0
    assert (groups != 0).any()
    assert (gradient[..., length // 6 * 6 :] == 0).all()


@pytest.mark.parametrize("option", [{"fewest": 0}, {"decimate": 0}, {"decimate": -6}])
def test_fewest_and_decimate_are_at_least_one(option):
    with pytest.raises(EcgadvError, match=r"^fewest -?\d and decimate -?\d: both are at least 1$"):
        models.build("han-cnn", width=1 / 64, **option)
