"""Records of one config put together: flags of all seeds, accuracies with both intervals.

Everything a page says about a network comes from here. Accuracies are class-balanced unless asked
otherwise, because that is what paper B calls accuracy (PROTOCOLS row B3).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ecgadv.errors import EcgadvError
from ecgadv.evaluation import metrics, scores
from ecgadv.evaluation.intervals import seed_interval
from ecgadv.evaluation.robustness import NOT_ATTACKED, worst_case
from ecgadv.experiments.scores import HAN_CLASSES
from ecgadv.experiments.store import Record
from ecgadv.results.estimate import Estimate, estimate, once
from ecgadv.results.names import plain

WORST = "worst-case"
IN_RANGE = "worst-case-in-range"  # of the attacks that keep to the range of the data
AUTO = "auto-pgd"  # of the attacks that are Auto-PGD, whatever their loss
AREA_TO = 0.1  # upper end of paper B's area under the curve


@dataclass(frozen=True)
class Result:
    """All seeds of one config, evaluated on the same test examples.

    Raises:
        EcgadvError: the seeds were tested on different examples.
    """

    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        ids = [examples["id"] for examples in self._examples]
        if any(not np.array_equal(other, ids[0]) for other in ids[1:]):
            raise EcgadvError(f"the seeds of {self.label} have different test examples")

    @cached_property
    def _examples(self) -> list[dict[str, np.ndarray]]:
        return [record.examples() for record in self.records]

    @property
    def config(self) -> dict:
        return self.records[0].config

    @property
    def label(self) -> str:
        return self.config["label"]

    @property
    def split(self) -> str:
        return self.label.split("/")[0]

    @property
    def network(self) -> str:
        """mlp or cnn, paper A's han, or resnet on twelve leads."""
        return self.label.split("/")[1]

    @property
    def defense(self) -> str:
        """Short name with the strength, such as nsr-0.4."""
        return self.label.split("/")[2]

    @property
    def variant(self) -> str:
        """faithful or corrected, or what else is changed, such as last-epoch."""
        return self.label.split("/")[3]

    @property
    def profile(self) -> str:
        return self.config["profile"]

    @property
    def name(self) -> str:
        """The defense in words."""
        unit = self.records[0].run["data"].get("unit", "")  # the attacks' may be another
        return plain(self.defense, self.experiment, variant=self.variant, unit=unit)

    @property
    def experiment(self) -> str:
        """paper-a, paper-b or twelve-leads."""
        return self.config["experiment"]

    @property
    def unit(self) -> str:
        """The unit of eps, which all attacks have of their own, or else that of the signal.

        Empty where a record does not say.
        """
        own = {attack.get("unit", "") for attack in self.config["attacks"]}
        if len(own) == 1 and own != {""}:
            return own.pop()
        return self.records[0].run["data"].get("unit", "")

    @property
    def seeds(self) -> list[int]:
        return [record.seed for record in self.records]

    @property
    def classes(self) -> list[str]:
        return self.records[0].run["data"]["classes"]

    @property
    def ids(self) -> np.ndarray:
        """Position of every test example in its dataset, (N,)."""
        return self._examples[0]["id"]

    @property
    def y(self) -> np.ndarray:
        """Labels of the test examples, int64 (N,)."""
        return self._examples[0]["label"].astype(np.int64)

    @cached_property
    def patients(self) -> np.ndarray | None:
        """Whose each test beat is (N,) on the split between patients, where a record says.

        None elsewhere: the bootstrap then draws beats. The seeds' test beats are the same, so that
        one record speaks for all.
        """
        if self.split != "interpatient":
            return None
        return next((e["record"] for e in self._examples if "record" in e), None)

    @property
    def own_attacks(self) -> dict[str, list[float]]:
        """The noise levels of every attack that was run."""
        return {attack["name"]: attack["eps"] for attack in self.config["attacks"]}

    @property
    def attacks(self) -> dict[str, list[float]]:
        """The same with the worst cases, at the levels that most white-box attacks share."""
        direct = [a["eps"] for a in self.config["attacks"] if not a.get("transfer")]
        count = Counter(eps for levels in direct for eps in levels)
        shared = sorted(eps for eps, n in count.items() if n == max(count.values()))
        auto = {AUTO: shared} if self._worst_of[AUTO] else {}
        return {**self.own_attacks, **auto, IN_RANGE: shared, WORST: shared}

    @property
    def _worst_of(self) -> dict[str, list[str]]:
        """The attacks that each worst case is taken over."""
        ran = self.config["attacks"]
        return {
            WORST: [attack["name"] for attack in ran],
            IN_RANGE: [attack["name"] for attack in ran if attack["bounded"]],
            AUTO: [attack["name"] for attack in ran if attack["method"] == "apgd"],
        }

    @cached_property
    def predictions(self) -> np.ndarray:
        """Predicted classes without an attack, (S, N)."""
        return np.stack([examples["prediction"] for examples in self._examples]).astype(np.int64)

    @cached_property
    def clean(self) -> np.ndarray:
        """Flags without an attack, (S, N)."""
        return (self.predictions == self.y).astype(np.uint8)

    def held(self, attack: str, eps: float) -> np.ndarray:
        """Return flags (S, N) under an attack at one noise level; 0 is no attack.

        A worst case is taken example by example over its attacks and all noise levels up to eps,
        on the examples that every attack saw. An attack without the level does not count.
        """
        if eps == 0:
            return self.clean
        if attack in self._worst_of:
            return self._worst[attack][eps]
        return self.arrays(f"held/{attack}/{eps:g}")

    def arrays(self, name: str) -> np.ndarray:
        """Return an array of examples.npz of all seeds, (S, ...)."""
        return np.stack([examples[name] for examples in self._examples])

    @cached_property
    def _worst(self) -> dict[str, dict[float, np.ndarray]]:
        levels = self.attacks[WORST]
        every = [
            self.held(n, eps) for n, own in self.own_attacks.items() for eps in levels if eps in own
        ]
        seen = np.all([flags != NOT_ATTACKED for flags in every], axis=(0, 1))
        return {
            name: self._combined(names, seen) for name, names in self._worst_of.items() if names
        }

    def _combined(self, names: Sequence[str], seen: np.ndarray) -> dict[float, np.ndarray]:
        """Return the worst case of some attacks at every noise level, among the seen (N,)."""
        found, before = {}, np.where(seen, self.clean, NOT_ATTACKED).astype(np.uint8)
        for eps in self.attacks[WORST]:
            flags = {name: self.held(name, eps) for name in names if eps in self.own_attacks[name]}
            rows = [
                worst_case({name: held[s] for name, held in flags.items()}, among=seen)
                for s in range(len(self.records))
            ]
            # What a smaller ball broke lies in the larger ball too.
            before = found[eps] = np.minimum(before, np.stack(rows))
        return found

    def attacked(self, attack: str) -> int:
        """Return how many test examples the attack saw."""
        eps = self.attacks[attack][0]
        return int((self.held(attack, eps) != NOT_ATTACKED).all(axis=0).sum())

    @once
    def accuracy(self, attack: str, eps: float, *, balanced: bool = True) -> Estimate:
        """Return the accuracy at one noise level; at eps 0, on all test examples."""
        return self.estimate(self.held(attack, eps)[:, None], balanced=balanced)

    @once
    def accuracy_before(self, attack: str, *, balanced: bool = True) -> Estimate:
        """Return the accuracy without an attack, on the examples that this one saw."""
        held = self.held(attack, self.attacks[attack][0])
        rows = np.where(held == NOT_ATTACKED, NOT_ATTACKED, self.clean).astype(np.uint8)
        return self.estimate(rows[:, None], balanced=balanced)

    def has_predictions(self, attack: str, eps: float) -> bool:
        """Return whether the records kept the classes that the network read."""
        return eps == 0 or f"predicted/{attack}/{eps:g}" in self._examples[0]

    def read(self, attack: str, eps: float) -> np.ndarray:
        """Return the classes under an attack (S, N), 255 where not attacked; 0 is no attack."""
        return self.predictions if eps == 0 else self.arrays(f"predicted/{attack}/{eps:g}")

    @once
    def f1(self, attack: str, eps: float, *, han: bool = False) -> Estimate:
        """Return macro-F1 over all classes, or Han's over all but the last, noise (row A19)."""
        k = len(self.classes)
        about = (self.read(attack, eps), self.y, k, range(HAN_CLASSES if han else k))
        return Estimate(seed_interval(scores.macro_f1(*about)), scores.f1_interval(*about))

    @property
    def proof(self) -> list[float]:
        """The noise levels at which a bound was computed."""
        return self.config.get("proof", [])

    def proved(self, eps: float) -> np.ndarray:
        """Return flags (S, N): 1 where no perturbation of that size can turn the beat, proved."""
        return self.clean if eps == 0 else self.arrays(f"proved/{eps:g}")

    @once
    def accuracy_proved(self, eps: float) -> Estimate:
        """Return the class-balanced share that is proved to hold at one noise level."""
        return self.estimate(self.proved(eps)[:, None])

    @once
    def area(self, attack: str) -> Estimate:
        """Return paper B's AUC(0.1), on the examples that the attack saw."""
        levels, rows = self.area_rows(attack)
        return self.estimate(rows, lambda a: metrics.auc(levels, a, AREA_TO))

    @once
    def acc_robust(self, attack: str) -> Estimate:
        """Return paper B's ACC_robust, likewise."""
        levels, rows = self.area_rows(attack)

        def robust(a: np.ndarray) -> np.ndarray:
            return np.sqrt(a[..., 0] * metrics.auc(levels, a, AREA_TO))

        return self.estimate(rows, robust)

    def area_rows(self, attack: str) -> tuple[list[float], np.ndarray]:
        """Return the noise levels from 0 to 0.1 (M,) and the flags at them (S, M, N)."""
        levels = [0.0, *(eps for eps in self.attacks[attack] if eps <= AREA_TO)]
        return levels, np.stack([self.held(attack, eps) for eps in levels], axis=1)

    def sensitivity(self, attack: str, eps: float) -> np.ndarray:
        """Return the share of every class that holds, mean over seeds (K,)."""
        counts = [
            metrics.held_by_class(held, self.y, len(self.classes))
            for held in self.held(attack, eps)
        ]
        return np.mean([held / np.maximum(attacked, 1) for held, attacked in counts], axis=0)

    def estimate(
        self,
        rows: np.ndarray,
        statistic: Callable[[np.ndarray], np.ndarray] | None = None,
        *,
        balanced: bool = True,
    ) -> Estimate:
        """Return `estimate` of M rows of flags (S, M, N) on the test examples."""
        return estimate(
            rows,
            self.y,
            len(self.classes),
            statistic,
            balanced=balanced,
            patients=self.patients,
        )
