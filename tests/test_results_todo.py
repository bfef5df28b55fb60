"""What a page lacks: its command and cost, and the networks that are there."""

import os
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt
from recorded import held, write

from ecgadv import results
from ecgadv.errors import EcgadvError
from ecgadv.experiments import runner, store
from ecgadv.experiments.store import Store
from ecgadv.results import records, todo

pytestmark = pytest.mark.usefixtures("few_attacks")
ROOT = Path(__file__).resolve().parents[1]
SWEEP = "beatwise/mlp/nsr-*/faithful"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Records of two strengths of NSR, two seeds each, in the place of all others."""
    for module in (todo, store):
        monkeypatch.setattr(module, "place", lambda _: tmp_path)
        monkeypatch.setattr(module, "released_folder", lambda: tmp_path)
    for seed in range(2):
        for beta in (0.4, 0.5):
            write(tmp_path, f"beatwise/mlp/nsr-{beta}/faithful", seed=seed, shares=(1, 2 / 3, 0))
    return tmp_path


def test_networks_are_found_by_their_properties(made):
    found = results.networks("paper-b", "paper", network="mlp", variant="faithful")
    assert list(found) == ["nsr-0.4", "nsr-0.5"]
    assert found["nsr-0.5"].seeds == [0, 1]
    assert results.networks("paper-b", "paper", network="cnn") == {}
    with pytest.raises(EcgadvError, match=r"no record of 'ce' of .* run `ecgadv run paper-b"):
        found["ce"]


def test_what_is_missing_comes_with_its_command_and_cost(made):
    told = results.missing("paper-b", "paper", only=SWEEP, seeds=2)
    assert told == (
        "**Not run:** 14 runs (about 0.0 hours), by "
        f"`ecgadv run paper-b --profile paper --only '{SWEEP}'`."
    )
    assert told._repr_markdown_() == told
    unlike = results.missing("paper-b", "paper", only="beatwise/mlp/ce/faithful")
    assert "their cost was not measured" in unlike
    told = results.missing("paper-b", "paper", only="beatwise/mlp/nsr-0.4/*ful", seeds=2)
    assert told == "All runs that are planned for this were made."


def test_a_pattern_that_matches_nothing_is_not_told_as_done(made):
    with pytest.raises(
        EcgadvError, match="'mlp/\\*' matches nothing; the labels are beatwise/mlp/"
    ):
        results.missing("paper-b", "paper", only="mlp/*")


def runnable():
    """The notebooks that run their experiment: the parameters and the cell after them."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        if "run = False" in cells[0].source:
            yield pytest.param(cells[0].source, cells[1].source, id=path.stem)


@pytest.mark.parametrize("parameters, setup", list(runnable()))
def test_each_notebook_runs_configs_of_its_own_profile(parameters, setup, monkeypatch):
    asked = []
    monkeypatch.setattr(runner, "run_all", lambda jobs, settings: asked.append(settings))
    monkeypatch.setattr(runner, "without_done", lambda jobs, store: jobs)
    names = {}
    exec(parameters, names)
    with plt.rc_context():
        exec(setup, names | {"run": True})
    assert asked and all(f"--profile {names['profile']} " in one.command for one in asked)


def test_only_what_is_missing_is_run(made, monkeypatch):
    asked = []
    monkeypatch.setattr(runner, "run_all", lambda jobs, settings: asked.append((jobs, settings)))
    monkeypatch.setattr(runner, "without_done", lambda jobs, store: jobs[1:])
    monkeypatch.delenv("ECGADV_DATA", raising=False)
    results.run_missing("paper-b", "paper", only=SWEEP, seeds=1, deadline=3)
    assert os.environ["ECGADV_DATA"] == str(made)  # not where the notebook stands
    ((jobs, settings),) = asked
    assert [job.config.label for job in jobs][:1] == ["beatwise/mlp/nsr-0.1/faithful"]
    assert settings.ends_at is not None and settings.command.endswith(f"--only '{SWEEP}'")
    with pytest.raises(EcgadvError, match="deadline is -1; give minutes"):
        results.run_missing("paper-b", "paper", deadline=-1)


def test_an_example_counts_as_turned_where_it_was_read_right_and_lost(tmp_path):
    flags = {"held/pgd-100/0.1": held(1), "held/sap/0.1": held(1 / 3)}
    write(tmp_path, "beatwise/mlp/ce/faithful", shares=(1, 1, 1), flags=flags)
    (net,) = records.load([Store(tmp_path)], "paper-b", "paper").all
    found = results.turned(net, ["pgd-100", "sap"], eps=0.1)
    assert found.shape == (2, 1, len(net.y)) and not found[0].any()
    assert np.array_equal(found[1, 0], held(1 / 3) == 0)
