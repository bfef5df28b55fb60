"""The training loop: order of the samples, steps, resuming, the deadline, failures."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ecgadv import attacks, training
from ecgadv.defenses import adversarial, cross_entropy, nsr
from ecgadv.errors import EcgadvError
from ecgadv.models import BeatCNN, BeatMLP
from ecgadv.models.stacking import stack, unstack
from ecgadv.threat import Threat
from ecgadv.training import OutOfTime, Samples, Schedule, epoch_order, train

LENGTH, CLASSES = 12, 3


def samples(n=50, *, dtype=torch.float32, length=LENGTH):
    generator = torch.Generator().manual_seed(9)
    y = torch.randint(CLASSES, (n,), generator=generator)
    x = torch.randn(n, 1, length, dtype=dtype, generator=generator) + y[:, None, None]
    return Samples(x, y)


def mlp(seed, dtype=torch.float32):
    torch.manual_seed(seed)
    return BeatMLP(length=LENGTH, classes=CLASSES, width=8).to(dtype)


def state(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def run(model, schedule, *, loss=cross_entropy.loss, seeds=(0,), part=None, **options):
    generator = options.pop("generator", None) or torch.Generator()
    part = part or samples()
    return train(model, loss, part, schedule, seeds=seeds, generator=generator, **options)


# The order of the samples


def test_class_balanced_order_counts_interleaves_and_tiles():
    y = np.array([0] * 10 + [1] * 4 + [2] * 1)
    order = epoch_order(y, Schedule(), seed=0, epoch=0)
    assert len(order) == 3 * 10
    # Classes take turns, so every batch of a multiple of three holds them in equal parts.
    assert (y[order].reshape(-1, 3) == [0, 1, 2]).all()
    drawn = np.bincount(order, minlength=15)
    assert (drawn[:10] == 1).all()
    assert sorted(drawn[10:14]) == [2, 2, 3, 3]  # 4 samples tiled to 10
    assert drawn[14] == 10


def test_order_depends_on_seed_and_epoch_alone():
    y = samples().y.numpy()
    first = epoch_order(y, Schedule(), 0, 0)
    assert np.array_equal(first, epoch_order(y, Schedule(), 0, 0))
    others = [epoch_order(y, Schedule(), *which) for which in ((1, 0), (0, 1), (1, 1))]
    assert len({tuple(order) for order in [first, *others]}) == 4
    y_missing_a_class = np.where(y == 1, 2, y)
    assert set(y_missing_a_class[epoch_order(y_missing_a_class, Schedule(), 0, 0)]) == {0, 2}


def test_natural_order_is_a_permutation():
    order = epoch_order(samples().y.numpy(), Schedule(sampler="natural"), 0, 0)
    assert sorted(order) == list(range(50))
    assert list(order) != list(range(50))


@pytest.mark.parametrize("sampler", training.SAMPLERS)
def test_share_of_an_epoch_is_its_beginning(sampler):
    y = samples().y.numpy()
    whole = epoch_order(y, Schedule(sampler=sampler), 3, 2)
    for share in (0.3, 1e-9):
        part = epoch_order(y, Schedule(sampler=sampler, epoch_share=share), 3, 2)
        assert len(part) == max(1, round(share * len(whole)))
        assert np.array_equal(part, whole[: len(part)])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"sampler": "random"}, "unknown sampler 'random'; choose class-balanced or natural"),
        ({"epoch_share": 0.0}, "epoch_share is 0.0; give a share above 0, up to 1"),
        ({"epoch_share": 1.5}, "epoch_share is 1.5; give a share above 0, up to 1"),
        ({"epoch_share": float("nan")}, "epoch_share is nan; give a share above 0, up to 1"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"steps_per_batch": 0}, "steps_per_batch is 0; it must be at least 1"),
    ],
)
def test_impossible_schedules_are_refused(option, message):
    with pytest.raises(EcgadvError, match=message):
        Schedule(**option)


# The steps


def adamax_by_hand(p, gradients, *, lr, decay=0.0, repeat=1, betas=(0.9, 0.999), eps=1e-8):
    """Adamax (Kingma & Ba, 2015, algorithm 2) in numpy, with paper B's decays before each step.

    Args:
        gradients: called with the parameters of the moment.
        repeat: steps made on one gradient.
    """
    m, u, t = np.zeros_like(p), np.zeros_like(p), 0
    for gradient in gradients:
        g = gradient(p)
        p = p - lr * decay * np.sign(p) - lr * decay * p
        for _ in range(repeat):
            t += 1
            m = betas[0] * m + (1 - betas[0]) * g
            u = np.maximum(betas[1] * u, np.abs(g) + eps)
            p = p - lr / (1 - betas[0] ** t) * m / u
    return p


@pytest.mark.parametrize(("decay", "repeat"), [(0.0, 1), (0.5, 1), (0.5, 2)])
def test_adamax_and_decay_by_hand(decay, repeat):
    class Cubic(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.p = torch.nn.Parameter(torch.tensor([1.5, -0.7, 0.0, 2.0], dtype=torch.float64))

    target = np.array([0.3, -1.0, 0.5, 4.0])
    model = Cubic()
    schedule = Schedule(
        epochs=2,
        batch_size=20,
        learning_rate=0.1,
        sampler="natural",
        decay=decay,
        steps_per_batch=repeat,
    )
    # 50 samples in batches of 20: three steps an epoch, on a loss that ignores them.
    run(
        model,
        schedule,
        loss=lambda model, x, y, mask: (model.p - torch.from_numpy(target)).pow(4).sum(),
    )
    wanted = adamax_by_hand(
        np.array([1.5, -0.7, 0.0, 2.0]),
        [lambda p: 4 * (p - target) ** 3] * 6,
        lr=0.1,
        decay=decay,
        repeat=repeat,
    )
    # sign(p) + p is subtracted at once, the authors subtract one after the other: lr^2 apart.
    tolerance = 1e-10 if decay == 0 else 6 * (0.1 * decay) ** 2
    np.testing.assert_allclose(model.p.detach().numpy(), wanted, atol=tolerance, rtol=0)


def test_kernels_have_unit_norm_after_every_step_if_asked():
    model = mlp(0)
    run(model, Schedule(epochs=1, batch_size=16, learning_rate=0.05, normalize=True))
    for layer in model.normalized_layers():
        torch.testing.assert_close(layer.weight.norm(dim=1), torch.ones(len(layer.weight)))
    free = mlp(0)
    run(free, Schedule(epochs=1, batch_size=16, learning_rate=0.05))
    assert (free.layers[0].weight.norm(dim=1) - 1).abs().max() > 0.01


def test_dead_kernels_are_redrawn_after_the_epoch_if_asked():
    for redraw in (False, True):
        model = mlp(0)
        with torch.no_grad():
            model.layers[0].bias[3] = -1e6
        history = run(model, Schedule(epochs=1, redraw_dead=redraw))
        assert (history[0]["redrawn"] > 0) == redraw
        assert (model.layers[0].bias[3] == 0) == redraw


def test_masks_and_labels_follow_their_samples():
    part = samples(20)
    mask = (torch.arange(LENGTH) < (torch.arange(20) % 5 + 3)[:, None])[:, None]
    seen = []

    def loss(model, x, y, mask):
        seen.append((x, y, mask))
        return cross_entropy.loss(model, x, y)

    schedule = Schedule(epochs=1, batch_size=8, sampler="natural")
    run(mlp(0), schedule, loss=loss, part=Samples(part.x, part.y, mask))
    order = torch.from_numpy(epoch_order(part.y.numpy(), schedule, 0, 0))
    for got, wanted in zip(zip(*seen, strict=True), (part.x, part.y, mask), strict=True):
        assert [len(batch) for batch in got] == [8, 8, 4]
        assert torch.equal(torch.cat(got), wanted[order])


def test_history_and_its_callback():
    lines = []
    history = run(mlp(0), Schedule(epochs=3, learning_rate=0.01), on_epoch=lines.append)
    assert lines == history
    assert [line["epoch"] for line in history] == [1, 2, 3]
    assert history[0]["loss"] > history[2]["loss"] > 0
    assert all(line.keys() == {"epoch", "loss", "redrawn", "seconds"} for line in history)


# Resuming


def at_loss(generator):
    attack = partial(
        attacks.pgd,
        threat=Threat(0.3),
        steps=2,
        step_size=0.2,
        generator=generator,
        keep="last",
    )
    return partial(adversarial.loss, attack=attack)


FAST = {"batch_size": 32, "learning_rate": 0.01}
CASES = {
    "plain": (1, Schedule(epochs=4, **FAST), lambda generator: cross_entropy.loss),
    "nsr": (1, Schedule(epochs=3, normalize=True, **FAST), lambda g: partial(nsr.loss, beta=0.4)),
    "stacked, adversarial": (
        2,
        Schedule(epochs=3, normalize=True, redraw_dead=True, decay=0.01, **FAST),
        at_loss,
    ),
}


def make(count, first_seed=0):
    models = [mlp(first_seed + seed) for seed in range(count)]
    with torch.no_grad():
        for model in models:
            model.layers[0].bias[2] = -1e6  # dead, so that redrawing draws something
    return stack(models) if count > 1 else models[0]


class StopError(Exception):
    pass


@pytest.mark.parametrize("case", CASES)
def test_resuming_after_any_epoch_is_not_stopping(case, tmp_path):
    count, schedule, loss = CASES[case]

    def go(model, **options):
        generator = torch.Generator()
        options |= {"loss": loss(generator), "generator": generator, "seeds": range(count)}
        return run(model, schedule, **options)

    whole = make(count)
    history = go(whole)
    for last in range(1, schedule.epochs + 1):
        checkpoint = tmp_path / f"{last}.pt"

        def stop(line, last=last):
            if line["epoch"] == last:
                raise StopError

        with pytest.raises(StopError):
            go(make(count), checkpoint=checkpoint, on_epoch=stop)
        resumed = make(count, first_seed=50)  # other weights: all must come from the checkpoint
        again = go(resumed, checkpoint=checkpoint)
        assert equal(state(whole), state(resumed)), last
        shown = [{k: v for k, v in line.items() if k != "seconds"} for line in again]
        assert shown == [{k: v for k, v in line.items() if k != "seconds"} for line in history]
    assert [path.name for path in sorted(tmp_path.glob("*.part"))] == []
    if schedule.redraw_dead:
        assert sum(line["redrawn"] for line in history) > 0


def test_same_seed_same_weights_and_another_seed_others():
    found = []
    for seed in (0, 0, 1):
        model = mlp(7)
        generator = torch.Generator()
        run(model, Schedule(epochs=2), seeds=[seed], loss=at_loss(generator), generator=generator)
        found.append(state(model))
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_seeds_side_by_side_train_as_each_alone(kind):
    part = samples(dtype=torch.float64, length=12 if kind == "mlp" else 160)
    schedule = Schedule(epochs=2, batch_size=64, learning_rate=0.01, normalize=True, decay=0.01)

    def make():
        if kind == "mlp":
            return [mlp(seed, torch.float64) for seed in range(3)]
        torch.manual_seed(0)
        return [BeatCNN(length=160, classes=CLASSES, width=3).double() for _ in range(2)]

    models = make()
    seeds = [4, 8, 15][: len(models)]
    alone = make()
    stacked = stack(models)
    history = run(stacked, schedule, seeds=seeds, part=part)
    losses = []
    for model, seed in zip(alone, seeds, strict=True):
        losses.append(run(model, schedule, seeds=[seed], part=part)[-1]["loss"])
    for single, model in zip(unstack(stacked), alone, strict=True):
        for name, value in single.state_dict().items():
            torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-7, atol=1e-9)
    assert history[-1]["loss"] == pytest.approx(np.mean(losses), rel=1e-6)


# Deadline and failures


def test_deadline_stops_between_epochs_and_the_next_call_goes_on(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(training, "time", clock)
    schedule, checkpoint, done = Schedule(epochs=4), tmp_path / "c.pt", []

    def tick(line):
        done.append(line["epoch"])
        clock.now += 10

    whole = mlp(0)
    run(whole, schedule)
    with pytest.raises(OutOfTime):
        run(mlp(0), schedule, checkpoint=checkpoint, deadline=99.0, on_epoch=tick)
    assert done == []
    with pytest.raises(OutOfTime):
        run(mlp(0), schedule, checkpoint=checkpoint, deadline=115.0, on_epoch=tick)
    assert done == [1, 2]
    model = mlp(1)
    run(model, schedule, checkpoint=checkpoint, deadline=1e9, on_epoch=tick)
    assert done == [1, 2, 3, 4]
    assert equal(state(model), state(whole))
    # When all epochs are done, a deadline that has passed stops nothing.
    assert len(run(mlp(2), schedule, checkpoint=checkpoint, deadline=0.0)) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_training(value, tmp_path):
    steps = []

    def loss(model, x, y, mask):
        steps.append(1)
        return cross_entropy.loss(model, x, y) * (value if len(steps) > 2 else 1)

    checkpoint = tmp_path / "c.pt"
    with pytest.raises(EcgadvError) as caught:
        run(mlp(0), Schedule(epochs=9, batch_size=500), seeds=[7], loss=loss, checkpoint=checkpoint)
    assert str(caught.value) == (
        f"the loss became {value} in epoch 3 of seeds [7]; "
        "lower learning_rate or the weight of the penalty"
    )
    held = torch.load(checkpoint, weights_only=True)
    assert len(held["history"]) == 2  # what was sound is kept
    assert all(v.isfinite().all() for v in held["model"].values())


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_damaged_checkpoint_is_told_in_one_line(damage, tmp_path):
    checkpoint = tmp_path / "abc.pt"
    run(mlp(0), Schedule(epochs=1), checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(
        {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage]
    )
    with pytest.raises(EcgadvError, match=r"^checkpoint abc\.pt is damaged; delete it and run"):
        run(mlp(0), Schedule(epochs=2), checkpoint=checkpoint)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint = tmp_path / "c.pt"

    def fill_the_disk(line):
        if line["epoch"] == 2:
            (tmp_path / "c.part").symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left"):
        run(mlp(0), Schedule(epochs=4), checkpoint=checkpoint, on_epoch=fill_the_disk)
    assert len(torch.load(checkpoint, weights_only=True)["history"]) == 2
