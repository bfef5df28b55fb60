"""The cascade behind `evaluate`: each attack on what those before it left, level by level.

What a smaller eps broke stays broken at a larger one, since its ball lies within. The search for
the smallest perturbation runs once on all examples, and what it finds counts at each level.
"""

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ecgadv import files
from ecgadv.attacks.gradient import attack_loss, misread
from ecgadv.border import examples
from ecgadv.border.arrays import BROKEN, HELD, NOT_ATTACKED
from ecgadv.border.networks import forward, frozen, home
from ecgadv.errors import EcgadvError, NoGradientError
from ecgadv.evaluation.robustness import BUDGET_TOLERANCE
from ecgadv.evaluation.subject import Subject, take
from ecgadv.evaluation.suite import REACH, Step
from ecgadv.threat import Threat

NOBODY = -1
KEPT = "cascade.npz"


class Cascade:
    """How far the attacks of `steps` have come on a subject.

    Attributes:
        flags: uint8 (A, E, N), 1 held, 0 broken, 255 not attacked, for each attack and level.
        breaker: int16 (E, N), the first attack that broke an example at a level, or -1.
        smallest: (N,), the least perturbation found, as a share of the largest level; inf if none.
        logits: (E, N, K) of the example of highest margin that was found within a level.
        spent: (A, E, 3), forward and backward passes of examples, and seconds.
        found: (N, C, L), the example of the least perturbation, else NaN; empty unless kept.
        notes: what did not run, and why.
    """

    def __init__(
        self, subject: Subject, steps: list[Step], *, seed: int, keep_examples: bool = False
    ):
        self.subject, self.steps, self.seed = subject, steps, seed
        levels, n, k = len(subject.threats), len(subject.x), subject.logits.shape[1]
        self.flags = np.full((len(steps), levels, n), NOT_ATTACKED, np.uint8)
        self.breaker = np.full((levels, n), NOBODY, np.int16)
        self.smallest = np.where(subject.right, np.inf, 0.0)
        self.nearest = np.full(n, np.inf)  # what the search for the smallest found by itself
        self.logits = subject.logits.numpy()[None].repeat(levels, axis=0).reshape(levels, n, k)
        self.highest = attack_loss("margin", subject.logits, subject.labels).numpy()
        self.highest = self.highest[None].repeat(levels, axis=0)
        self.spent = np.zeros((len(steps), levels, 3))
        # As wide as x: the nearest lie so close to the border that a narrower type crosses it.
        wide = np.float64 if subject.x.dtype == torch.float64 else np.float32
        self.found = np.full(subject.x.shape if keep_examples else 0, np.nan, wide)
        self.notes: list[str] = []
        self.done = 0  # pairs of level and step

    def worst(self, level: int) -> np.ndarray:
        """Return flags (N,), 1 where an example is read right and nothing broke it."""
        return ((self.breaker[level] == NOBODY) & self.subject.right).astype(np.uint8)

    def run(self, folder: Path | None, report: Callable[[str, float], None]) -> None:
        """Run what is not done yet; with a folder, keep what is."""
        pairs = [(e, a) for e in range(len(self.subject.threats)) for a in range(len(self.steps))]
        words = [step.word for step in self.steps if step.word]
        words += ["examples kept"] * bool(self.found.size)
        key = self.subject.key([step.name for step in self.steps], self.seed, *words)
        if folder is not None:
            self._go_on(folder, key)
        for done, (level, number) in enumerate(pairs):
            if done < self.done:
                continue
            step, threat = self.steps[number], self.subject.threats[level]
            report(f"{step.name}, eps {threat.shown_eps}", done / len(pairs))
            if number == 0 and level:
                self._inherit(level)
            self._step(level, number)
            self.done = done + 1
            if folder is not None:
                self._keep(folder, key)
        for level in reversed(range(len(self.subject.threats) - 1)):
            # An attack with more room may have found what those with less did not.
            late = (self.breaker[level] == NOBODY) & (self.smallest <= self._scale(level))
            late &= self.subject.right
            self.breaker[level, late] = self.breaker[level + 1, late]
        report("done", 1.0)

    def _inherit(self, level: int) -> None:
        """Take over what broke at the level below, with the examples that broke it."""
        self.breaker[level] = self.breaker[level - 1]
        better = self.highest[level - 1] > self.highest[level]
        self.logits[level, better] = self.logits[level - 1, better]
        self.highest[level] = np.maximum(self.highest[level], self.highest[level - 1])
        for number, step in enumerate(self.steps):
            if step.nearest:
                self._count_nearest(level, number)

    def _step(self, level: int, number: int) -> None:
        step = self.steps[number]
        if step.nearest and level:
            return  # it ran at the first level
        left = self.subject.right
        if not (step.beside or step.nearest):
            left = self.worst(level) == HELD
        began, before = time.perf_counter(), list(self.subject.network.passes)
        threat = self.subject.threats[-1 if step.nearest else level]
        if step.nearest:
            threat = threat.at(REACH * threat.eps)
        try:
            self._attack(step, level, number, threat, np.flatnonzero(left))
        except NoGradientError as error:
            self.flags[number, level] = NOT_ATTACKED
            note = f"{step.name} did not run: {error}"
            self.notes += [note] * (note not in self.notes)  # once, not for each level
        passes = np.subtract(self.subject.network.passes, before)
        self.spent[number, level] = [*passes, time.perf_counter() - began]

    def _attack(self, step, level, number, threat: Threat, rows: np.ndarray) -> None:
        s = self.subject
        device = home(s.network)[0] or s.x.device
        for batch, part in enumerate(torch.from_numpy(rows).split(s.batch_size)):
            if not len(part):
                break
            x, y, mask = (take(values, part, device) for values in (s.x, s.labels, s.mask))
            local = threat.take(part)
            word = np.random.SeedSequence([self.seed, level, number, batch]).generate_state(1)
            generator = torch.Generator(device=device).manual_seed(int(word[0]))
            with warnings.catch_warnings():
                # The report has an indicator for it.
                warnings.filterwarnings("ignore", "the gradient of")
                x_adv = step.attack(s.network, x.clone(), y, local, mask=mask, generator=generator)
            x_adv = examples.made(x_adv, x)
            local.check(x_adv, x, mask, tol=BUDGET_TOLERANCE)
            with frozen(s.network), torch.no_grad():
                # A copy: the example is still to be measured, and a network may write to its input.
                logits = forward(s.network, x_adv.clone(), mask)
            if bool(logits.isnan().any()):
                raise EcgadvError(f"NaN logits under {step.name}; check the network's weights")
            share = s.threats[-1].take(part).share(x_adv, x)
            self._judge(level, number, part.numpy(), x_adv, logits, y, share)

    def _judge(self, level, number, rows: np.ndarray, x_adv, logits, y, share) -> None:
        broken = misread(logits, y).cpu().numpy()
        margin = attack_loss("margin", logits, y).float().cpu().numpy()
        logits, share = logits.float().cpu().numpy(), share.double().cpu().numpy()
        closer = broken & (share < self.smallest[rows])
        self.smallest[rows[closer]] = share[closer]
        if self.found.size:
            self.found[rows[closer]] = x_adv.cpu().double().numpy()[closer]
        if self.steps[number].nearest:
            self.nearest[rows] = np.where(broken, share, np.inf)
            self._count_nearest(level, number)
            levels = range(len(self.subject.threats))
        else:
            self.flags[number, level, rows] = np.where(broken, BROKEN, HELD)
            first = rows[broken & (self.breaker[level, rows] == NOBODY)]
            self.breaker[level, first] = number
            levels = [level]
        for at in levels:  # the example belongs to each level that it lies within
            within = share <= self._scale(at) * (1 + BUDGET_TOLERANCE)
            higher = within & (margin > self.highest[at, rows])
            self.highest[at, rows[higher]] = margin[higher]
            self.logits[at, rows[higher]] = logits[higher]

    def _count_nearest(self, level: int, number: int) -> None:
        """Say at one level what the search for the smallest perturbation broke."""
        right = self.subject.right
        broken = right & (self.nearest <= self._scale(level))
        self.flags[number, level] = np.where(right, np.where(broken, BROKEN, HELD), NOT_ATTACKED)
        self.breaker[level, broken & (self.breaker[level] == NOBODY)] = number

    def _scale(self, level: int) -> float:
        """Return a level's eps as a share of the largest."""
        last = self.subject.threats[-1].eps
        if level == len(self.subject.threats) - 1:
            return 1.0
        return self.subject.threats[level].eps / last

    def _keep(self, folder: Path, key: str) -> None:
        state = {name: getattr(self, name) for name in STATE}
        about = json.dumps({"key": key, "done": self.done, "notes": self.notes})
        state["about"] = np.array(about)
        files.write_sealed(folder / KEPT, files.dump_arrays(state, compressed=True))

    def _go_on(self, folder: Path, key: str) -> None:
        path = folder / KEPT
        if folder.exists() and not folder.is_dir():
            raise EcgadvError(f"{folder} is a file; give a folder")
        if not path.exists():
            return
        try:
            state = files.parse_arrays(files.read_sealed(path))
            about = json.loads(str(state.pop("about")))
        except files.DAMAGED as error:
            raise EcgadvError(f"{path} is damaged ({files.why(error)}); delete it") from error
        if about["key"] != key:
            raise EcgadvError(
                f"{folder} keeps another evaluation: of other examples, weights, eps, attacks or "
                "keep_examples; give a folder of its own, or delete it"
            )
        if about["notes"] and about["done"] == len(self.subject.threats) * len(self.steps):
            return  # a network whose gradient has been mended since gives the same logits
        self.done, self.notes = about["done"], about["notes"]
        for name, values in state.items():
            setattr(self, name, values)


STATE = ("flags", "breaker", "smallest", "nearest", "logits", "highest", "spent", "found")
