"""Adversarial examples that somebody else made against a released network, checked.

A file is an .npz of `id` (n,), positions in the data set as the record's examples.npz has them, `x`
(n, C, L) float32, and `about`, JSON with the record's key, eps, and who made it. What holds up is
told as the accuracy that it leaves, beside the one that the record's own attacks leave.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from ecgadv import data, files
from ecgadv.border import arrays, options
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.metrics import robust_accuracy
from ecgadv.evaluation.robustness import BROKEN, NOT_ATTACKED, predict, worst_case
from ecgadv.experiments.config import Attack, Config, from_dict
from ecgadv.experiments.exposure import tested, threat_of
from ecgadv.experiments.session import load_model
from ecgadv.experiments.store import Record, Store
from ecgadv.experiments.verify import same_data, session_on, weights_of

TEXTS = ("record", "author", "attack")
NEEDED = (*TEXTS, "eps")
LONGEST = 200  # characters of a text
LARGEST = 4 << 30  # bytes that the arrays may take: as many as all test recordings of 12 leads
ANOTHER = "take a network of `ecgadv.list_models()`"


@dataclass(frozen=True)
class Submission:
    """Examples against the network of a record.

    Attributes:
        record: its key.
        eps: the budget in the unit of the data, one of the record's.
        author, attack: who made them, and how, in a few words.
        id: positions of the beats in the data set, int64 (n,).
        x: the examples, float32 (n, C, L).
    """

    record: str
    eps: float
    author: str
    attack: str
    id: np.ndarray
    x: np.ndarray

    def save(self, path: Path | str) -> None:
        """Write the file that `ecgadv check` reads; EcgadvError if a text is none."""
        for name in TEXTS:
            _one_line(name, getattr(self, name))
        about = {name: getattr(self, name) for name in NEEDED} | {"eps": float(self.eps)}
        found = {"id": self.id, "x": np.asarray(self.x, np.float32)}
        found["about"] = np.array(json.dumps(about))
        files.write(Path(path), files.dump_arrays(found, compressed=True))


@dataclass(frozen=True)
class Verdict:
    """What a submission amounts to, among the examples that all of the record's attacks met.

    Attributes:
        n: examples handed in.
        broken: of them, misread.
        new: of them, misread and held under every attack of the record.
        before, after: accuracy in the worst case, without and with the submission.
        examples: how many the accuracies are of.
    """

    record: str
    eps: float
    author: str
    attack: str
    n: int
    broken: int
    new: int
    before: float
    after: float
    examples: int

    def lines(self) -> list[str]:
        """Return what the command prints."""
        return [
            f"{self.n} examples of {self.author} ({self.attack}) against {self.record} at eps "
            f"{self.eps:g}: all within the budget",
            f"  {self.broken} are misread, {self.new} of which every attack of the record left",
            f"  robust accuracy {100 * self.after:.2f} %, released worst case "
            f"{100 * self.before:.2f} %, of {self.examples} examples",
        ]

    def save(self, path: Path | str) -> None:
        """Write it as JSON, for the leaderboard."""
        files.write(Path(path), (json.dumps(asdict(self), indent=1) + "\n").encode())

    @staticmethod
    def load(path: Path | str) -> "Verdict":
        """Return the verdict of a file; EcgadvError if it is none."""
        try:
            found = Verdict(**files.parse_json(Path(path).read_bytes()))
            for field in fields(found):
                value = getattr(found, field.name)
                if field.type is str:
                    _one_line(field.name, value)
                elif isinstance(value, bool) or not isinstance(value, int | field.type):
                    raise ValueError(f"{field.name} is {value!r}, no number")
            return found
        except files.DAMAGED as error:
            raise EcgadvError(
                f"{path} is no verdict ({files.why(error)}); write it by `ecgadv check --out`"
            ) from error


def read(path: Path | str) -> Submission:
    """Return the submission of a file; EcgadvError if it is none."""
    try:
        found = files.parse_arrays(Path(path).read_bytes(), most=LARGEST)
        about = json.loads(str(found["about"]))
        known = {name: about[name] for name in NEEDED}
        index, x = arrays.whole("id", found["id"]), arrays.array("x", found["x"])
    except files.DAMAGED as error:
        raise EcgadvError(
            f"{path} is no submission ({files.why(error)}); write it by Submission(...).save"
        ) from error
    known["eps"] = options.size("eps", known["eps"])
    for name in TEXTS:
        _one_line(f"{path}: {name}", known[name])
    if x.ndim != 3 or index.shape != x.shape[:1] or not len(x):
        raise EcgadvError(
            f"{path} has id of shape {index.shape} and x of shape {x.shape}; give (n,), (n, C, L)"
        )
    with np.errstate(over="ignore"):  # the rules are checked of what becomes infinite
        return Submission(**known, id=index, x=x.astype(np.float32))


def _one_line(name: str, text) -> None:
    """Raise EcgadvError for what would not stay one line of a terminal or of the table."""
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= LONGEST:
        shown = repr(text) if len(repr(text)) < LONGEST else f"{len(repr(text))} characters long"
        raise EcgadvError(f"{name} is {shown}; give a text of one line, at most {LONGEST} long")


def record_of(made: Submission | Verdict, folders: Sequence[Path | str]) -> Record:
    """Return the record that a submission is against, of the first folder that has it.

    A key alone counts: a path could be of weights that came with the submission.
    """
    is_key = Path(made.record).name == made.record != ".."
    found = [Store(folder).get(made.record) for folder in folders if is_key]
    record = next(filter(None, found), None)
    if record is None:
        raise EcgadvError(
            f"no record has the key {made.record!r}; give one of `ecgadv records`, such as "
            "load_model(NAME).expects.record"
        )
    return record


def check(made: Submission, record: Record) -> Verdict:
    """Return what a submission amounts to.

    Each example must be of a test beat, each beat come once, and lie within eps and the range of
    the data; padding stays as it is where the record's attacks left it alone.

    Raises EcgadvError for the first example that breaks a rule, and where the data set or the
    weights are not at hand.
    """
    config, examples, session = from_dict(record.config), record.examples(), session_on("cpu")
    dataset = session.dataset(config.dataset)
    same_data(record, dataset)
    beats, test = tested(config, dataset, data.split(dataset, config.split), session)
    if not np.array_equal(examples["id"], test):
        raise EcgadvError(f"record {record.key} was made on other test examples; take another")
    eps = _level(made.eps, config, record)
    attacks = [attack for attack in config.attacks if f"held/{attack.name}/{eps:g}" in examples]
    held = {a.name: examples[f"held/{a.name}/{eps:g}"] for a in attacks}
    _known_once(made.id, test)
    place = {int(beat): row for row, beat in enumerate(test)}
    rows = np.array([place[int(beat)] for beat in made.id])
    x, mask = (torch.from_numpy(values) for values in (beats.x[made.id], beats.mask(made.id)))
    if made.x.shape != tuple(x.shape):
        raise EcgadvError(f"x has shape {made.x.shape}; the beats have {tuple(x.shape)}")
    x_adv, kept = torch.from_numpy(made.x), all(attack.masked for attack in attacks)
    widest = replace(_widest(attacks, eps, record), bounded=True)
    threat_of(widest, eps, beats, made.id).check(x_adv, x, mask if kept else None)
    model = load_model(config, dataset, weights_of(record, session, mend=ANOTHER))
    read_as = predict(model, x_adv, mask=mask).argmax(1).numpy()
    broken = read_as != beats.y[made.id]
    met = np.all([flags != NOT_ATTACKED for flags in held.values()], axis=0)
    before = worst_case(held, among=met)
    after = before.copy()
    after[rows[broken & met[rows]]] = BROKEN
    y, k = examples["label"].astype(np.int64), len(dataset.classes)
    accuracies = [robust_accuracy(flags, y, k) for flags in (before, after)]
    return Verdict(
        *(record.key, eps, made.author, made.attack),
        n=len(rows),
        broken=int(broken.sum()),
        new=int((after < before).sum()),
        before=accuracies[0],
        after=accuracies[1],
        examples=int(met.sum()),
    )


def _widest(attacks: Sequence[Attack], eps: float, record: Record) -> Attack:
    """Return the attack whose budget holds those of all others."""
    wide = [attack for attack in attacks if not attack.leads] or attacks
    if len({(attack.unit, attack.leads) for attack in wide}) > 1:
        raise EcgadvError(
            f"the attacks of record {record.key} change other leads each at eps {eps:g}; take "
            "another record of the network"
        )
    return wide[0]


def _level(eps: float, config: Config, record: Record) -> float:
    """Return the record's own level that is meant; a float32 of it is as good."""
    levels = sorted({level for attack in config.attacks for level in attack.eps})
    near = [level for level in levels if math.isclose(level, eps, rel_tol=1e-7)]
    if not near:
        raise EcgadvError(f"record {record.key} has no eps {eps:g}; it has {levels}")
    return near[0]


def _known_once(given: np.ndarray, test: np.ndarray) -> None:
    strange = ~np.isin(given, test)
    if strange.any():
        raise EcgadvError(f"id {given[strange][0]} is no test example of the record")
    beats, times = np.unique(given, return_counts=True)
    if (times > 1).any():
        raise EcgadvError(f"id {beats[times > 1][0]} is there {times.max()} times; give it once")
