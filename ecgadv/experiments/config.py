"""What a run is: frozen dataclasses whose canonical JSON names the run's folder."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field, replace

from ecgadv.errors import EcgadvError
from ecgadv.training import Schedule

# Raised when the meaning of a config changes; old records then stay under their old keys.
TRAINING_VERSION = 1
EVALUATION_VERSION = 1


@dataclass(frozen=True)
class Defense:
    """A training loss by name, with its options."""

    name: str  #: cross-entropy, adversarial, jacobian, nsr, trades or gaussian
    variant: str = "faithful"  #: the authors' protocol, or "corrected"
    options: dict = field(default_factory=dict)
    masked: bool = False  #: the training attack is told where the padding is


@dataclass(frozen=True)
class Attack:
    """An attack of the evaluation, run at each eps."""

    name: str  #: how records and figures call it
    method: str  #: uniform-noise, fgsm, pgd, apgd, adamax-pgd, sap, spsa, or a suite: standard
    eps: tuple[float, ...]  #: in the unit of the data
    options: dict = field(default_factory=dict)
    bounded: bool = True  #: clip to the range of the data
    masked: bool = False  #: leave the zero padding alone (row B14)
    per_class: int | None = None  #: attack at most so many test examples of each class
    nested: bool = False  #: count what broke at a smaller eps as broken at a larger one
    transfer: bool = False  #: craft the examples on the config's surrogate instead
    predictions: bool = False  #: keep the class that each example ends in, for F1 scores
    leads: tuple[int, ...] = ()  #: rows of x that it may change; all if empty
    unit: str = ""  #: "uV" if eps is in microvolts on every lead, else that of the data

    def __post_init__(self):
        object.__setattr__(self, "leads", tuple(self.leads))  # a list, if read from JSON


@dataclass(frozen=True)
class Teacher:
    """A trained network whose softened outputs are the labels of another one's training."""

    config: "Config"  #: its weights of the same seed
    temperature: float = 1.0  #: of the soft labels and of the student's loss
    train_mode: bool = True  #: as in paper A; dropout and batch statistics blur the labels (A4)


@dataclass(frozen=True)
class Config:
    """One network, one defense, and the attacks it is put through."""

    experiment: str
    profile: str
    label: str  #: unique in experiment and profile, like mlp/nsr-0.4/faithful
    dataset: str
    split: str
    model: str
    defense: Defense
    schedule: Schedule
    attacks: tuple[Attack, ...]
    model_options: dict = field(default_factory=dict)
    teacher: Teacher | None = None  #: distillation
    initial: "Config | None" = None  #: training goes on from its weights of the same seed
    surrogate: "Config | None" = None  #: where transferred examples are crafted, same seed
    boundary: dict = field(default_factory=dict)  #: of the boundary attack; not run if empty
    proof: tuple[float, ...] = ()  #: eps at which robustness is proved, in the unit of the data
    proof_per_class: int | None = None  #: for at most so many test examples of each class
    certificate: dict = field(default_factory=dict)  #: of the smoothed network; none if empty
    precision: str = "fp32"  #: of the evaluation
    tested_on: str = ""  #: dataset that is all tested, or "validation", if not the test part
    half: bool = False  #: matrices of weights are kept in half precision, and evaluated so
    together: int = 1  #: at most so many seeds train side by side in one stacked network
    differs: tuple[str, ...] = ()  #: how it differs from the paper's protocol, one line each

    def __post_init__(self):
        if self.together > 1 and (self.teacher is not None or self.initial is not None):
            raise EcgadvError(
                f"{self.label}: together is {self.together}, but each seed has a teacher or "
                "initial weights of its own; set together to 1"
            )

    def training_part(self) -> dict:
        """Return what the trained weights depend on; runs that share it share the weights."""
        names = ("dataset", "split", "model", "model_options", "defense", "schedule")
        parts = {name: essence(getattr(self, name)) for name in names}
        if self.teacher is not None:
            parts["teacher"] = essence(replace(self.teacher, config=None))
            parts["teacher"]["config"] = self.teacher.config.training_part()
        if self.initial is not None:
            parts["initial"] = self.initial.training_part()
        if self.half:
            parts["half"] = True
        return parts

    def builds_on(self) -> "dict[str, Config]":
        """Return the configs whose weights of the same seed must be there first, by role."""
        teacher = None if self.teacher is None else self.teacher.config
        roles = {"initial": self.initial, "teacher": teacher, "surrogate": self.surrogate}
        return {role: config for role, config in roles.items() if config is not None}


Plan = list[tuple[Config, int]]  # configs, each with its number of seeds: 0, 1, 2, ...


def as_dict(value):
    """Return plain JSON types for a config or a part of one."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    return json.loads(json.dumps(value))


def from_dict(value: dict) -> Config:
    """Return the Config that `as_dict` turned into `value`, as a record holds it.

    Raises EcgadvError if this version of the code knows no such config.
    """
    try:
        attacks = tuple(Attack(**{**a, "eps": tuple(a["eps"])}) for a in value["attacks"])
        teacher = value.get("teacher")
        nested = {
            role: from_dict(value[role]) for role in ("initial", "surrogate") if value.get(role)
        }
        if teacher:
            nested["teacher"] = Teacher(**{**teacher, "config": from_dict(teacher["config"])})
        return Config(
            **{
                **value,
                "defense": Defense(**value["defense"]),
                "schedule": Schedule(**value["schedule"]),
                "attacks": attacks,
                "differs": tuple(value["differs"]),
                "proof": tuple(value.get("proof", ())),
                **nested,
            }
        )
    except (KeyError, TypeError) as error:
        raise EcgadvError(f"the config is not of this version of ecgadv ({error})") from error


def essence(value):
    """Return the fields of a dataclass that differ from their defaults, all the way down.

    Keys are made of these, so an option added later leaves the keys of older records as they are.
    """
    if isinstance(value, tuple):
        return [essence(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    found = {}
    for item in dataclasses.fields(value):
        content = getattr(value, item.name)
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if content != default:
            found[item.name] = essence(content)
    return found


def key(parts: dict) -> str:
    """Return the first 16 hex digits of the sha256 of the canonical JSON of `parts`."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def training_key(config: Config, seed: int, fingerprint: str) -> str:
    """Return the name of the weights that `config` and `seed` give on this data."""
    return key(
        {
            "training": config.training_part(),
            "seed": seed,
            "data": fingerprint,
            "version": TRAINING_VERSION,
        }
    )


# Fields that say how a run is called or scheduled, not what it computes.
_LABELS = ("differs", "together")


def run_key(config: Config, seed: int, fingerprint: str) -> str:
    """Return the name of the record of `config` and `seed` on this data."""
    bare = replace(config, teacher=None, initial=None, surrogate=None)
    parts = {name: value for name, value in essence(bare).items() if name not in _LABELS}
    # Of the networks it builds on, only their training counts.
    parts |= {
        role: config.training_part()[role]
        for role in ("teacher", "initial")
        if getattr(config, role) is not None
    }
    if config.surrogate is not None:
        parts["surrogate"] = config.surrogate.training_part()
    return key(
        {
            "config": parts,
            "seed": seed,
            "data": fingerprint,
            "versions": [TRAINING_VERSION, EVALUATION_VERSION],
        }
    )
