"""The one exception that the command line turns into a single line and exit status 2."""


class EcgadvError(ValueError):
    """Bad input or missing data; its message names the value, what is allowed and the mend."""
