"""Datasets and splits by name. A dataset or split of your own is one more row of the tables.

::

    data = load("mitdb")
    parts = split(data, "beatwise", seed=0)
    x, y, mask = data.x[parts.train], data.y[parts.train], data.mask(parts.train)
"""

from pathlib import Path

from ecgadv.data import (
    cinc2017,
    cpsc2018,
    kaggle,
    mitbih,
    ptbxl,
    splits,
    splits_twelve,
    synthetic,
    synthetic_leads,
)
from ecgadv.data.dataset import Dataset, Split
from ecgadv.data.folders import data_root
from ecgadv.data.leads import LEADS
from ecgadv.errors import EcgadvError

__all__ = ["Dataset", "Split", "data_root", "load", "split"]

LOADERS = {
    "challenge-2017": lambda root: cinc2017.load(root / "prepared" / "challenge-2017.npz"),
    "cpsc2018": lambda root: cpsc2018.load(root / "prepared" / "cpsc2018.npz"),
    "cpsc2018-12": lambda root: cpsc2018.load(root / "prepared" / "cpsc2018.npz", wanted=LEADS),
    "cpsc2018-100": lambda root: ptbxl.load_cpsc(root / "prepared" / "cpsc2018.npz"),
    "kaggle": lambda root: kaggle.load(
        root / "kaggle" / kaggle.TRAIN[0], root / "kaggle" / kaggle.TEST[0]
    ),
    "synthetic": lambda root: synthetic.load(),
    "synthetic-12": lambda root: synthetic_leads.load(),
    "mitdb": lambda root: mitbih.load(root / "prepared" / "mitdb.npz"),
    "ptb-xl": lambda root: ptbxl.load(root / "prepared" / "ptb-xl.npz"),
    "ptb-xl-12": lambda root: ptbxl.load(root / "prepared" / "ptb-xl.npz", wanted=LEADS),
    "ptb-xl-500": lambda root: ptbxl.load(root / "prepared" / "ptb-xl-500.npz", name="ptb-xl-500"),
}
SPLITS = {
    "authors": splits_twelve.authors,
    "beatwise": splits.beatwise,
    "csv": splits.csv,
    "folds": splits_twelve.folds,
    "han": splits.han,
    "han-selected": splits.han_selected,
    "han-validated": splits.han_validated,
    "interpatient": splits.interpatient,
    "kaggle": splits.kaggle,
}


def load(name, *, root=None):
    """A Dataset by name.

    Args:
        name: "synthetic" or "synthetic-12" (made in memory); "mitdb", "challenge-2017",
            "cpsc2018", "ptb-xl" or "ptb-xl-500" (ROOT/prepared/NAME.npz); "cpsc2018-12" or
            "ptb-xl-12" (all twelve leads instead of eight); "cpsc2018-100" (in PTB-XL's form); or
            "kaggle" (ROOT/kaggle/mitbih_train.csv and mitbih_test.csv, which only a user can put
            there).
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
            the csv's own split down; "authors" for cpsc2018; "folds" for ptb-xl and synthetic-12;
            "han", "han-validated" or "han-selected" for challenge-2017; or "kaggle" for the csv.
        seed: int from 0, draws the split.

    Raises:
        EcgadvError: the name is unknown or does not fit the dataset.
    """
    if name not in SPLITS:
        raise EcgadvError(f"no split '{name}': use one of {', '.join(sorted(SPLITS))}")
    return SPLITS[name](dataset, seed=seed)
