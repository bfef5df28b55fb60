"""What an older record found of the same weights: an attack that is unchanged is not run again."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ecgadv.errors import EcgadvError
from ecgadv.experiments import provenance, whole
from ecgadv.experiments.config import Attack, Config, from_dict, run_key
from ecgadv.experiments.session import Session
from ecgadv.experiments.store import Record
from ecgadv.experiments.unfinished import Arrays

BOUNDARY, CERTIFICATE, PROOF = "boundary", "certificate", "proof"


@dataclass
class Earlier:
    """A record of the same weights on the same data, device and surrogate, with its config.

    Attributes:
        used: names of the attacks that were taken over.
    """

    record: Record
    config: Config
    used: list[str] = field(default_factory=list)

    @cached_property
    def examples(self) -> Arrays:
        return self.record.examples()

    def found(self, attack: Attack, eps: float) -> Arrays | None:
        """Return what this very attack found at `eps`, or None if it is not there."""
        if attack not in self.config.attacks:
            return None
        self.used.append(attack.name)
        kinds = ("held", "predicted") if attack.predictions else ("held",)
        return {kind: self.examples[f"{kind}/{attack.name}/{eps:g}"] for kind in kinds}

    def proved(self, eps: float) -> Arrays | None:
        """Return what was proved at `eps`, or None if it is not there."""
        if eps not in self.config.proof:
            return None
        self.used.append(PROOF)
        return {"proved": self.examples[f"proved/{eps:g}"]}

    def boundary(self, options: dict) -> tuple[dict, Arrays] | None:
        """Return numbers and arrays of the boundary attack with these options, or None."""
        if options != self.config.boundary:
            return None
        self.used.append(BOUNDARY)
        arrays = {k: v for k, v in self.examples.items() if k.startswith(f"{BOUNDARY}/")}
        return self.record.metrics[BOUNDARY], arrays

    def certified(self, options: dict) -> Arrays | None:
        """Return the radii of a certificate with these options, or None."""
        if options != self.config.certificate:
            return None
        self.used.append(CERTIFICATE)
        return {k: v for k, v in self.examples.items() if k.startswith("certified/")}

    def about(self) -> dict:
        """Return what run.json says of it.

        A record has the seconds of its evaluation, not of each attack: they are said only where
        all its attacks were taken over, and where those that it took over itself were timed.
        """
        every = {attack.name for attack in self.config.attacks}
        every |= {BOUNDARY} if self.config.boundary else set()
        every |= {CERTIFICATE} if self.config.certificate else set()
        every |= {PROOF} if self.config.proof else set()
        timed = every == set(self.used) and not self.record.untimed
        return {
            "record": self.record.key,
            "commit": self.record.run["commit"],
            "attacks": list(dict.fromkeys(self.used)),
            **({"seconds": round(self.record.attack_seconds, 1)} if timed else {}),
        }


def find(config: Config, seed: int, weights: Path, session: Session) -> Earlier | None:
    """Return the record to take attacks over from, the one that shares most with `config`.

    It comes from a clean working tree, of the present version of the protocol.

    Raises:
        EcgadvError: it is damaged, or lacks something.
    """
    stores = [session.store, *([session.released] if session.released else [])]
    records = [r for store in stores for r in store.records(config.experiment, config.profile)]
    fitting = (_fitting(record, config, seed, weights, session) for record in records)
    found = [earlier for earlier in fitting if earlier is not None]

    def shared(earlier: Earlier) -> int:
        return sum(attack in earlier.config.attacks for attack in config.attacks)

    best = max(found, key=shared, default=None)
    if best is None or not shared(best):
        return None
    whole.check(best.record, weights=False)
    return best


def _fitting(
    record: Record, config: Config, seed: int, weights: Path, session: Session
) -> Earlier | None:
    run, fingerprint = record.run, session.fingerprint(config.dataset)
    here = provenance.environment(session.device)
    same = (
        record.seed == seed
        and not run["dirty"]
        and run["data"]["fingerprint"] == fingerprint
        and run["device"] == here["device"]
        and run["versions"]["torch"] == here["versions"]["torch"]
        and record.weights.exists()
        and record.weights.read_bytes() == weights.read_bytes()
    )
    if not same:
        return None
    try:
        old = from_dict(record.config)
    except EcgadvError:  # of a version that had other options
        return None
    surrogates = [c.surrogate and c.surrogate.training_part() for c in (old, config)]
    alike = (
        run_key(old, seed, fingerprint) == record.key
        and old.precision == config.precision
        and (old.split, old.tested_on) == (config.split, config.tested_on)
        and (not old.proof or old.proof_per_class == config.proof_per_class)
        and surrogates[0] == surrogates[1]
    )
    return Earlier(record, old) if alike else None
