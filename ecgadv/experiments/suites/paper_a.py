"""The experiments of paper A: adversarial distillation training on CinC 2017 (PROTOCOLS part 2)."""

from ecgadv.experiments.config import Config, Defense, Plan
from ecgadv.experiments.suites.paper_a_networks import Maker, attacks_of, defenses_of
from ecgadv.experiments.suites.standard import under_standard
from ecgadv.training import Schedule

COPIES = (1, 2, 1, 6)  # of N, AF, O and noise in the authors' training list (PROTOCOLS 2.1)

# What no run of ours can share with the authors'.
DIFFERS = (
    "the authors give no seed, and their records' order is not known",
    "PGD and sap-40 leave the zero padding alone throughout; sap restores it at the end",
    "records that are wrong without an attack stay wrong; the authors attack them, too",
    "a teacher labels each record once; the authors' added copies get labels of their own",
)
HALF = "the weights are kept, and evaluated, in half precision; training in bf16 arithmetic"
LAST = "a tenth of the training records validate; the last epoch is kept, none is selected"

# The standard cascade is long, so that it meets fewer records.
STANDARD_EPS, STANDARD_RECORDS = (5.0, 10.0, 25.0), 25  # uV; of each class

ONE_CYCLE = {"optimizer": "adam", "rate": "one-cycle", "sampler": "natural"}


def undefended(profile: str, *, dataset: str = "challenge-2017", **fields) -> Config:
    """Return the undefended network of a profile."""
    return Config(
        experiment="paper-a",
        profile=profile,
        label=f"{fields['split']}/han/ce/faithful",
        dataset=dataset,
        model="han-cnn",
        defense=Defense("cross-entropy"),
        **fields,
    )


def _planned(configs: list[Config], seeds: int) -> Plan:
    """Return the plan of these networks, then of each under the standard cascade."""
    cascade = {"per_class": STANDARD_RECORDS, "masked": True}
    under = [under_standard(config, STANDARD_EPS, **cascade) for config in configs]
    return [(config, seeds) for config in (*configs, *under)]


def paper() -> Plan:
    """The authors' protocol: 100 epochs anew for each network, the test part choosing the epoch."""
    base = undefended(
        "paper",
        split="han",
        schedule=Schedule(
            epochs=100,
            batch_size=16,
            optimizer="adam",
            sampler="natural",
            copies=COPIES,
            keep="best",
            precision="bf16",
        ),
        attacks=attacks_of(authors_pgd=True),
        boundary={"pairs": 50, "steps": 8000},
        precision="tf32",
        half=True,
        differs=(*DIFFERS, HALF),
    )
    return _planned(defenses_of(Maker(base)), 3)


def short() -> Plan:
    """The authors' network and attacks with a tenth of their epochs, at a one-cycle rate."""
    base = undefended(
        "short",
        split="han-validated",
        schedule=Schedule(
            epochs=10,
            batch_size=32,
            learning_rate=2e-3,
            copies=COPIES,
            precision="bf16",
            **ONE_CYCLE,
        ),
        attacks=attacks_of(authors_pgd=True),
        boundary={"pairs": 4, "steps": 1000},
        precision="tf32",
        half=True,
        differs=(
            *DIFFERS,
            HALF,
            "10 epochs of batches of 32 at a one-cycle rate up to 0.002 instead of 100 of 16",
            LAST,
            "the boundary attack: 4 pairs of each ordered pair of classes and 1,000 iterations "
            "instead of 50 and 8,000",
        ),
    )
    return _planned(defenses_of(Maker(base)), 1)


def compact() -> Plan:
    """All defenses on a narrow network, from one undefended network: hours on two CPU cores."""
    base = undefended(
        "compact",
        split="han-validated",
        schedule=Schedule(epochs=10, batch_size=16, learning_rate=4e-3, copies=COPIES, **ONE_CYCLE),
        model_options={"width": 1 / 16, "fewest": 16, "decimate": 6, "dropout": 0.0},
        attacks=attacks_of(per_class=100),
        boundary={"pairs": 2, "steps": 150},
        differs=(
            *DIFFERS,
            "16 or 20 channels a block instead of 64 to 320, without dropout",
            "the network averages six samples to one: 50 Hz instead of 300 Hz",
            "the undefended network: 10 epochs at a one-cycle rate up to 0.004 instead of 100",
            "all others go on from it for one epoch at a rate up to 0.001, instead of 100 anew",
            "SAP inside training: 2 + 2 steps of 2.5 uV instead of 5 + 5 of 1 uV",
            LAST,
            "attacks on at most 100 test records of each class instead of all",
            "the authors' PGD of eps 25 uV, which its steps cannot reach, is left out",
            "the boundary attack: 2 pairs of each ordered pair of classes and 150 iterations "
            "instead of 50 and 8,000",
        ),
    )
    further = Schedule(epochs=1, batch_size=16, learning_rate=1e-3, copies=COPIES, **ONE_CYCLE)
    make = Maker(base, steps=(2, 2), sizes={"step": 2.5}, further=further)
    return _planned(defenses_of(make), 4)


def demo() -> Plan:
    """ADT and what it is made of on the embedded synthetic beats; never evidence."""
    base = undefended(
        "demo",
        dataset="synthetic",
        split="beatwise",
        schedule=Schedule(epochs=4, batch_size=64, learning_rate=4e-3, **ONE_CYCLE),
        model_options={"width": 1 / 64, "fewest": 8, "dropout": 0.0},
        attacks=attacks_of(sap=(10, 10), sweep=(0.03, 0.1, 0.2), eps=0.1, step=0.01, per_class=40),
    )
    make = Maker(base, steps=(2, 2), sizes={"eps": 0.1, "step": 0.03})
    shown = ("ce/", "at-", "adt-1/faithful", "distillation-1/")
    return [
        (config, 1)
        for config in defenses_of(make)
        if config.label.removeprefix("beatwise/han/").startswith(shown)
    ]
