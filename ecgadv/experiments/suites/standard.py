"""Networks of the suites under the cascade of `ecgadv.evaluate`, beside the papers' attacks."""

from dataclasses import replace

from ecgadv.experiments.config import Attack, Config

STANDARD = "standard"  # the cascade, and what its variants' labels end in


def under_standard(
    config: Config, eps: tuple[float, ...], *, per_class: int, masked: bool = False
) -> Config:
    """Return the same network under the standard cascade alone, as variant "...-standard".

    Args:
        config: the network under the paper's attacks.
        eps: levels that the paper's attack has, too, in the unit of the data.
        per_class: test examples of each class; of those that the paper's attacks meet, the first.
        masked: leave the padding alone.
    """
    cascade = Attack(STANDARD, "standard", eps, masked=masked, per_class=per_class)
    return replace(
        config,
        label=f"{config.label}-{STANDARD}",
        attacks=(cascade,),
        surrogate=None,
        boundary={},
        certificate={},
        proof=(),
        proof_per_class=None,
    )
