"""Fetching the real files, from a server of our own on loopback."""

import pytest
from loopback import Mirror, below

from ecgadv.data import catalogue, describe, verify
from ecgadv.data.physionet import fetch

pytestmark = pytest.mark.usefixtures("quick_downloads")


@pytest.fixture
def mirror(physionet):
    """A server of the recordings of one database: (server, their folder)."""

    def serve(name):
        path = catalogue.source(name).path
        found = [file for file in (physionet / path).rglob("*") if file.is_file()]
        if not found:
            pytest.skip(f"no recordings at {physionet / path}")
        contents = {str(file.relative_to(physionet / path)): file.read_bytes() for file in found}
        return Mirror(below(path, contents)), physionet / path

    return serve


def test_mitdb_whole_resumed_and_verified(mirror, tmp_path):
    server, files = mirror("mitdb")
    folder = tmp_path / "mitdb/1.0.0"
    folder.mkdir(parents=True)
    start = (files / "100.dat").read_bytes()[:1_000_000]
    (folder / "100.dat.part").write_bytes(start)
    (folder / "101.dat.part").write_bytes(start)
    with server:
        done = fetch("mitdb", root=tmp_path, base=server.url)
    assert (done.files, done.new, done.published) == (145, 145, True)
    assert server.asked("100.dat") == [1_000_000]
    for name in ("100.dat", "101.dat", "234.atr"):
        assert verify.sha256(folder / name) == verify.sha256(files / name)
    text = "\n".join(describe.describe("mitdb", root=tmp_path))
    assert "145 of 145, 93.9 MB, verified by SHA256SUMS.txt" in text
    assert "48 of 48" in text


def test_challenge_2017_labels(mirror, tmp_path):
    server, _ = mirror("challenge-2017")
    with server:
        fetch("challenge-2017", root=tmp_path, base=server.url)
    text = "\n".join(describe.describe("challenge-2017", root=tmp_path))
    # The three label versions that circulate.
    assert "v0        A 771, N 5,154, O 2,557, ~ 46," in text
    assert "v2        A 738, N 5,050, O 2,456, ~ 284," in text
    assert "v3        A 758, N 5,076, O 2,415, ~ 279," in text


def test_cpsc2018_is_verified_by_its_headers(mirror, tmp_path):
    server, files = mirror("cpsc2018")
    there = sorted(files.rglob("*.mat"))
    with server:
        done = fetch("cpsc2018", root=tmp_path, base=server.url)
        assert done.records == len(there) > 0
        for path in there:
            assert verify.signal_problem(path, header=path.with_suffix(".hea")) is None
        assert fetch("cpsc2018", root=tmp_path, base=server.url).new == 0
