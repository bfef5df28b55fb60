"""Datasets and splits by name. A dataset or split of your own is one more row of the tables.

::

    data = load("mitdb")
    parts = split(data, "beatwise", seed=0)
    x, y, mask = data.x[parts.train], data.y[parts.train], data.mask(parts.train)
"""

from pathlib import Path

from ecgadv.data import cinc2017, kaggle, mitbih, splits, synthetic
from ecgadv.data.dataset import Dataset, Split
from ecgadv.data.folders import data_root
from ecgadv.errors import EcgadvError

__all__ = ["Dataset", "Split", "data_root", "load", "split"]

LOADERS = {
    "challenge-2017": lambda root: cinc2017.load(root / "prepared" / "challenge-2017.npz"),
    "kaggle": lambda root: kaggle.load(
        root / "kaggle" / kaggle.TRAIN[0], root / "kaggle" / kaggle.TEST[0]
    ),
    "synthetic": lambda root: synthetic.load(),
    "mitdb": lambda root: mitbih.load(root / "prepared" / "mitdb.npz"),
}
SPLITS = {
    "beatwise": splits.beatwise,
    "csv": splits.csv,
    "han": splits.han,
    "han-selected": splits.han_selected,
    "han-validated": splits.han_validated,
    "interpatient": splits.interpatient,
    "kaggle": splits.kaggle,
}


def load(name, *, root=None):
    """A Dataset by name.

    Args:
        name: "synthetic" (made in memory), "mitdb" or "challenge-2017" (ROOT/prepared/NAME.npz)
            or "kaggle" (ROOT/kaggle/mitbih_train.csv and mitbih_test.csv, which only a user can
            put there).
        root: folder of the recordings; `data_root()` if None.

    Raises:
        EcgadvError: the name is unknown, or its files are missing or damaged.
    """
    if name not in LOADERS:
        raise EcgadvError(f"no dataset '{name}': use one of {', '.join(sorted(LOADERS))}")
    return LOADERS[name](data_root() if root is None else Path(root))


def split(dataset, name, *, seed=0):
    """A Split of `dataset` by name.

    Args:
        dataset: a Dataset.
        name: "beatwise" or "interpatient"; "csv" for mitdb where `ecgadv data match` has written
            the csv's own split down; "han", "han-validated" or "han-selected" for challenge-2017;
            or "kaggle" for the csv itself.
        seed: int from 0, draws the split.

    Raises:
        EcgadvError: the name is unknown or does not fit the dataset.
    """
    if name not in SPLITS:
        raise EcgadvError(f"no split '{name}': use one of {', '.join(sorted(SPLITS))}")
    return SPLITS[name](dataset, seed=seed)
