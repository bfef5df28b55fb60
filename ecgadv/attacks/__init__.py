"""Attacks: attack(model, x, y, threat, *, mask=None, generator=None, ...) -> x_adv."""

from ecgadv.attacks.frozen import frozen
from ecgadv.attacks.pgd import pgd

__all__ = ["frozen", "pgd"]
