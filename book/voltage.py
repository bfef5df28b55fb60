"""What the pages say of the voltage of recordings that the repository does not hold.

    python book/voltage.py > book/recordings.yml

Both data sets must be prepared: `ecgadv data prepare mitdb`, and the same of ptb-xl.
"""

import sys

import yaml

from ecgadv import data
from ecgadv.data import voltage

SPLITS = {"mitdb": ("beatwise", "interpatient"), "ptb-xl": ("folds",)}


def facts(dataset):
    """What the file holds of one data set."""
    return [voltage.facts(dataset, split) for split in SPLITS[dataset.name]]


if __name__ == "__main__":
    print("# Written by book/voltage.py: facts on recordings that the repository does not hold.")
    found = [fact for name in SPLITS for fact in facts(data.load(name))]
    yaml.safe_dump(found, sys.stdout, sort_keys=False)
