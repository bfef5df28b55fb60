"""What the pages say of the voltage of recordings that the repository does not hold.

    python book/voltage.py > book/recordings.yml

The prepared MIT-BIH beats must be at hand: `ecgadv data prepare mitdb`.
"""

import sys

import yaml

from ecgadv import data
from ecgadv.data import voltage

SPLITS = ("beatwise", "interpatient")

if __name__ == "__main__":
    print("# Written by book/voltage.py: facts on recordings that the repository does not hold.")
    beats = data.load("mitdb")
    yaml.safe_dump([voltage.facts(beats, split) for split in SPLITS], sys.stdout, sort_keys=False)
