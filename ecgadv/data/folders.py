"""Where recordings lie."""

import os
from pathlib import Path


def data_root():
    """The folder of raw and prepared recordings: $ECGADV_DATA (~ is the home), or ./recordings."""
    return Path(os.environ.get("ECGADV_DATA") or "recordings").expanduser()
