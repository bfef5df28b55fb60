"""Where recordings lie."""

import os
from pathlib import Path

from ecgadv.errors import EcgadvError


def data_root():
    """The folder of raw and prepared recordings: $ECGADV_DATA (~ is the home), or ./recordings.

    Raises:
        EcgadvError: it begins with the home of a user who has none.
    """
    given = os.environ.get("ECGADV_DATA") or "recordings"
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        text = f"ECGADV_DATA is {given!r}, but that home is not known: give the whole path"
        raise EcgadvError(text) from error
