"""Fetching the real files from the PhysioNet mirror that stands beside the repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecgadv.data import describe, physionet, verify

FILES = Path(
    os.environ.get("ECGADV_TEST_PHYSIONET")
    or Path(__file__).parents[3] / "shared" / "physionet" / "files"
)
SERVE = FILES.parent / "serve"

pytestmark = pytest.mark.skipif(not SERVE.is_file(), reason="no PhysioNet mirror with a server")


@pytest.fixture(scope="module")
def url():
    """The address of the mirror's own server."""
    process = subprocess.Popen([sys.executable, str(SERVE), "0"], stdout=subprocess.PIPE, text=True)
    with process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_mitdb_whole_resumed_and_verified(url, tmp_path):
    folder = tmp_path / "mitdb/1.0.0"
    folder.mkdir(parents=True)
    start = (FILES / "mitdb/1.0.0/100.dat").read_bytes()[:1_000_000]
    (folder / "100.dat.part").write_bytes(start)
    (folder / "101.dat.part").write_bytes(start)
    done = physionet.fetch("mitdb", root=tmp_path, base=url)
    assert (done.files, done.new, done.published) == (145, 145, True)
    for name in ("100.dat", "101.dat", "234.atr"):
        assert verify.sha256(folder / name) == verify.sha256(FILES / "mitdb/1.0.0" / name)
    text = "\n".join(describe.describe("mitdb", root=tmp_path))
    assert "145 of 145, 93.9 MB, verified by SHA256SUMS.txt" in text
    assert "48 of 48" in text


def test_challenge_2017_labels(url, tmp_path):
    physionet.fetch("challenge-2017", root=tmp_path, base=url)
    text = "\n".join(describe.describe("challenge-2017", root=tmp_path))
    # PROTOCOLS part 1: the three label versions that circulate.
    assert "v0        A 771, N 5,154, O 2,557, ~ 46," in text
    assert "v2        A 738, N 5,050, O 2,456, ~ 284," in text
    assert "v3        A 758, N 5,076, O 2,415, ~ 279," in text


def test_cpsc2018_is_verified_by_its_headers(url, tmp_path):
    done = physionet.fetch("cpsc2018", root=tmp_path, base=url)
    there = sorted((FILES / "challenge-2020/1.0.2/training/cpsc_2018").rglob("*.mat"))
    assert done.records == len(there) > 0
    for path in there:
        assert verify.signal_problem(path, header=path.with_suffix(".hea")) is None
    assert physionet.fetch("cpsc2018", root=tmp_path, base=url).new == 0
