"""What `evaluate` found: numbers with intervals, tables, and a file to keep."""

import json
import math
from dataclasses import asdict, dataclass, field
from functools import partial
from numbers import Real
from pathlib import Path

import numpy as np

from ecgadv import files
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.card import as_html, as_text
from ecgadv.evaluation.indicators import Indicator
from ecgadv.evaluation.intervals import Interval, seeds_and_examples_interval

FORMAT = 1
NOBODY = -1
SPENT = ("forward", "backward", "seconds")


@dataclass(frozen=True, repr=False)
class Report:
    """The robustness of one network on N examples, under A attacks at E levels of eps.

    Attributes:
        about: norm, unit, task, success, seed, seconds, classes, attacks, blind ones, notes, and
            where eps was given for each example or lead `own_eps`, the least and the largest.
        eps: levels (E,) in the unit of x, ascending; there 1, each one's own eps.
        y: classes (N,), or bool (N, K) for several labels at once.
        right: bool (N,), read right without an attack.
        flags: uint8 (A, E, N), 1 held, 0 broken, 255 not attacked: each attack of the cascade
            meets only what those before it left.
        breaker: int16 (E, N), the number of the attack that broke an example first, or -1.
        smallest: (N,), the least eps found to break an example, infinite if none, 0 if misread.
        logits: (1 + E, N, K), without an attack, then of the worst example found at each level.
        spent: (A, E, 3), forward and backward passes of examples, and seconds.
        microvolts: of eps 1 for each example (N,), NaN where nobody said or leads differ.
        groups: whose each example is (N,), or empty.
        indicators: signs that the attack failed rather than that the network held.
        found: (N, C, L), what broke each example with the least perturbation, NaN where nothing
            did; float64 if x is, else float32; empty unless examples were kept.
    """

    about: dict
    eps: np.ndarray
    y: np.ndarray
    right: np.ndarray
    flags: np.ndarray
    breaker: np.ndarray
    smallest: np.ndarray
    logits: np.ndarray
    spent: np.ndarray
    microvolts: np.ndarray
    groups: np.ndarray
    indicators: tuple[Indicator, ...]
    found: np.ndarray = field(default_factory=partial(np.empty, 0, np.float32))

    @property
    def attacks(self) -> list[str]:
        """Names of the attacks in the order in which they ran."""
        return self.about["attacks"]

    @property
    def several(self) -> bool:
        """Whether an example has several labels at once."""
        return self.y.ndim == 2

    @property
    def failed(self) -> list[Indicator]:
        """The indicators that speak against the attack, so that accuracies are too high."""
        return [indicator for indicator in self.indicators if indicator.failed]

    def level(self, eps: float) -> int:
        """Return the number of a level of eps; EcgadvError if there is none."""
        # A level may have been a float32, which rounds by as much.
        near = partial(math.isclose, eps if isinstance(eps, Real) else math.nan, rel_tol=1e-7)
        found = [number for number, level in enumerate(self.eps) if near(level)]
        if not found:
            raise EcgadvError(f"no level of eps {eps!r}; choose one of {self.eps.tolist()}")
        return found[0]

    def held(self, eps: float | None = None) -> np.ndarray:
        """Return flags uint8 (N,) in the worst case at a level, or without an attack."""
        if eps is None:
            return self.right.astype(np.uint8)
        return (self.right & (self.breaker[self.level(eps)] == NOBODY)).astype(np.uint8)

    def adversarial(self, eps: float) -> tuple[np.ndarray, np.ndarray]:
        """Return which examples are broken at a level, and the nearest that breaks each.

        Returns:
            The numbers int64 (M,) of examples that were read right and are broken, and (M, C, L),
            each within that level of its example; rows x (N, L) come back as one lead. Many lie so
            near the border that a network in batches of another size may read a few right.

        Raises EcgadvError if `evaluate` was not asked to keep them.
        """
        rows = np.flatnonzero(self.breaker[self.level(eps)] != NOBODY)
        if not self.found.size:
            raise EcgadvError(
                "the report has no adversarial examples; evaluate with keep_examples=True"
            )
        return rows, self.found[rows]

    def accuracy(self, eps: float | None = None, *, balanced: bool = False) -> Interval:
        """Return the share read right in the worst case, or without an attack, with an interval.

        It is a bootstrap at 95 % over examples within their classes, or over whole groups where
        the evaluation was given any.
        """
        y = np.zeros(len(self.right), np.int64) if self.several else self.y
        groups = self.groups if len(self.groups) and len(np.unique(self.groups)) > 1 else None
        return seeds_and_examples_interval(
            self.held(eps)[None], y, int(y.max()) + 1, balanced=balanced, patients=groups
        )

    def table(self):
        """Return a pandas table with a row for each level and attack, and one for the worst case.

        "left" is what the cascade has left after it; passes are those of single examples.
        """
        import pandas

        rows = []
        for level, eps in enumerate(self.eps):
            about = {"eps": eps, "microvolts": self.in_microvolts(eps)}
            left = self.right & (self.breaker[level] == NOBODY)
            for number, name in enumerate(self.attacks):
                flags = self.flags[number, level]
                row = {
                    "attack": name,
                    "attacked": int((flags != 255).sum()),
                    "broken": int((flags == 0).sum()),
                    "broken_first": int((self.breaker[level] == number).sum()),
                }
                names = ("forward", "backward", "seconds")
                rows.append(
                    {**about, **row, **dict(zip(names, self.spent[number, level], strict=True))}
                )
            worst = {"attack": "worst case", "attacked": int(self.right.sum())}
            worst |= {"broken": int(self.right.sum() - left.sum())}
            worst |= dict(zip(("accuracy", "low", "high"), _ends(self.accuracy(eps)), strict=True))
            rows.append({**about, **worst})
        return pandas.DataFrame(rows)

    def examples(self):
        """Return a pandas table with a row for each example."""
        import pandas

        columns = {"right": self.right, "smallest_eps": self.smallest}
        columns["smallest_microvolts"] = self.smallest * self.microvolts
        if not self.several:
            columns = {"label": self.y, "read_as": self.logits[0].argmax(-1), **columns}
        if len(self.groups):
            columns["group"] = self.groups
        names = np.array([*self.attacks, ""])
        for level, eps in enumerate(self.eps):
            columns[f"held_{eps:g}"] = self.held(eps).astype(bool)
            columns[f"broken_by_{eps:g}"] = names[self.breaker[level]]
        return pandas.DataFrame(columns)

    def labels(self):
        """Return a pandas table of each class: sensitivity, and AUC, without and under attack.

        Under attack each example counts as the one of highest margin that was found for it.
        """
        import pandas

        rows = []
        truth = self.y if self.several else np.eye(self.logits.shape[-1], dtype=bool)[self.y]
        for level, logits in enumerate(self.logits):
            said = logits > 0 if self.several else np.eye(logits.shape[-1])[logits.argmax(-1)] > 0
            for k in range(logits.shape[-1]):
                true = truth[:, k]
                hit = float(said[true, k].mean()) if true.any() else np.nan
                rows.append(
                    {
                        "eps": self.eps[level - 1] if level else 0.0,
                        "label": self.about["classes"][k],
                        "n": int(true.sum()),
                        "sensitivity": hit,
                        "auc": _auc(logits[:, k], true),
                    }
                )
        return pandas.DataFrame(rows)

    def in_microvolts(self, eps: float) -> float:
        """Return an eps in the median example's microvolts, NaN where that is not known."""
        return float(eps * np.median(self.microvolts))

    def save(self, path: Path | str) -> None:
        """Write the report to one .npz with a sum; EcgadvError if the path is a folder."""
        if Path(path).is_dir():
            raise EcgadvError(f"{path} is a folder; give a file in it, such as report.npz")
        arrays = {name: getattr(self, name) for name in ARRAYS}
        about = {"format": FORMAT, "about": self.about}
        about["indicators"] = [asdict(indicator) for indicator in self.indicators]
        arrays["json"] = np.array(json.dumps(about))
        arrays["logits"] = self.logits.astype(np.float32)
        files.write_sealed(Path(path), files.dump_arrays(arrays, compressed=True))

    @staticmethod
    def load(path: Path | str) -> "Report":
        """Return the report of a file; EcgadvError if it is none, or damaged."""
        try:
            arrays = files.parse_arrays(files.read_sealed(Path(path)))
            about = json.loads(str(arrays.pop("json")))
            if about["format"] != FORMAT:
                raise EcgadvError(f"format {about['format']}, not {FORMAT}")
            found = tuple(Indicator(**entry) for entry in about["indicators"])
            return Report(about=about["about"], indicators=found, **arrays)
        except files.DAMAGED as error:
            raise EcgadvError(
                f"{path} is no report that can be read: {files.why(error)}"
            ) from error

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


ARRAYS = (
    *("eps", "y", "right", "flags", "breaker", "smallest", "logits", "spent"),
    *("microvolts", "groups", "found"),
)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.estimate, interval.low, interval.high


def _auc(score: np.ndarray, true: np.ndarray) -> float:
    """Return the area under the ROC curve: the share of pairs in order, ties as halves."""
    if true.all() or not true.any():
        return np.nan
    _, rank, count = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # mean rank of equal scores, from 1
    n = int(true.sum())
    return float((middle[rank][true].sum() - n * (n + 1) / 2) / (n * (len(true) - n)))
