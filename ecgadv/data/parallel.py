"""Several files at a time over HTTP, and a progress bar over all of their bytes."""

import sys
import threading
import time

from tqdm import tqdm

from ecgadv.data import download

LOG_EVERY = 60  # s between two lines of a log
INTERRUPT = 1  # s that interrupted workers get to end by themselves


def fetch(jobs, received, connections):
    """Fetch a few files at a time.

    Args:
        jobs: list of `download.Job`.
        received: called with a job, its bytes so far and its size, from several threads.
        connections: how many at a time.

    Returns:
        {job: FileError} of those that failed.

    Raises:
        ServerError, OSError: what stopped them all.
    """
    pending, stop = iter(jobs), threading.Event()
    done, failures, fatal = [], {}, []

    def work():
        with download.open_session() as session:
            for job in pending:  # one iterator for all workers
                try:
                    download.download(session, job, received=received, stop=stop)
                    done.append(job)
                except download.FileError as error:
                    failures[job] = error
                except download.StoppedError:
                    return
                except (download.ServerError, OSError) as error:
                    fatal.append(error)
                    stop.set()
                    return

    # Daemons, so that an interrupt need not wait for a silent server.
    workers = [threading.Thread(target=work, daemon=True) for _ in jobs[:connections]]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            while worker.is_alive():
                worker.join(0.1)  # on Windows an interrupt is not seen while joining
    finally:
        stop.set()
        deadline = time.monotonic() + INTERRUPT
        for worker in workers:
            worker.join(max(0, deadline - time.monotonic()))
    if fatal:
        raise fatal[0]
    if len(done) + len(failures) < len(jobs):
        raise RuntimeError("a download ended without a result; its traceback stands above")
    return failures


class Bar:
    """A progress bar over bytes, or a line now and then where stderr is no terminal.

    The total is reckoned from the sizes known so far.
    """

    def __init__(self, name, files):
        self._name, self._files, self._done = name, files, 0
        self._have, self._sizes, self._known = {}, {}, 0
        self._lock, self._said = threading.Lock(), time.monotonic()
        # disable=None: no bar where stderr is not a terminal.
        self._bar = tqdm(desc=name, unit="B", unit_scale=True, disable=not files or None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def __call__(self, job, have, size):
        with self._lock:
            self._bar.update(have - self._have.get(job, 0))
            self._have[job] = have
            if size is not None and self._sizes.get(job) != size:
                self._known += size - self._sizes.get(job, 0)
                self._sizes[job] = size
                self._bar.total = self._known * self._files // len(self._sizes)
            if have == size:
                self._done += 1
                self._bar.set_postfix_str(f"{self._done} of {self._files} files", refresh=False)
            if self._bar.disable and time.monotonic() - self._said > LOG_EVERY:
                self._said = time.monotonic()
                megabytes = sum(self._have.values()) / 1e6
                about = f"{megabytes:.1f} MB, {self._done} of {self._files} files"
                print(f"{self._name}: {about}", file=sys.stderr, flush=True)
