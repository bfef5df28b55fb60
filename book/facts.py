"""How the scripts beside it print what they found on recordings: facts of a page, as YAML."""

import sys

import numpy as np
import yaml


def rounded(values, digits):
    """The values as a list of floats with so many digits after the point."""
    return [round(float(value), digits) for value in np.asarray(values, float)]


def write(found, *head):
    """Print the facts below comment lines, which say what wrote them and whose recordings they are.

    Args:
        found: dict that YAML can hold, in the order of the file.
        head: lines of text.
    """
    for line in head:
        print(f"# {line}")
    yaml.safe_dump(found, sys.stdout, sort_keys=False, width=100, default_flow_style=None)
