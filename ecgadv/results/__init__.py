"""Results as tables: from released and local records to tidy pandas frames.

::

    estimates(experiment="paper-b", profile="paper", attack="worst-case")  # a row an estimate
    differences(experiment="paper-b", reference="nsr-0.4")  # a row a paired difference
    effects("book/oddities.yml", "paper-b", "paper")  # a row an oddity of the authors' code
    examples(record)  # a row an example
    runs()  # a row a record: where it comes from, and what it took
    planned()  # a row a config of the suites, and how much of it was run
    submissions()  # a row a submission of somebody's examples against a released network

`load`, `best` and `current` give the results behind them, record by record.
"""

from ecgadv.results.effects import effects
from ecgadv.results.estimate import told
from ecgadv.results.paired import difference
from ecgadv.results.records import PROFILES, Results, best, current, load, networks
from ecgadv.results.runs import runs
from ecgadv.results.signs import refuse, signs
from ecgadv.results.standard import drops, gaps
from ecgadv.results.strengths import chosen
from ecgadv.results.subject import subject
from ecgadv.results.submissions import submissions
from ecgadv.results.tables import compared, differences, estimates, examples
from ecgadv.results.todo import missing, planned, run_missing
from ecgadv.results.turning import strongest, turned

__all__ = [
    "PROFILES",
    "Results",
    "best",
    "chosen",
    "compared",
    "current",
    "difference",
    "differences",
    "drops",
    "effects",
    "estimates",
    "examples",
    "gaps",
    "load",
    "missing",
    "networks",
    "planned",
    "refuse",
    "run_missing",
    "runs",
    "signs",
    "strongest",
    "subject",
    "submissions",
    "told",
    "turned",
]
