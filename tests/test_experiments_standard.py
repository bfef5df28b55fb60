"""Networks of the suites under the standard cascade: the same networks, on a part of the same."""

import pytest

from ecgadv.experiments import suites
from ecgadv.experiments.config import run_key

THE_PAPERS = {"paper-a": "sap", "paper-b": "pgd-100", "twelve-leads": "pgd-100"}
UNDER = [
    (config, seeds, {c.label: (c, n) for c, n in suites.plan(*pair)})
    for pair in suites.known()
    for config, seeds in suites.plan(*pair)
    if config.label.endswith("-standard")
]


@pytest.mark.parametrize(
    ("under", "seeds", "plan"), UNDER, ids=lambda v: getattr(v, "label", None) and v.profile
)
def test_the_cascade_meets_the_same_network_as_the_papers_attack(under, seeds, plan):
    own, own_seeds = plan[under.label.removesuffix("-standard")]
    assert under.training_part() == own.training_part()
    assert run_key(under, 0, "data") != run_key(own, 0, "data")
    assert seeds == own_seeds
    (cascade,) = under.attacks
    (papers,) = (a for a in own.attacks if a.name == THE_PAPERS[own.experiment])
    # What it meets, the paper's attack meets too, at some of its levels, and in the same padding.
    assert set(cascade.eps) & set(papers.eps)
    assert cascade.per_class <= (papers.per_class or cascade.per_class)
    assert cascade.masked == papers.masked
    assert (cascade.method, cascade.transfer, cascade.bounded) == ("standard", False, True)
    assert not (under.boundary or under.proof or under.surrogate)


@pytest.mark.parametrize("pair", [p for p in suites.known() if p[1] != "demo"], ids="/".join)
def test_the_released_networks_are_planned_under_it(pair):
    labels = {config.label for config, _ in suites.plan(*pair)}
    bare = {label for label in labels if f"{label}-standard" not in labels}
    bare = {label for label in bare if not label.endswith("-standard")}
    if pair[0] == "twelve-leads":  # the networks at the authors' strengths
        split = "authors" if pair[1] == "paper" else "folds"
        defenses = ("ce", "nsr-1", "jacobian-24", "at-0.01")
        wanted = {f"{split}/resnet/{defense}/faithful" for defense in defenses}
        assert wanted <= labels and not wanted & bare
    else:  # all but what are only other attacks on a network that is there
        assert all(label.endswith(("-masked", "/log")) for label in bare), bare
