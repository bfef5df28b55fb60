"""Defenses that neither paper has, on paper B's beats: TRADES, and noise with its certificate.

Adversarial training is here, too, as Madry et al. (2018) publish it: on attacked beats alone, whose
attack begins within the bounds of the signal. It and TRADES train as paper B's adversarial network
does and differ in their loss alone; on noise a network trains as its undefended one (PROTOCOLS row
B4).
"""

from dataclasses import replace

from ecgadv.experiments.config import Attack, Config, Defense

EPS = 0.1  # the smallest of paper B's adversarial training, its attack and steps, too
TRADES_BETA = 6.0  # of the most robust network of Zhang et al. (2019)
SIGMAS = (0.1, 0.25, 0.5)  # of the noise; Cohen et al. (2019) have 0.25 and 0.5, too
DRAWS = 10_000  # of each beat: the largest radius they can certify is 3.2 sigma
CERTIFIED_EPS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


def networks(
    undefended: Config, trained: Config, attacks: tuple[Attack, ...], per_class: int
) -> list[Config]:
    """Return the networks.

    Args:
        undefended, trained: paper B's, the second adversarially, for their schedules.
        attacks: of the paper; each meets `per_class` test beats of each class.
        per_class: beats whose reading is certified, too.
    """
    split, network = undefended.label.split("/")[:2]
    base = replace(
        undefended,
        attacks=tuple(replace(attack, per_class=per_class) for attack in attacks),
        differs=(),
    )

    def named(name: str, defense: Defense, *, variant: str = "ours", **fields) -> Config:
        label = f"{split}/{network}/{name}/{variant}"
        return replace(base, label=label, defense=defense, **fields)

    attack = {"eps": EPS, "steps": 10, "step_size": 0.01}
    weights = {"clean_weight": 0.0, "adversarial_weight": 1.0}
    madry = Defense("adversarial", options={**attack, **weights})
    trades = Defense("trades", options={**attack, "beta": TRADES_BETA})
    found = [
        named(f"at-{EPS:g}", madry, variant="madry", schedule=trained.schedule),
        named(f"trades-{EPS:g}", trades, schedule=trained.schedule),
    ]
    for sigma in SIGMAS:
        certificate = {"eps": list(CERTIFIED_EPS), "sigma": sigma, "samples": DRAWS}
        certificate["per_class"] = per_class
        noise = Defense("gaussian", options={"sigma": sigma})
        # What is certified of the vote takes the place of what is proved of the network.
        own = {"certificate": certificate, "proof": (), "proof_per_class": None}
        found.append(named(f"gaussian-{sigma:g}", noise, **own))
    return found
