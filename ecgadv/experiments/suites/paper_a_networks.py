"""The networks of paper A and the attacks that they are put through, in whatever profile."""

from dataclasses import replace

from ecgadv.experiments.config import Attack, Config, Defense, Teacher
from ecgadv.training import Schedule

SWEEP = (1.0, 2.0, 5.0, 10.0, 15.0, 25.0)  # uV; the list swept in the paper is not published
TEMPERATURES = (2, 5, 10, 20)  # ours: the authors' repository has T = 1 alone (row A5)
JACOBIAN, JACOBIAN_RETUNED = 44.0, 1e5  # the authors' weight; ours for an input in microvolts
MILLIVOLT = 1000.0  # uV: what one unit of a beat normalised to its range is about (row A17)


def attacks_of(
    *,
    sap: tuple[int, int] = (20, 20),
    sweep: tuple[float, ...] = SWEEP,
    authors_pgd: bool = False,
    **sizes: float | int | None,
) -> tuple[Attack, ...]:
    """Return the attacks that every network of paper A is put through (PROTOCOLS 2.5).

    SAP is the authors' white box, with a padding that is attacked and then restored (row A11),
    and the last example is taken: one that is misread before may not be once the padding is
    restored. `sap-40` is Han's own with 40 smoothed steps (row A9), and leaves the padding alone.
    PGD's steps can reach every eps of the sweep (row A10). The transferred ones are made on the
    undefended network, with all steps even where fewer turn it; the authors' file of transferred
    SAP runs PGD (row A8), here it is SAP.

    Args:
        sap: steps before and after smoothing sets in.
        sweep: eps of PGD, in the unit of the data.
        sizes: `eps` of SAP (10 uV), `step` (1 uV), and `per_class`, test examples of each class to
            attack, None being all.
        authors_pgd: run the authors' single PGD, too: eps 25 uV, which 20 steps of 1 uV from the
            recording itself cannot reach (row A10).
    """
    eps, step = sizes.get("eps", 10.0), sizes.get("step", 1.0)
    shared = {"masked": True, "per_class": sizes.get("per_class"), "predictions": True}
    smooth = {"pgd_steps": sap[0], "smooth_steps": sap[1], "step_size": step}
    last = {**smooth, "keep": "last"}
    plain = {"steps": sap[0], "relative_step": 2.5 / sap[0], "least_step": step}
    plain["random_start"] = False
    moved = tuple(level for level in sweep if level >= eps)
    own = {"steps": 20, "step_size": 1.0, "random_start": False, "early_stop": True}
    return (
        Attack("sap", "sap", (eps,), {**last, "mask_inside": False}, **shared),
        Attack("sap-40", "sap", (eps,), {**smooth, "smooth_steps": 2 * sap[1]}, **shared),
        Attack("pgd", "pgd", sweep, {**plain, "early_stop": True}, nested=True, **shared),
        Attack("transfer-sap", "sap", (eps,), last, transfer=True, **shared),
        Attack("transfer-pgd", "pgd", moved, plain, transfer=True, **shared),
        *([Attack("pgd-authors", "pgd", (25.0,), own, **shared)] if authors_pgd else []),
    )


def training_attack(*, train_mode: bool, steps: tuple[int, int], **sizes: float) -> dict:
    """Return the options of SAP inside training; `train_mode` is the authors' (row A3)."""
    return {
        "attack": "sap",
        "eps": sizes.get("eps", 10.0),
        "pgd_steps": steps[0],
        "smooth_steps": steps[1],
        "step_size": sizes.get("step", 1.0),
        "train_mode": train_mode,
        "mask_inside": False,
        "summed": True,
    }


class Maker:
    """Makes the configs of one profile, which share data, network, schedule and attacks.

    Args:
        base: the undefended network's config.
        steps: of SAP inside training, before and after smoothing sets in.
        sizes: `eps` and `step` of that SAP, in the unit of the data.
        further: the schedule of all but the undefended network where they go on from its weights
            instead of beginning anew; None where they begin anew.
    """

    def __init__(
        self,
        base: Config,
        *,
        steps: tuple[int, int] = (5, 5),
        sizes: dict[str, float] | None = None,
        further: Schedule | None = None,
    ):
        self.base, self.steps, self.sizes, self.further = base, steps, sizes or {}, further
        self.undefended = replace(base, surrogate=_bare(base))

    def __call__(self, name: str, defense: Defense, variant: str = "faithful", **changes) -> Config:
        """Return the config of a defense under its label."""
        split = changes.get("split", self.base.split)
        initial = None if self.further is None else _bare(self.base)
        return replace(
            self.base,
            label=f"{split}/han/{name}/{variant}",
            defense=replace(defense, variant=variant),
            schedule=changes.pop("schedule", self.further or self.base.schedule),
            initial=initial,
            surrogate=_bare(self.base),
            **changes,
        )

    def adversarial(self, name: str, teacher: Teacher | None = None, variant="faithful", **changes):
        """Return SAP adversarial training, on hard labels or on a teacher's."""
        train_mode = variant != "eval-attack"
        options = training_attack(train_mode=train_mode, steps=self.steps, **self.sizes)
        defense = Defense("adversarial", options=options, masked=True)
        return self(name, defense, variant, teacher=teacher, **changes)

    def jacobian(self, beta: float, variant: str = "faithful") -> Config:
        """Return Jacobian regularization: mean squared Frobenius norm (row A15)."""
        options = {"beta": beta, "norm": "l2", "divisor": 1, "own_pass": True}  # row A14
        defense = Defense("jacobian", options=options)
        return self(f"jacobian-{beta:g}", defense, variant, schedule=self._after_warmup())

    def nsr(self, variant: str = "faithful", **options: float) -> Config:
        """Return NSR regularization; `max_noise` rescales it (row A17)."""
        options = {"beta": 1.0, "per_class_pass": True, **options}  # row A14
        defense = Defense("nsr", options=options)
        return self("nsr-1", defense, variant, schedule=self._after_warmup())

    def _after_warmup(self) -> Schedule:
        """Return the schedule of a penalty, which sets in after a tenth of the epochs."""
        if self.further is not None:
            return self.further
        return replace(self.base.schedule, warmup=max(1, self.base.schedule.epochs // 10))

    def clean(self, name: str, teacher: Config, temperature: float = 1.0) -> Config:
        """Return a student of a teacher's soft labels on clean recordings."""
        defense = Defense("cross-entropy", options={"summed": True})
        return self(name, defense, teacher=Teacher(_bare(teacher), temperature))


def _bare(config: Config) -> Config:
    """Return what matters of a config that another one builds on: its training."""
    return replace(config, attacks=(), differs=(), surrogate=None, boundary={})


def defenses_of(make: Maker) -> list[Config]:
    """Return the eight networks of paper A (PROTOCOLS 2.4), and what we add to them.

    Teachers are networks of the list: the authors' adversarial teacher is trained as their
    adversarial training is, and their clean teacher as the undefended network is, up to the
    scale of the loss, which Adam does not see (row A6).
    """
    undefended = make.undefended
    hardened = make.adversarial(f"at-{make.sizes.get('eps', 10.0):g}")

    def from_hardened(temperature: float = 1.0, *, train_mode: bool = True) -> Teacher:
        return Teacher(_bare(hardened), temperature, train_mode)

    return [
        undefended,
        hardened,
        make.adversarial("adt-1", from_hardened()),
        make.clean("distillation-1", undefended),
        make.clean("initadt-1", hardened),
        make.adversarial("distadt-1", Teacher(_bare(undefended))),
        make.jacobian(JACOBIAN),
        make.jacobian(JACOBIAN_RETUNED, "retuned"),
        make.nsr(),
        make.nsr("rescaled", max_noise=MILLIVOLT),
        *(make.adversarial(f"adt-{t}", from_hardened(t), "ours") for t in TEMPERATURES),
        make.adversarial("adt-1", from_hardened(train_mode=False), "eval-labels"),
        make.adversarial("adt-1", from_hardened(), "eval-attack"),
        *selection(make, undefended, from_hardened()),
    ]


def selection(make: Maker, undefended: Config, teacher: Teacher) -> list[Config]:
    """Return the undefended network and ADT with the other way of choosing the epoch (row A7).

    Where the profile chooses it on the test part, as the authors do, that is the last epoch; where
    it keeps the last one, the best on the test part. Where all but the undefended network begin
    from that one, there are too few epochs to choose among.
    """
    if make.further is not None:
        return []
    chooses = undefended.schedule.keep == "best"
    variant, keep = ("last-epoch", "last") if chooses else ("selected-on-test", "best")
    split = undefended.split if chooses else "han-selected"
    changes = {"schedule": replace(undefended.schedule, keep=keep), "split": split}
    plain = make("ce", Defense("cross-entropy"), variant, **changes)
    return [plain, make.adversarial("adt-1", teacher, variant, **changes)]
