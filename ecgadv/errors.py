"""The exceptions that a command turns into a single line and exit status 2."""


class EcgadvError(ValueError):
    """Bad input or missing data; its message names the value, what is allowed and the mend."""


class NoGradientError(EcgadvError):
    """A network has no gradient to its input, or one that is NaN."""


# What a command tells in one line; anything else is a fault of the code, and keeps its traceback.
TOLD = (EcgadvError, OSError, ModuleNotFoundError)


def one_line(error: Exception) -> str:
    """Return what failed and the mend, without line breaks; the error is one of `TOLD`."""
    if isinstance(error, ModuleNotFoundError):
        text = f"the package {error.name} is missing: run `pip install 'ecgadv[book,data]'`"
    elif isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        text = f"{error.strerror}{where}: mend that, then run the same command again"
    else:
        text = str(error)
    return " ".join(text.split())
