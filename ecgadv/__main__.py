"""`python -m ecgadv` is `ecgadv`."""

import sys

from ecgadv.cli import main

if __name__ == "__main__":
    sys.exit(main())
