"""What of a suite is done, what is missing, and what the missing part will cost."""

from collections.abc import Container, Sequence
from pathlib import Path
from statistics import mean

from ecgadv.errors import EcgadvError
from ecgadv.experiments import expected, runner, suites
from ecgadv.experiments.config import training_key
from ecgadv.experiments.store import Record, Store, folders_at_hand

TRAINED, MISSING = "trained", "missing"


def table(pairs: Sequence[tuple[str, str]], stores: dict[str, Store]) -> list[str]:
    """Return the lines of `ecgadv status`: one a config, and a sum for each suite.

    Args:
        pairs: suites and profiles.
        stores: by the word that says where a record is, such as "local" and "released".
    """
    records = [record for store in stores.values() for record in store.records()]
    return [line for pair in pairs for line in _suite(*pair, stores, records)]


def _suite(suite: str, profile: str, stores: dict[str, Store], records: list[Record]) -> list[str]:
    """Return the lines of one suite; without its data, also one that says how to get them."""
    plan = suites.plan(suite, profile)
    lines, prints = [f"{suite} --profile {profile}"], {}
    for dataset in dict.fromkeys(config.dataset for config, _ in plan):
        try:
            prints[dataset] = runner.fingerprint(dataset)
        except EcgadvError as error:
            prints[dataset] = expected.fingerprint(dataset, records)
            lines.append(f"  by the records alone: {error}")
    width = max(len(config.label) for config, _ in plan)
    there, words = expected.weights(records), {}
    for config, seeds in plan:
        job = runner.Job(config, tuple(range(seeds)))
        words[config.label] = where(job, stores, prints[config.dataset], there)
    left = [
        (config, seed)
        for config, _ in plan
        for seed, word in enumerate(words[config.label])
        if word in (TRAINED, MISSING)
    ]
    costs = expected.seconds(left, records, prints)
    for config, _ in plan:
        own = [cost for (of, _), cost in zip(left, costs, strict=True) if of is config]
        known = [cost for cost in own if cost is not None]
        about = f"  {mean(known) / 60:.1f} min a seed, measured" if known else ""
        lines.append(f"  {config.label:{width}}  {summary(words[config.label])}{about}")
    rest = f", and {costs.count(None)} runs of unknown cost" if None in costs else ""
    minutes = sum(cost or 0 for cost in costs) / 60
    return [*lines, f"  to do: about {minutes:.0f} min on the device measured{rest}"]


def where(
    job: runner.Job, stores: dict[str, Store], own: str | None = None, there: Container[str] = ()
) -> list[str]:
    """Return for each seed the stores that have its record, or "trained" or "missing".

    Args:
        job: some seeds of a config.
        stores: by the word to say.
        own: see `runner.state`.
        there: training keys whose weights came with a record.
    """
    own = runner.fingerprint(job.config.dataset) if own is None else own
    states = {name: runner.state(job, store, own) for name, store in stores.items()}
    words = []
    for seed in job.seeds:
        found = [name for name, state in states.items() if state[seed] == "done"]
        trained = any(state[seed] == TRAINED for state in states.values())
        trained |= training_key(job.config, seed, own) in there
        words.append("+".join(found) or (TRAINED if trained else MISSING))
    return words


def summary(words: list[str]) -> str:
    """Return "3 released" for three equal words, "2 local, 1 missing" for mixed ones."""
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def local_and_released(runs: Path) -> dict[str, Store]:
    """Return the store of the runs made here and the released one, by the words for them."""
    return dict(zip(("local", "released"), map(Store, folders_at_hand(runs)), strict=True))
