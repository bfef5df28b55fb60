"""The Kaggle csv: read exactly, refused when it is not the published file."""

import hashlib

import numpy as np
import pytest

from ecgadv import data
from ecgadv.data import kaggle
from ecgadv.errors import EcgadvError


def rows(n, seed):
    rng = np.random.RandomState(seed)
    table = np.zeros((n, 188))
    for row in table:
        length = rng.randint(50, 188)
        row[:length] = rng.randint(1, 400, length) / 400
        row[0] = 1
        row[187] = rng.randint(5)
    return table


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with two small csv files that pass for the published ones."""
    folder = tmp_path / "kaggle"
    folder.mkdir()
    for constant, seed, n in (("TRAIN", 0, 12), ("TEST", 1, 5)):
        name = getattr(kaggle, constant)[0]
        np.savetxt(folder / name, rows(n, seed), delimiter=",")
        content = (folder / name).read_bytes()
        published = (name, n, len(content), hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(kaggle, constant, published)
    return tmp_path


def test_both_files_are_one_dataset(root):
    dataset = data.load("kaggle", root=root)
    table = np.concatenate([rows(12, 0), rows(5, 1)])
    np.testing.assert_array_equal(dataset.x[:, 0], table[:, :187].astype(np.float32))
    np.testing.assert_array_equal(dataset.y, table[:, 187])
    assert dataset.record.tolist() == ["train"] * 12 + ["test"] * 5
    assert dataset.onset.tolist() == [*range(12), *range(5)]
    assert dataset.length.tolist() == [int(np.flatnonzero(row[:187]).max()) + 1 for row in table]
    assert np.isnan(dataset.unit_mv).all()


def test_published_rows_are_the_published_counts():
    assert kaggle.TRAIN[1] + kaggle.TEST[1] == 109_446
    # 188 numbers of 24 characters and a separator each: what numpy.savetxt writes.
    assert all(size == n * 188 * 25 for _, n, size, _ in (kaggle.TRAIN, kaggle.TEST))


def test_missing(root):
    (root / "kaggle" / "mitbih_test.csv").unlink()
    with pytest.raises(EcgadvError, match=r"no .*mitbih_test\.csv: download shayanfazeli/heartb"):
        data.load("kaggle", root=root)


def test_truncated(root):
    path = root / "kaggle" / "mitbih_train.csv"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(EcgadvError, match=r"mitbih_train\.csv has \d+ bytes, published: \d+: dow"):
        data.load("kaggle", root=root)


def test_changed(root):
    path = root / "kaggle" / "mitbih_train.csv"
    content = bytearray(path.read_bytes())
    content[0] = ord("2")
    path.write_bytes(content)
    with pytest.raises(EcgadvError, match=r"has sha256 \w+, published: \w+: download"):
        data.load("kaggle", root=root)
