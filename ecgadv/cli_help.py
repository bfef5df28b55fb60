"""What `ecgadv COMMAND --help` teaches beside the options."""

ABOUT = """\
Adversarial attacks and defenses for ECG classifiers, re-tested on the real recordings."""

EXAMPLES = """\
examples:
  ecgadv data info synthetic          the embedded beats: nothing to download
  ecgadv data fetch mitdb             download and verify the MIT-BIH recordings (94 MB)
  ecgadv data prepare mitdb           cut them into beats, once
  ecgadv run paper-b --profile demo   train and attack on the embedded beats, about a minute
  ecgadv status                       what is there, what is missing, what it would cost
"""

DATA_EXAMPLES = """\
datasets:
  synthetic        made in memory, for demonstration and tests
  mitdb            MIT-BIH Arrhythmia Database (94 MB, ODC-BY 1.0)
  challenge-2017   PhysioNet/CinC Challenge 2017, AF classification (100 MB, ODC-BY 1.0)
  cpsc2018         CPSC 2018, as in the PhysioNet/CinC Challenge 2020 (about 1.3 GB, CC BY 4.0)
  kaggle           the heartbeat csv, if you put it in ROOT/kaggle: needs an account, not fetched

from nothing to data that `ecgadv run` takes:
  ecgadv data fetch mitdb
  ecgadv data prepare mitdb
  ecgadv data info mitdb
"""

FETCH_EXAMPLES = """\
Every file is checked against the published SHA-256 sums before it gets its name. After a failure
or an interrupt, run the same command again: it goes on from what is there. Files that are there
and sound are not fetched again.

examples:
  ecgadv data fetch mitdb
  ecgadv data fetch mitdb --dest /data/ecg          files land in /data/ecg/mitdb/1.0.0
  ecgadv data fetch cpsc2018 --base-url http://localhost:8017/files/

environment:
  ECGADV_DATA        folder of the recordings (default: ./recordings)
  ECGADV_PHYSIONET   address of a mirror (default: https://physionet.org/files/)
"""

PREPARE_EXAMPLES = """\
Reads the raw recordings and writes ROOT/prepared/NAME.npz, all that training and attacks need: copy
that one file to a GPU node.

example:
  ecgadv data prepare mitdb
"""

RUN_EXAMPLES = """\
A run trains one network with one defense and one seed, puts it through every attack and writes a
record into --runs. Finished runs are not done twice; a run that was stopped, even by kill -9, goes
on from its last epoch. Several commands on one folder share the work.

profiles:
  demo      the embedded synthetic beats: minutes on a laptop, never evidence
  compact   the real recordings, smaller networks or schedules, each difference in the record
  short     the real recordings, the paper's networks, fewer epochs (paper A)
  paper     the real recordings, the paper's networks and protocol

examples:
  ecgadv run paper-b --profile demo
  ecgadv run paper-b --profile paper --only '*/mlp/nsr-0.4/*' --seeds 1
  ecgadv run paper-b --profile paper --missing --device cuda --deadline 25
  ecgadv run paper-a --profile short --device cuda --executor slurm --deadline 120
"""

STATUS_EXAMPLES = """\
"local" is a record in --runs, "released" one that came with the repository, "trained" weights that
await their evaluation.

examples:
  ecgadv status
  ecgadv status paper-b --profile paper
"""

VERIFY_EXAMPLES = """\
Puts the stored weights through every attack again and compares the numbers and the flag of every
example. With --retrain it trains from the seed first; on another device or number of threads the
rounding differs, and both then agree only roughly. Exits with 1 if an accuracy, or the share of
flags that differ, is off by more than --tolerance.

examples:
  ecgadv verify 3f2a91c05d7e8b46
  ecgadv verify book/records/3f2a91c05d7e8b46 --retrain --tolerance 0.02
"""

RELEASE_EXAMPLES = """\
Copies finished records from --runs to book/records, from where the book takes its numbers.

example:
  ecgadv release paper-b --profile paper
"""

FIGURES_EXAMPLES = """\
A figure is five files: SVG, PNG and PDF drawings, a CSV of what is plotted, and a JSON with caption
and provenance. `make book` makes them.

examples:
  ecgadv figures                                    list the citable figures
  ecgadv figures fig-data-beats --out my-paper      copy the files of one
"""

INFO_EXAMPLES = """\
examples:
  ecgadv data info synthetic
  ecgadv data info mitdb --root /data/ecg
"""

MATCH_EXAMPLES = """\
Looks for each row among the beats of `ecgadv data prepare mitdb`, bit for bit in float32 and with
its class, and prints how many are there and in which records. With the csv's two files it also
counts test rows that neighbour a train row in time, and writes the csv's own split down where
`data.split(beats, "csv")` takes it. Exits with 1 if a row is nowhere.

examples:
  ecgadv data match mitbih_train.csv
  ecgadv data match mitbih_train.csv mitbih_test.csv
"""
