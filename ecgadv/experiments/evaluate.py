"""Put a trained network through the attacks of its config: the numbers and flags of a record."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ecgadv import attacks, data
from ecgadv.errors import EcgadvError
from ecgadv.evaluation.robustness import (
    BROKEN,
    NOT_ATTACKED,
    attack_predictions,
    craft,
    flags_of,
    predict,
)
from ecgadv.evaluation.suite import SUITES
from ecgadv.experiments import cascades, certificates, pairs, proofs, scores
from ecgadv.experiments.config import Attack, Config, training_key
from ecgadv.experiments.earlier import Earlier
from ecgadv.experiments.exposure import subset, tested, threat_of
from ecgadv.experiments.session import Session
from ecgadv.experiments.unfinished import Arrays, Unfinished
from ecgadv.models.precision import computing_in
from ecgadv.training import OutOfTime

ATTACKS = {
    "uniform-noise": attacks.uniform_noise,
    "fgsm": attacks.fgsm,
    "pgd": attacks.pgd,
    "adamax-pgd": attacks.adamax_pgd,
    "apgd": attacks.apgd,
    "sap": attacks.sap,
    "spsa": attacks.spsa,
}
# Examples in a batch: what fits a device, and on a CPU its cache.
BATCH = {"beat-mlp": 1024, "beat-cnn": 1024, "han-cnn": 64, "resnet18a": 64}


def evaluate(
    config: Config,
    seed: int,
    model: nn.Module,
    dataset: data.Dataset,
    session: Session,
    unfinished: Unfinished | None = None,
    earlier: Earlier | None = None,
) -> tuple[dict, Arrays]:
    """Return the numbers of metrics.json and the arrays of examples.npz.

    Each attack at each eps, and each lot of the boundary attack's pairs, is a part that
    `unfinished` keeps. What `earlier` has is not run again, if the network still reads every
    example as it did there. Raises OutOfTime when the session's deadline passes between two parts.
    """
    parts = unfinished or Unfinished(), earlier
    with computing_in(config.precision, session.device):
        return _Evaluation(config, seed, model, dataset, session, *parts).result()


def attack_function(attack: Attack, eps: float) -> Callable[..., Tensor]:
    """Return the attack of a config at one eps: what takes a network, x, y and a threat."""
    options = dict(attack.options)
    if "relative_step" in options:
        least = options.pop("least_step", 0.0)
        options["step_size"] = max(least, options.pop("relative_step") * eps)
    return partial(ATTACKS[attack.method], **options)


class _Evaluation:
    """One network on the test part of its split."""

    def __init__(self, config, seed, model, dataset, session, unfinished, earlier):
        self.config, self.seed, self.model = config, seed, model
        self.dataset, self.session = dataset, session
        self.unfinished, self.earlier = unfinished, earlier
        self.parts = data.split(dataset, config.split)
        self.tested, self.test = tested(config, dataset, self.parts, session)
        self.x = torch.from_numpy(self.tested.x[self.test])
        self.y = self.tested.y[self.test]
        self.mask = torch.from_numpy(self.tested.mask(self.test))
        self.classes = len(dataset.classes)
        self.batch = BATCH[config.model]

    def result(self) -> tuple[dict, Arrays]:
        logits = predict(self.model, self.x, mask=self.mask, batch_size=self.batch).numpy()
        self.prediction = prediction = logits.argmax(1)
        if self.earlier and not np.array_equal(self.earlier.examples["prediction"], prediction):
            self.earlier = None
        numbers = {
            "clean": scores.clean(prediction, self.y, self.classes),
            "validation": scores.clean(*self._validation(), self.classes),
            "attacks": {},
        }
        examples = {
            "id": self.test,
            "record": self.tested.record[self.test],
            "label": self.y.astype(np.uint8),
            "logits": logits.astype(np.float16),
            # The prediction is kept beside the rounded logits, which may tie.
            "prediction": prediction.astype(np.uint8),
        }
        clean_held = (prediction == self.y).astype(np.uint8)
        found, about = self._found()
        for attack in self.config.attacks:
            held = {eps: arrays["held"] for eps, arrays in found[attack.name].items()}
            for eps, arrays in found[attack.name].items():
                examples |= {f"{kind}/{attack.name}/{eps:g}": v for kind, v in arrays.items()}
            own = scores.attacked(held, clean_held, self.y, self.classes)
            own |= about.get(attack.name, {})
            if attack.predictions:
                ends = {eps: arrays["predicted"] for eps, arrays in found[attack.name].items()}
                own |= scores.f1_under_attack(ends, self.y, self.classes)
            numbers["attacks"][attack.name] = own
        if self.config.proof:
            proved = proofs.proved(self)
            examples |= {f"proved/{eps:g}": flags for eps, flags in proved.items()}
            numbers["proved"] = scores.attacked(proved, clean_held, self.y, self.classes)
        if self.config.certificate:
            options = self.config.certificate
            known = self.earlier and self.earlier.certified(options)
            examples |= known or certificates.certified(self)
            beyond = certificates.held(examples, (0.0, *options["eps"]))
            smooth = beyond.pop(0.0)
            numbers["certified"] = scores.attacked(beyond, smooth, self.y, self.classes)
        if self.config.boundary:
            known = self.earlier and self.earlier.boundary(self.config.boundary)
            numbers["boundary"], arrays = known or pairs.attacked(self)
            examples |= arrays
        return numbers, examples

    def _found(self) -> tuple[dict[str, dict[float, Arrays]], dict[str, dict]]:
        """Return by attack what each finds at its levels of eps, and what suites say of it."""
        found: dict[str, dict[float, Arrays]] = {a.name: {} for a in self.config.attacks}
        about, single = {}, []
        for attack in self.config.attacks:
            if attack.method in SUITES:
                found[attack.name], about[attack.name] = cascades.attacked(self, attack)
            else:
                single += [(attack, eps) for eps in attack.eps]
        for done, (attack, eps) in enumerate(single):
            self.report(f"{attack.name} eps {eps:g}", done / len(single))
            found[attack.name][eps] = self._part(attack, eps, found[attack.name])
        return found, about

    def surrogate(self) -> nn.Module:
        """Return the network on which transferred examples are crafted."""
        return self.session.trained(self.config.surrogate, self.seed)

    def is_surrogate(self) -> bool:
        """Say whether the network is the one that transferred examples are crafted on."""
        return self._weights_of(self.config) == self._weights_of(self.config.surrogate)

    def _weights_of(self, config: Config) -> str:
        return training_key(config, self.seed, self.dataset.fingerprint)

    def crafting(self, *attack) -> tuple:
        """Return what transferred examples depend on: networks that share it share them.

        Not the surrogate's label, which it has in every profile.
        """
        if self.config.surrogate is None:
            raise EcgadvError(
                f"{self.config.label}: transferred examples need a surrogate to be made on"
            )
        weights = self._weights_of(self.config.surrogate)
        return weights, self.parts.test.tobytes(), self.config.precision, repr(attack)

    def report(self, text: str, share: float) -> None:
        """Say what begins; raise OutOfTime if the deadline has passed."""
        if self.session.deadline is not None and time.monotonic() > self.session.deadline:
            raise OutOfTime
        self.session.on_progress(text, share)

    def _validation(self) -> tuple[np.ndarray, np.ndarray]:
        index = self.parts.validation
        x, mask = (torch.from_numpy(a) for a in (self.dataset.x[index], self.dataset.mask(index)))
        logits = predict(self.model, x, mask=mask, batch_size=self.batch)
        return logits.argmax(1).numpy(), self.dataset.y[index]

    def _part(self, attack: Attack, eps: float, before: dict[float, Arrays]) -> Arrays:
        """Return what the attack finds at one eps: known, kept, or found now.

        "held" are its flags; "predicted", where the attack keeps them, the classes under it.
        """
        known = self.earlier and self.earlier.found(attack, eps)
        if known is not None:
            return known
        attacked = partial(self._attack, attack, eps, before)
        return self.unfinished.once(f"{attack.name}-{eps:g}", attacked)

    def _attack(self, attack: Attack, eps: float, before: dict[float, Arrays]) -> Arrays:
        """Attack at one eps; `before` holds what was found at smaller ones."""
        candidates = subset(self.y, attack.per_class)
        broken = np.zeros(len(self.y), bool)
        if attack.nested and before:  # what a smaller ball broke stays as it ended there
            smaller = before[max(before)]
            broken = candidates & (smaller["held"] == BROKEN)
        left = candidates & ~broken
        if attack.transfer:
            ends = self._transferred(attack, eps, left)
        else:
            ends = attack_predictions(
                self.model,
                self.x,
                self.y,
                attack_function(attack, eps),
                threat_of(attack, eps, self.tested, self.test),
                mask=self.mask_of(attack),
                batch_size=self.batch,
                candidates=left,
                keep_padding=attack.masked or not self.sees_mask,
            )
        found = {"held": flags_of(ends, self.y)}
        if attack.predictions:
            found["predicted"] = ends
        if broken.any():
            found = {kind: np.where(broken, smaller[kind], v) for kind, v in found.items()}
        return found

    @property
    def sees_mask(self) -> bool:
        """Whether the network itself is told where the padding is."""
        return getattr(self.model, "uses_mask", False)

    def mask_of(self, attack: Attack) -> Tensor | None:
        """Return the mask that an attack is given, or None."""
        return self.mask if attack.masked or self.sees_mask else None

    def _transferred(self, attack: Attack, eps: float, candidates: np.ndarray) -> np.ndarray:
        """Return what the network reads in examples that were crafted on the surrogate.

        They are made of all examples of the subset, whichever of them a network reads right, so
        that all networks get the same ones.
        """
        index = np.flatnonzero(subset(self.y, attack.per_class))
        made = self.crafting(attack, eps)
        if made not in self.session.crafted:
            mask = self.mask_of(attack)
            self.session.crafted[made] = craft(
                self.surrogate(),
                self.x[index],
                self.y[index],
                attack_function(attack, eps),
                threat_of(attack, eps, self.tested, self.test),
                mask=None if mask is None else mask[index],
                batch_size=self.batch,
            )
        ends = predict(self.model, self.session.crafted[made], batch_size=self.batch).argmax(1)
        clean = self.prediction[index]
        found = np.full(len(self.y), NOT_ATTACKED, np.uint8)
        found[index] = np.where(clean == self.y[index], ends.numpy(), clean)
        return np.where(candidates, found, NOT_ATTACKED)
