"""Networks that are attacked before the reader's eyes, and the voltage of their beats."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from recorded import results, write

from ecgadv import attacks, data
from ecgadv.data import voltage
from ecgadv.errors import EcgadvError
from ecgadv.models import build
from ecgadv.results.subject import Subject
from ecgadv.results.subject import subject as subject_of


def test_quantiles_of_the_unit_are_in_microvolts(synthetic):
    unit = np.full(len(synthetic), np.nan, np.float32)
    test = data.split(synthetic, "beatwise").test
    unit[test] = np.linspace(1, 2, len(test))
    found = voltage.facts(replace(synthetic, unit_mv=unit), "beatwise")
    assert (found["test_examples"], found["test_records"]) == (1200, 40)
    assert found["unit_microvolts"] == {"low": 1050, "median": 1500, "high": 1950}


@pytest.fixture(scope="module")
def subject(synthetic):
    torch.manual_seed(0)
    model = build("beat-mlp", length=synthetic.x.shape[-1], classes=5)
    index = np.concatenate([np.flatnonzero(synthetic.y == c)[:4] for c in range(5)])
    x, y = torch.from_numpy(synthetic.x[index]), torch.from_numpy(synthetic.y[index])
    mask = torch.from_numpy(synthetic.mask(index))
    return Subject("untrained", model, x, y, mask, index, synthetic)


def test_what_is_added_keeps_to_the_budget_in_microvolts(subject):
    signal, unit = subject.millivolts(3), subject.unit_millivolts(3).item()
    assert signal.shape == (1, subject.dataset.length[subject.index[3]])
    pgd = partial(attacks.pgd, steps=12, step_size=0.01, random_start=False, keep="last")
    sap = partial(attacks.sap, pgd_steps=6, smooth_steps=12, step_size=0.01, keep="last")
    (square, read_as), (smooth, _) = (
        subject.added(attack, 0.05, 3, bounded=attack is pgd) for attack in (pgd, sap)
    )
    for change in (square, smooth):
        assert change.shape == signal.shape
        assert 0 < np.abs(change).max() <= 50 * unit * (1 + 1e-4)
    assert read_as in subject.dataset.classes
    assert np.abs(np.diff(smooth)).max() < np.abs(np.diff(square)).max()


def test_flags_and_accuracy_of_a_subject(subject):
    """An untrained network says one class of nearly all beats; a huge budget leaves nothing."""
    right = subject.read(subject.x) == subject.y.numpy()
    none = subject.held(attacks.uniform_noise, 1e-6)
    assert none.tolist() == right.astype(int).tolist()
    assert subject.balanced(none) == pytest.approx(right.reshape(5, 4).mean())
    pgd = partial(attacks.pgd, steps=5, step_size=0.1)
    assert subject.balanced(subject.held(pgd, 0.5)) <= subject.balanced(none)


def test_a_network_without_weights_is_told_with_the_command_that_trains_it(few_attacks, tmp_path):
    write(tmp_path, "beatwise/mlp/ce/faithful", profile="demo")
    with pytest.raises(EcgadvError, match="ecgadv run paper-b --profile demo"):
        subject_of(results(tmp_path, "demo").all[0], per_class=1)
