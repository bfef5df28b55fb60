"""Where the real recordings are: $ECGADV_TEST_PHYSIONET, or ../shared/physionet/files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from ecgadv.data import mitbih

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "physionet" / "files"


_ROWS = _BESIDE.parents[1] / "kaggle-rows" / "train_sample.csv"


@pytest.fixture(scope="session")
def genuine():
    """Genuine rows of the heartbeat csv, float32 (n, 188), the class last."""
    path = Path(os.environ.get("ECGADV_TEST_HEARTBEAT") or _ROWS)
    if not path.is_file():
        pytest.skip(f"no genuine rows at {path}: set ECGADV_TEST_HEARTBEAT")
    return np.loadtxt(path, delimiter=",", dtype=np.float32)


@pytest.fixture(scope="session")
def physionet():
    """The folder laid out as https://physionet.org/files/ is."""
    folder = Path(os.environ.get("ECGADV_TEST_PHYSIONET") or _BESIDE)
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}: set ECGADV_TEST_PHYSIONET")
    return folder


@pytest.fixture(scope="session")
def organisers():
    """The folder of CPSC2018 in the organisers' form: REFERENCE.csv and some .mat files."""
    given = os.environ.get("ECGADV_TEST_CPSC2018")
    folder = Path(given or _BESIDE.parents[1] / "cpsc2018-icbeb")
    if not (folder / "REFERENCE.csv").is_file():
        pytest.skip(f"no labels of CPSC2018 at {folder}: set ECGADV_TEST_CPSC2018")
    return folder


@pytest.fixture(scope="session")
def golden():
    """What the authors' functions gave on the network and the input of `formulas`."""
    given = os.environ.get("ECGADV_TEST_GOLDEN")
    path = Path(given or _BESIDE.parents[1] / "golden" / "cpsc2018") / "cpsc_network.json"
    if not path.is_file():
        pytest.skip(f"no golden numbers at {path}: set ECGADV_TEST_GOLDEN")
    return json.loads(path.read_text())


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
