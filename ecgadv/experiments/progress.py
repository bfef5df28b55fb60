"""What a person watching a run sees: a bar on a terminal, a line now and then in a log."""

import sys
import time

LOG_EVERY = 60.0  # seconds between two lines of a log


class Busy(Exception):  # noqa: N818  it is not an error: the job is looked at again
    """Another process is at this job, or at what it builds on."""


class Progress:
    """Progress of one job; of one that is busy elsewhere it says nothing.

    Args:
        name: what is running.
        slot: the line of the terminal that belongs to this job when several run at once.
    """

    def __init__(self, name: str, slot: int = 0):
        self.name, self.began, self.logged = name, time.monotonic(), 0.0
        self.bar = self._bar(slot) if sys.stderr.isatty() else None

    def _bar(self, slot: int):
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:  # a bare GPU node may lack it: log lines do
            return None
        return tqdm(desc=self.name, total=100, position=slot, bar_format=_FORMAT, leave=False)

    def update(self, text: str, share: float) -> None:
        """Show what is being done and which share of that stage is done (0 to 1)."""
        if self.bar is not None:
            self.bar.n = round(100 * share)
            self.bar.set_postfix_str(text)
        elif time.monotonic() - self.logged > LOG_EVERY:
            self.logged = time.monotonic()
            print(f"{self.name}: {text}, {100 * share:.0f} %", file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, failure, *_) -> None:
        if self.bar is not None:
            self.bar.close()
        if failure is Busy:
            return
        word = "finished" if failure is None else "stopped"
        seconds = time.monotonic() - self.began
        print(f"{self.name}: {word} after {seconds:.0f} s", file=sys.stderr, flush=True)


_FORMAT = "{desc} |{bar:20}| {percentage:3.0f}% {elapsed} {postfix}"
