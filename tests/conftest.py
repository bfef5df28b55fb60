"""What tests share: one thread, no recordings of the user's, beats, a tiny suite, no waiting."""

import pytest
import torch
from hypothesis import settings

from ecgadv import data

# The same examples on every run: a test that fails at random says nothing about a change.
settings.register_profile("deterministic", derandomize=True)
settings.load_profile("deterministic")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_data_root(monkeypatch, tmp_path):
    """A test never reads or writes the recordings of whoever runs it."""
    monkeypatch.setenv("ECGADV_DATA", str(tmp_path / "recordings"))


@pytest.fixture(autouse=True)
def _own_numbers(monkeypatch, tmp_path):
    """A test never takes the numbers that another computed, and writes none into the checkout."""
    monkeypatch.setattr("ecgadv.results.kept.FOLDER", str(tmp_path / "kept"))


@pytest.fixture(scope="session")
def synthetic():
    return data.load("synthetic")


@pytest.fixture(scope="module")
def beats():
    """The beats of the tiny suite."""
    import tiny  # here, because most tests do without the experiments

    return tiny.dataset()


@pytest.fixture
def tiny_suite(beats, monkeypatch):
    """`ecgadv run tiny --profile demo` runs the plan of tiny.py on its beats."""
    import tiny

    tiny.install(beats, monkeypatch.setattr)


@pytest.fixture
def few_attacks(monkeypatch):
    """Paper B's networks are planned with the attacks that recorded.py writes flags of."""
    import recorded

    changes = {
        "attacks": recorded.ATTACKS,
        "proof": recorded.LEVELS,
        "differs": ("a difference",),
    }
    recorded.install("paper-b", monkeypatch.setattr, **changes)


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """A store with the weights of the tiny chain: undefended network, teacher and student."""
    import tiny

    from ecgadv.experiments.run import train_missing
    from ecgadv.experiments.session import Session
    from ecgadv.experiments.store import Store

    with pytest.MonkeyPatch.context() as patch:
        tiny.install(tiny.dataset(), patch.setattr)
        store = Store(tmp_path_factory.mktemp("chain"))
        train_missing(tiny.STUDENT, [0], Session(store, released=None))
    return store


@pytest.fixture
def quick_downloads(monkeypatch):
    """No waiting between attempts, no proxy, no settings of the user."""
    from ecgadv.data import download

    monkeypatch.setattr(download, "BACKOFF", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ECGADV_PHYSIONET", raising=False)
    monkeypatch.delenv("ECGADV_DATA", raising=False)
