"""Cross-entropy and adversarial training against their formulas."""

import math

import pytest
import torch
from small import setting

from ecgadv.defenses import adversarial, cross_entropy
from ecgadv.models.stacking import stack


def mean_entropy(logits, y):
    total = 0.0
    for z, label in zip(logits.tolist(), y.tolist(), strict=True):
        total += math.log(sum(math.exp(value) for value in z)) - z[label]
    return total / len(y)


def test_cross_entropy_is_the_mean_over_samples():
    model, x, y = setting()
    wanted = mean_entropy(model(x), y)
    assert cross_entropy.loss(model, x, y).item() == pytest.approx(wanted, rel=1e-12)


def test_cross_entropy_of_seeds_side_by_side_is_the_sum_of_their_means():
    models, xs, ys = zip(*(setting(seed) for seed in range(3)), strict=True)
    together = cross_entropy.loss(stack(models), torch.stack(xs), torch.stack(ys))
    alone = sum(mean_entropy(m(x), y) for m, x, y in zip(models, xs, ys, strict=True))
    assert together.item() == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 0.5), (0.2, 0.7)])
def test_adversarial_loss_weighs_clean_and_attacked(weights):
    model, x, y = setting()
    before, mask, seen = x.clone(), torch.ones(5, 1, 8, dtype=torch.bool), []

    def attack(network, examples, labels, *, mask):
        seen.append((network, examples, labels, mask))
        return examples + 0.3

    found = adversarial.loss(
        model, x, y, mask, attack=attack, clean_weight=weights[0], adversarial_weight=weights[1]
    )
    wanted = weights[0] * mean_entropy(model(x), y) + weights[1] * mean_entropy(model(x + 0.3), y)
    assert found.item() == pytest.approx(wanted, rel=1e-12)
    ((network, examples, labels, given),) = seen
    assert network is model
    assert examples is x
    assert labels is y
    assert given is mask
    found.backward()
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_adversarial_weights_are_one_half_each_unless_given():
    model, x, y = setting()
    found = adversarial.loss(model, x, y, attack=lambda model, x, y, *, mask: -x)
    wanted = 0.5 * (mean_entropy(model(x), y) + mean_entropy(model(-x), y))
    assert found.item() == pytest.approx(wanted, rel=1e-12)


def test_kernels_come_to_unit_norm_between_the_attack_and_the_losses_if_asked():
    """As in the authors' script for the adversarial CNN (PROTOCOLS 3.4)."""
    for normalize in (False, True):
        model, x, y = setting()
        with torch.no_grad():
            model.layers[0].weight.mul_(3)
        crafted_at, judged_at = [], []

        def attack(network, x, y, *, mask, seen=crafted_at):
            seen.append(network.layers[0].weight.detach().norm(dim=1))
            return x + 0.3

        def judged(network, inputs, seen=judged_at):
            seen.append(network.layers[0].weight.detach().norm(dim=1))

        model.register_forward_pre_hook(judged)
        adversarial.loss(model, x, y, attack=attack, normalize=normalize)
        torch.testing.assert_close(crafted_at[0], torch.full_like(crafted_at[0], 3.0))
        wanted = torch.full_like(crafted_at[0], 1.0 if normalize else 3.0)
        for norms in judged_at:
            torch.testing.assert_close(norms, wanted)
