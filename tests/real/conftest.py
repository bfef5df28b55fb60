"""Where the real recordings are: where the environment says, or in ../shared."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from ecgadv.data import mitbih

_SHARED = Path(__file__).resolve().parents[3] / "shared"


def _found(variable, beside):
    """The path that the environment names, or one in the folder `shared` beside the checkout."""
    path = Path(os.environ.get(variable) or _SHARED / beside)
    if not path.exists():
        pytest.skip(f"no {path}: set {variable}")
    return path


@pytest.fixture(scope="session")
def genuine():
    """Genuine rows of the heartbeat csv, float32 (n, 188), the class last."""
    path = _found("ECGADV_TEST_HEARTBEAT", "kaggle-rows/train_sample.csv")
    return np.loadtxt(path, delimiter=",", dtype=np.float32)


@pytest.fixture(scope="session")
def physionet():
    """The folder laid out as https://physionet.org/files/ is."""
    return _found("ECGADV_TEST_PHYSIONET", "physionet/files")


@pytest.fixture(scope="session")
def organisers():
    """The folder of CPSC2018 in the organisers' form: REFERENCE.csv and some .mat files."""
    return _found("ECGADV_TEST_CPSC2018", "cpsc2018-icbeb")


@pytest.fixture(scope="session")
def golden():
    """What the authors' functions gave on the network and the input of `formulas`."""
    folder = _found("ECGADV_TEST_GOLDEN", "golden/cpsc2018")
    return json.loads((folder / "cpsc_network.json").read_text())


@pytest.fixture(scope="session")
def han():
    """A reader of the files that Han et al. published."""
    folder = _found("ECGADV_TEST_HAN2020", "han2020")
    return lambda name: np.load(folder / f"{name}.npy")


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
def records(mitdb_raw):
    """The raw records of MIT-BIH by name."""
    return {name: mitbih.read_record(mitdb_raw, name) for name in mitbih.RECORDS}


@pytest.fixture(scope="session")
def prepared(mitdb_raw, tmp_path_factory):
    """(root, summary) of MIT-BIH prepared from the raw recordings, once for all processes."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own in that of the run
        root = root.parent
    summary = root / "summary.json"
    with FileLock(root / "preparing.lock"):
        if not summary.exists():
            found = mitbih.prepare(mitdb_raw, root / "prepared" / "mitdb.npz")
            summary.write_text(json.dumps(found))
    return root, json.loads(summary.read_text())


@pytest.fixture(scope="session")
def mitdb(prepared):
    """The real beats as a Dataset."""
    return mitbih.load(prepared[0] / "prepared" / "mitdb.npz")
