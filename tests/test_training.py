"""The training loop: order of the samples, steps, resuming, the deadline, failures."""

from dataclasses import replace
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
from ecgadv.training import OutOfTime, Samples, Schedule, epoch_order, one_cycle, train

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


def test_copies_are_the_oversampling_of_paper_a():
    members = (4567, 674, 2186, 248)  # N, AF, O and noise in Han's training part (PROTOCOLS 2.1)
    y = np.repeat(np.arange(4), members)
    schedule = Schedule(sampler="natural", copies=[1, 2, 1, 6])
    order = epoch_order(y, schedule, seed=0, epoch=0)
    assert len(order) == 9589
    assert np.bincount(y[order]).tolist() == [4567, 1348, 2186, 1488]
    assert np.array_equal(np.bincount(order), np.repeat([1, 2, 1, 6], members))
    assert (np.diff(y[order]) < 0).sum() > 1000  # shuffled
    assert not np.array_equal(order, epoch_order(y, schedule, seed=0, epoch=1))


def test_copies_must_be_given_for_each_class():
    schedule = Schedule(sampler="natural", copies=(1, 2))
    with pytest.raises(EcgadvError, match=r"^copies \(1, 2\) for labels up to 2; give one number"):
        epoch_order(samples().y.numpy(), schedule, 0, 0)


@pytest.mark.parametrize("sampler", training.SAMPLERS)
def test_share_of_an_epoch_is_its_beginning(sampler):
    y = samples().y.numpy()
    whole = epoch_order(y, Schedule(sampler=sampler), 3, 2)
    for wanted in (1, 15, 15.3, 15.7):
        schedule = Schedule(sampler=sampler, epoch_share=wanted / len(whole))
        part = epoch_order(y, schedule, 3, 2)
        assert len(part) == round(wanted)
        assert np.array_equal(part, whole[: len(part)])
    assert len(epoch_order(y, Schedule(sampler=sampler, epoch_share=1e-9), 3, 2)) == 1


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
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; choose adamax or adam"),
        ({"rate": "cosine"}, "unknown rate 'cosine'; choose constant or one-cycle"),
        ({"keep": "first"}, "unknown keep 'first'; choose last or best"),
        ({"precision": "fp16"}, "unknown precision 'fp16'; choose fp32 or tf32 or bf16"),
        ({"copies": (1, 2)}, r"copies \(1, 2\) with sampler 'class-balanced'; give at least 1 for"),
        ({"copies": (1, 0), "sampler": "natural"}, r"copies \(1, 0\) with sampler 'natural'"),
        ({"epochs": 5, "warmup": 5}, "warmup is 5; give 0 to 4 epochs"),
        ({"warmup": -1}, "warmup is -1; give 0 to 49 epochs"),
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


def test_adam_steps_are_those_of_torch():
    part = samples(dtype=torch.float64)
    schedule = Schedule(
        epochs=2, batch_size=20, learning_rate=0.01, optimizer="adam", sampler="natural"
    )
    found, model = [], mlp(0, torch.float64)
    run(model, schedule, part=part, on_epoch=lambda line: found.append(state(model)))
    plain = mlp(0, torch.float64)
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01, foreach=False)
    for epoch in range(2):
        order = torch.from_numpy(epoch_order(part.y.numpy(), schedule, 0, epoch))
        for index in order.split(20):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(plain(part.x[index]), part.y[index]).backward()
            optimizer.step()
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(found[epoch][name], value, rtol=1e-10, atol=1e-12)


def test_one_cycle_is_that_of_torch():
    steps = 2000
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=steps, pct_start=0.3, div_factor=25, final_div_factor=1e12,
        cycle_momentum=False,
    )  # fmt: skip
    theirs = []
    for _ in range(steps):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ours = [one_cycle(step / steps) for step in range(steps)]
    # torch's parts end one step earlier, and the steepest step is 0.96 * pi / 2 / 600.
    np.testing.assert_allclose(ours, theirs, atol=2.6e-3)
    assert one_cycle(0.0) == pytest.approx(1 / 25)
    assert one_cycle(0.15) == pytest.approx((1 / 25 + 1) / 2)
    assert one_cycle(0.3) == pytest.approx(1)
    assert one_cycle(0.65) == pytest.approx(0.5)
    assert one_cycle(1.0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rate", training.RATES)
def test_the_rate_of_each_step(rate, monkeypatch):
    rates = []

    class Recording(torch.optim.SGD):
        def step(self):
            rates.append(self.param_groups[0]["lr"])
            super().step()

    monkeypatch.setitem(training.OPTIMIZERS, "adam", Recording)
    schedule = Schedule(
        epochs=2, batch_size=20, learning_rate=0.2, optimizer="adam", rate=rate, sampler="natural"
    )
    run(mlp(0), schedule)
    shares = [one_cycle(step / 6) for step in range(6)] if rate == "one-cycle" else [1] * 6
    assert rates == pytest.approx([0.2 * share for share in shares])


def test_the_decay_is_the_same_at_every_rate():
    """Without a gradient |p| + 1 shrinks by the same factor in each step, as p - a (sign p + p)."""
    model = torch.nn.Module()
    start = torch.tensor([1.5, -0.7, 0.0], dtype=torch.float64)
    model.p = torch.nn.Parameter(start.clone())
    schedule = Schedule(
        epochs=2, batch_size=20, learning_rate=0.1, rate="one-cycle", sampler="natural", decay=0.2
    )
    run(model, schedule, loss=lambda model, x, y, mask: 0 * model.p.sum())
    wanted = start.sign() * ((start.abs() + 1) * (1 - 0.1 * 0.2) ** 6 - 1)
    torch.testing.assert_close(model.p.detach(), wanted)


def test_soft_labels_follow_their_samples():
    part = samples(20)
    soft = torch.rand(20, CLASSES, generator=torch.Generator().manual_seed(0))
    seen = []

    def loss(model, x, y, mask):
        seen.append(y)
        return cross_entropy.loss(model, x, y)

    schedule = Schedule(epochs=1, batch_size=8, sampler="natural", copies=(2, 1, 1))
    run(mlp(0), schedule, loss=loss, part=Samples(part.x, part.y, soft=soft))
    order = torch.from_numpy(epoch_order(part.y.numpy(), schedule, 0, 0))
    assert len(order) > 20
    assert torch.equal(torch.cat(seen), soft[order])


def test_the_warmup_loss_rules_the_first_epochs_alone(tmp_path):
    called = []

    def named(name):
        def loss(model, x, y, mask):
            called.append(name)
            return cross_entropy.loss(model, x, y)

        return loss

    schedule = Schedule(epochs=4, batch_size=20, sampler="natural", warmup=2)

    def go(**options):
        run(mlp(0), schedule, loss=named("loss"), warmup_loss=named("warmup"), **options)

    go()
    wanted = ["warmup"] * 6 + ["loss"] * 6
    assert called == wanted
    for last in range(1, 4):
        called.clear()
        checkpoint = tmp_path / f"{last}.pt"
        with pytest.raises(StopError):
            go(checkpoint=checkpoint, on_epoch=stop_after(last))
        go(checkpoint=checkpoint)
        assert called == wanted


def test_precision_is_that_of_the_arithmetic_and_not_of_the_weights():
    found = {}
    for precision in ("fp32", "tf32", "bf16"):
        model = mlp(0)
        run(model, Schedule(epochs=1, learning_rate=0.01, precision=precision))
        found[precision] = state(model)
        assert all(value.dtype == torch.float32 for value in found[precision].values())
    assert equal(found["fp32"], found["tf32"])  # which a CPU does not have
    assert not equal(found["fp32"], found["bf16"])
    for name, value in found["fp32"].items():
        torch.testing.assert_close(found["bf16"][name], value, atol=0.1, rtol=0)


def test_kernels_have_unit_norm_at_the_start_of_every_batch_if_asked():
    for normalize in (True, False):
        seen = []

        def loss(model, x, y, mask, seen=seen):
            norms = [layer.weight.detach().norm(dim=1) for layer in model.normalized_layers()]
            seen.append(torch.cat(norms))
            return cross_entropy.loss(model, x, y)

        model, schedule = mlp(0), Schedule(epochs=1, batch_size=16, learning_rate=0.05)
        run(model, replace(schedule, normalize=normalize), loss=loss)
        assert len(seen) > 2
        away = max((norms - 1).abs().max() for norms in seen)
        assert away < 1e-5 if normalize else away > 0.01
        # The network that is evaluated has made its last step: its norms are as that left them.
        assert (model.layers[0].weight.norm(dim=1) - 1).abs().max() > 1e-3


def test_dead_kernels_are_redrawn_between_epochs_and_never_after_the_last():
    for redraw, epochs in ((False, 3), (True, 3), (True, 1)):
        model = mlp(0)
        with torch.no_grad():
            model.layers[0].bias[3] = -1e6
        kernel = model.layers[0].weight[3].clone()
        history = run(model, Schedule(epochs=epochs, redraw_dead=redraw))
        assert history[-1]["redrawn"] == 0
        revived = redraw and epochs > 1
        assert (history[0]["redrawn"] > 0) == revived
        assert (model.layers[0].bias[3] > -1e5) == revived
        assert torch.equal(model.layers[0].weight[3], kernel) != revived


def test_the_best_epoch_is_kept_as_it_was_validated():
    model, values = mlp(0), iter([0.9, 0.5])
    with torch.no_grad():
        model.layers[0].bias[3] = -1e6
    schedule = Schedule(epochs=2, redraw_dead=True, keep="best")
    run(model, schedule, validate=lambda model: next(values))
    assert model.layers[0].bias[3] < -1e5  # the first epoch won, before its dead kernel was drawn


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


def stop_after(last):
    def stop(line):
        if line["epoch"] == last:
            raise StopError

    return stop


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
        with pytest.raises(StopError):
            go(make(count), checkpoint=checkpoint, on_epoch=stop_after(last))
        resumed = make(count, first_seed=50)  # other weights: all must come from the checkpoint
        again = go(resumed, checkpoint=checkpoint)
        assert equal(state(whole), state(resumed)), last
        shown = [{k: v for k, v in line.items() if k != "seconds"} for line in again]
        assert shown == [{k: v for k, v in line.items() if k != "seconds"} for line in history]
    assert [path.name for path in sorted(tmp_path.glob("*.part"))] == []
    if schedule.redraw_dead:
        assert sum(line["redrawn"] for line in history) > 0


class Dropping(torch.nn.Module):
    """It draws from torch's global generator, and batch norm has a state that no step makes."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = torch.nn.Linear(LENGTH, 8), torch.nn.Linear(8, CLASSES)
        self.norm, self.dropped = torch.nn.BatchNorm1d(8), []

    def forward(self, x):
        hidden = torch.nn.functional.dropout(self.norm(self.first(x[:, 0])), 0.5, self.training)
        self.dropped.append(hidden == 0)
        return self.last(hidden)


def test_resuming_with_dropout_leaves_the_global_generator_alone(tmp_path):
    schedule = Schedule(
        epochs=3, optimizer="adam", rate="one-cycle", sampler="natural", batch_size=20
    )
    whole = Dropping(0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    run(whole, schedule)
    assert torch.equal(torch.get_rng_state(), before)
    drops = [tuple(mask.flatten().tolist()) for mask in whole.dropped]
    assert len(set(drops)) == 9  # an epoch does not repeat the last one's
    for last in range(1, 4):
        checkpoint = tmp_path / f"{last}.pt"
        torch.manual_seed(10 + last)  # nothing hangs on it
        with pytest.raises(StopError):
            run(Dropping(0), schedule, checkpoint=checkpoint, on_epoch=stop_after(last))
        resumed = Dropping(50)
        torch.manual_seed(20 + last)
        before = torch.get_rng_state()
        run(resumed, schedule, checkpoint=checkpoint)
        assert torch.equal(torch.get_rng_state(), before)
        assert equal(state(resumed), state(whole))
    other = Dropping(0)
    run(other, schedule, seeds=[1])
    assert not torch.equal(other.dropped[0], whole.dropped[0])


@pytest.mark.parametrize(
    ("values", "best"),
    [((0.3, 0.7, 0.5, 0.7), 2), ((0.1, 0.2, 0.3, 0.4), 4), ((0.5, 0.5, 0.5, 0.5), 1)],
)
def test_the_first_best_epoch_is_kept_also_after_resuming(values, best, tmp_path):
    schedule = Schedule(epochs=4, learning_rate=0.01, keep="best")

    def go(model, *, after=0, **options):
        scores, seen = iter(values[after:]), []

        def validate(validated):
            assert validated is model
            seen.append(state(model))
            return next(scores)

        return seen, run(model, schedule, validate=validate, **options)

    whole = mlp(0)
    seen, history = go(whole)
    assert [line["validation"] for line in history] == list(values)
    assert equal(state(whole), seen[best - 1])
    assert not any(equal(state(whole), s) for n, s in enumerate(seen) if n != best - 1)
    for last in range(1, 5):
        checkpoint = tmp_path / f"{last}.pt"
        with pytest.raises(StopError):
            go(mlp(0), checkpoint=checkpoint, on_epoch=stop_after(last))
        resumed = mlp(50)
        _, again = go(resumed, after=last, checkpoint=checkpoint)
        assert equal(state(resumed), state(whole)), last
        assert [line["validation"] for line in again] == list(values)


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
    with pytest.raises(EcgadvError, match=r"^checkpoint .*abc\.pt is damaged \(.*; delete it and"):
        run(mlp(0), Schedule(epochs=2), checkpoint=checkpoint)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint = tmp_path / "c.pt"

    def fill_the_disk(line):
        if line["epoch"] == 2:
            (tmp_path / "c.pt.part").symlink_to("/dev/full")

    with pytest.raises(EcgadvError, match=f"^no space left under {tmp_path}; free some and run"):
        run(mlp(0), Schedule(epochs=4), checkpoint=checkpoint, on_epoch=fill_the_disk)
    assert len(torch.load(checkpoint, weights_only=True)["history"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]
