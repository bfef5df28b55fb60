"""Attacks: `attack(model, x, y, threat, *, mask=None, generator=None, ...) -> x_adv`."""

from ecgadv.attacks.adamax_pgd import adamax_pgd
from ecgadv.attacks.apgd import apgd
from ecgadv.attacks.band import band_pgd
from ecgadv.attacks.boundary import Boundary, boundary
from ecgadv.attacks.fgsm import fgsm
from ecgadv.attacks.fmn import fmn
from ecgadv.attacks.hopskipjump import hopskipjump
from ecgadv.attacks.pgd import pgd
from ecgadv.attacks.sap import sap, sap_kernel
from ecgadv.attacks.spsa import spsa
from ecgadv.attacks.square import square
from ecgadv.attacks.uniform_noise import uniform_noise
from ecgadv.border.networks import frozen

__all__ = [
    "Boundary",
    "adamax_pgd",
    "apgd",
    "band_pgd",
    "boundary",
    "fgsm",
    "fmn",
    "frozen",
    "hopskipjump",
    "pgd",
    "sap",
    "sap_kernel",
    "spsa",
    "square",
    "uniform_noise",
]
