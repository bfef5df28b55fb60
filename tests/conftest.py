"""What every test shares: one thread, no recordings of the user's, the synthetic beats."""

import pytest
import torch

from ecgadv import data


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_data_root(monkeypatch, tmp_path):
    """A test never reads or writes the recordings of whoever runs it."""
    monkeypatch.setenv("ECGADV_DATA", str(tmp_path / "recordings"))


@pytest.fixture(scope="session")
def synthetic():
    return data.load("synthetic")
