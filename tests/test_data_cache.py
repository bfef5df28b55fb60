"""The prepared cache is whole or absent, and a damaged one is never read."""

import errno
import json
import zlib

import numpy as np
import pytest

from ecgadv import files
from ecgadv.data import cache
from ecgadv.errors import EcgadvError

ARRAYS = {
    "counts": np.arange(5000, dtype=np.uint16),
    "record": np.array(["100", "é"]),
    "empty": np.zeros((0, 3), np.float32),
}
META = {"name": "demo", "beats": 3}


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "demo.npz"
    cache.write(path, ARRAYS, META)
    arrays, meta = cache.read(path, name="demo", mend="prepare it")
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert [file.name for file in path.parent.iterdir()] == ["demo.npz"]


def test_nothing_stays_of_a_killed_writer(tmp_path):
    (tmp_path / "demo.npz.part").write_bytes(b"half")
    cache.write(tmp_path / "demo.npz", ARRAYS, META)
    assert [file.name for file in tmp_path.iterdir()] == ["demo.npz"]


def test_missing(tmp_path):
    with pytest.raises(EcgadvError, match=r"no prepared data at .*demo\.npz: prepare it"):
        cache.read(tmp_path / "demo.npz", name="demo", mend="prepare it")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated(tmp_path, share):
    path = tmp_path / "demo.npz"
    cache.write(path, ARRAYS, META)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(EcgadvError, match=r"demo\.npz is damaged .*: prepare it"):
        cache.read(path, name="demo", mend="prepare it")


def test_a_flipped_byte_anywhere_in_the_data(tmp_path):
    path = tmp_path / "demo.npz"
    cache.write(path, ARRAYS, META)
    content = path.read_bytes()
    for position in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        try:
            arrays, meta = cache.read(path, name="demo", mend="prepare it")
        except EcgadvError as error:
            assert "\n" not in str(error)
        else:  # a byte of the zip's own bookkeeping that nothing depends on
            assert meta == META
            np.testing.assert_array_equal(arrays["counts"], ARRAYS["counts"])


def test_contents_that_do_not_match_their_hash(tmp_path):
    path = tmp_path / "demo.npz"
    header = {"format": cache.FORMAT, "meta": META, "sha256": "0" * 64}
    np.savez_compressed(path, header=np.array(json.dumps(header)), **ARRAYS)
    with pytest.raises(EcgadvError, match="do not match its hash"):
        cache.read(path, name="demo", mend="prepare it")


def test_another_format(tmp_path, monkeypatch):
    path = tmp_path / "demo.npz"
    monkeypatch.setattr(cache, "FORMAT", 0)
    cache.write(path, ARRAYS, META)
    monkeypatch.undo()
    with pytest.raises(EcgadvError, match="has format 0, expected 1: prepare it"):
        cache.read(path, name="demo", mend="prepare it")


def test_another_dataset(tmp_path):
    cache.write(tmp_path / "demo.npz", ARRAYS, META)
    with pytest.raises(EcgadvError, match="holds 'demo', expected 'other': prepare it"):
        cache.read(tmp_path / "demo.npz", name="other", mend="prepare it")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "demo.npz"
    cache.write(path, ARRAYS, META)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(EcgadvError, match=r"^no space left under .*; free some and run the com"):
        cache.write(path, {}, META)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["demo.npz"]


def test_packed_signals_come_back_exactly():
    rng = np.random.RandomState(0)
    extremes = np.array([0, 32767, -32768, -1, -32768, 32767, 1], np.int16)
    noise = rng.randint(-(2**15), 2**15, 10_000).astype(np.int16)
    for counts in (extremes, noise, np.zeros(3, np.int16), noise[:1], noise[:2], noise[:0]):
        packed = cache.pack(counts)
        assert packed.dtype == np.uint8
        np.testing.assert_array_equal(cache.unpack(packed), counts)
        assert cache.unpack(packed).dtype == np.int16


def test_packing_is_near_the_entropy_of_second_differences():
    rng = np.random.RandomState(0)
    second = np.rint(rng.normal(0, 3, 100_000)).astype(np.int16)
    counts = np.cumsum(np.cumsum(second, dtype=np.int16), dtype=np.int16)
    share = np.bincount(second + 100) / len(second)
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum() * len(second) / 8
    assert entropy < len(cache.pack(counts)) < 1.05 * entropy
    assert len(cache.pack(counts)) < 0.6 * len(zlib.compress(counts.tobytes(), 6))
