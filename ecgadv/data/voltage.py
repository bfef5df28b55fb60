"""What one unit of a normalised signal is in microvolts, over the test part of a split."""

import numpy as np

from ecgadv import data

QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}


def facts(dataset: data.Dataset, split: str) -> dict:
    """Return size, people and voltage of the test part of a split, as plain values.

    Returns:
        Among them `unit_microvolts`, the 5th, 50th and 95th percentile of one unit in microvolts,
        over all leads.
    """
    test = data.split(dataset, split).test
    found = np.quantile(dataset.unit_mv[test], list(QUANTILES.values()))
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": split,
        "test_examples": len(test),
        "test_records": len(np.unique(dataset.record[test])),
        "unit_microvolts": {
            name: round(1000 * float(mv), 1) for name, mv in zip(QUANTILES, found, strict=True)
        },
    }
