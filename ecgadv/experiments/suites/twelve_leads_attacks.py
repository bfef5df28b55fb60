"""What the networks of twelve leads are put through (PROTOCOLS 3.6)."""

from dataclasses import replace

from ecgadv.data.leads import EIGHT
from ecgadv.experiments.config import Attack

EPS = (0.001, 0.003, 0.005, 0.007, 0.01, 0.03, 0.05, 0.1)  # shares of each lead's maximum
NOISE_EPS = (*EPS, 0.2, 0.3, 0.4, 0.5, 0.6)  # all of EPS, so that the worst case has it, too
MICROVOLTS = (5.0, 10.0, 25.0, 50.0)
TUNING_EPS = (0.003, 0.01, 0.03)
STANDARD_EPS = (0.01, 0.03, 0.1)  # of the standard cascade


def attacks_of(
    *, steps: int = 100, sap_steps: tuple[int, int] = (100, 200), per_class: int | None = None
) -> tuple[Attack, ...]:
    """Return the attacks that every network is put through.

    `noise`, `pgd-100` and `sap` are the authors', with the padding left alone (row B12) and SAP's
    sum over its kernels mended (row B1); `pgd-margin`, `apgd-t` and `apgd-dlr` are ours. All steps
    are a tenth of eps, as the authors'.

    Args:
        steps: of the projected gradient descents.
        sap_steps: before and after smoothing sets in.
        per_class: test records of each class to attack, None being all.
    """
    some = {"per_class": per_class, "masked": True}
    pgd = {"steps": steps, "relative_step": 0.1, "restarts": 2, "early_stop": True}
    smooth = {"pgd_steps": sap_steps[0], "smooth_steps": sap_steps[1], "relative_step": 0.1}
    aimed = {"steps": steps // 2, "targets": 3}
    return (
        Attack("noise", "uniform-noise", NOISE_EPS, masked=True),
        Attack("pgd-100", "pgd", EPS, pgd, nested=True, **some),
        Attack("sap", "sap", EPS, smooth, bounded=False, nested=True, **some),
        Attack("pgd-margin", "pgd", EPS, {**pgd, "loss": "margin"}, nested=True, **some),
        Attack("apgd-t", "apgd", EPS, aimed, nested=True, **some),
        Attack("apgd-dlr", "apgd", EPS, {**aimed, "loss": "dlr"}, nested=True, **some),
    )


def one_lead(*, steps: int, per_class: int | None) -> tuple[Attack, ...]:
    """Return attacks that change one lead each, and one that changes all by the same steps."""
    eps = (0.01, 0.03, 0.1, 0.3)
    each = [
        replace(_margin(f"lead-{name}", eps, steps, per_class), leads=(row,))
        for row, name in enumerate(EIGHT)
    ]
    return (*each, _margin("all-leads", eps, steps, per_class))


def large_budget(*, steps: int, per_class: int | None) -> tuple[Attack, ...]:
    """Return an attack that must break all: at eps 1 every record can be made one flat line."""
    return (_margin("pgd-margin", (0.3, 1.0), steps, per_class),)


def _margin(name: str, eps: tuple[float, ...], steps: int, per_class: int | None) -> Attack:
    """Return PGD on the margin, from one start, with steps of a tenth of eps."""
    options = {"steps": steps, "relative_step": 0.1, "loss": "margin", "early_stop": True}
    return Attack(name, "pgd", eps, options, per_class=per_class, masked=True, nested=True)


def microvolts(*, steps: int, per_class: int | None) -> tuple[Attack, ...]:
    """Return the attack whose budget is the same voltage on every lead of every record."""
    options, some = {"steps": steps}, {"per_class": per_class, "masked": True, "nested": True}
    return (Attack("apgd", "apgd", MICROVOLTS, options, unit="uV", **some),)


def as_released(
    *, sap_steps: tuple[int, int] = (100, 200), per_class: int | None = None
) -> tuple[Attack, ...]:
    """Return the authors' attacks with what their released code does to them (rows B1 and B12).

    SAP loses the sum over its kernels, and it and the noise change the padding, too.
    """
    options = {"pgd_steps": sap_steps[0], "smooth_steps": sap_steps[1] - 1, "relative_step": 0.1}
    options |= {"keep": "last", "kernel": "last-of-25"}
    return (
        Attack("noise", "uniform-noise", NOISE_EPS),
        Attack("sap", "sap", EPS, options, bounded=False, per_class=per_class),
    )


def black_box(*, steps: int, samples: int, per_class: int) -> tuple[Attack, ...]:
    """Return SPSA, which asks the network and knows no gradient."""
    options = {"steps": steps, "relative_step": 0.1, "samples": samples, "delta": 0.01}
    eps = (0.01, 0.03, 0.1)
    return (Attack("spsa", "spsa", eps, options, per_class=per_class, masked=True, nested=True),)


def tuning() -> tuple[Attack, ...]:
    """Return the attack by which strengths are chosen, on the validation part alone.

    The rule: of each defense's strengths that with the largest class-balanced accuracy of seed 0,
    averaged over no attack and these three levels; of equal ones the smallest strength.
    """
    options = {"steps": 20, "relative_step": 0.1, "early_stop": True}
    return (Attack("pgd-20", "pgd", TUNING_EPS, options, masked=True, nested=True),)


def elsewhere() -> tuple[Attack, ...]:
    """Return the attacks on the records of another hospital, all that there are."""
    options = {"steps": 30, "relative_step": 0.1, "restarts": 2, "early_stop": True}
    some = {"masked": True, "nested": True}
    return (
        Attack("pgd-100", "pgd", EPS, options, **some),
        Attack("pgd-margin", "pgd", EPS, {**options, "loss": "margin"}, **some),
    )
