"""Where the real recordings are: $ECGADV_TEST_PHYSIONET, or ../shared/physionet/files."""

import os
from pathlib import Path

import pytest

from ecgadv.data import mitbih

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "physionet" / "files"


@pytest.fixture(scope="session")
def physionet():
    """The folder laid out as https://physionet.org/files/ is."""
    folder = Path(os.environ.get("ECGADV_TEST_PHYSIONET") or _BESIDE)
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}: set ECGADV_TEST_PHYSIONET")
    return folder


@pytest.fixture(scope="session")
def raw(physionet):
    """A function from a database's name to its folder of raw recordings."""

    def folder(name):
        found = physionet / name / "1.0.0"
        if not found.is_dir():
            pytest.skip(f"no recordings at {found}")
        return found

    return folder


@pytest.fixture(scope="session")
def mitdb_raw(raw):
    return raw("mitdb")


@pytest.fixture(scope="session")
def prepared(mitdb_raw, tmp_path_factory):
    """(root, summary) of MIT-BIH prepared from the raw recordings."""
    root = tmp_path_factory.mktemp("recordings")
    return root, mitbih.prepare(mitdb_raw, root / "prepared" / "mitdb.npz")


@pytest.fixture(scope="session")
def mitdb(prepared):
    """The real beats as a Dataset."""
    return mitbih.load(prepared[0] / "prepared" / "mitdb.npz")
