"""One file over HTTP: received into NAME.part, resumed, checked, then moved into place.

A server may die midway, ignore ranges, or send wrong bytes: what stands under the final name has
passed its check, and what is in NAME.part is only ever a start to go on from.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from ecgadv import __version__
from ecgadv.errors import EcgadvError

ATTEMPTS = 5  # without a new byte, before giving up
BACKOFF = 0.5  # s before the second attempt, doubled for each further one
LONGEST_WAIT = 60  # s, whatever a busy server asks for
TIMEOUT = (10, 30)  # s to connect, s without a byte
STALL, LEAST = 30, 4096  # s in which fewer bytes are no download
CHUNK = 1 << 14
PARTIAL, RANGE_NOT_SATISFIABLE = 206, 416
GONE = {404, 410}
BUSY = {408, 425, 429, 500, 502, 503, 504}


class ServerError(EcgadvError):
    """The server cannot be reached, or keeps failing: no other file will fare better."""


class FileError(EcgadvError):
    """One file that the server refuses, or that is not what it should be."""


class MissingError(FileError):
    """The server does not have the file."""


class StoppedError(Exception):
    """The download was asked to stop; NAME.part holds what came so far."""


class _BusyError(Exception):
    """An answer to try again after: its status, and the seconds the server asks for."""

    def __init__(self, response):
        super().__init__(f"{response.status_code} {response.reason}")
        asked = response.headers.get("Retry-After", "")
        self.wait = min(int(asked), LONGEST_WAIT) if asked.isdecimal() else 0


class _SlowError(Exception):
    """Bytes come, but so few that the download would take for ever."""


@dataclass(frozen=True)
class Job:
    """A file to fetch."""

    url: str
    target: Path
    check: Callable[[Path], str | None]  # what is wrong with the file, in a few words, or None

    @property
    def part(self):
        """Where the file is received."""
        return self.target.with_name(self.target.name + ".part")


def open_session():
    """A requests session; one a thread, closed by its user."""
    session = requests.Session()
    # identity: a compressed answer would make byte ranges and lengths meaningless.
    session.headers.update({"User-Agent": f"ecgadv/{__version__}", "Accept-Encoding": "identity"})
    return session


def download(session, job, *, received=None, stop=None):
    """Fetch one file and publish it under its final name once it passes its check.

    Args:
        session: from `open_session`.
        job: a Job; its folder exists.
        received: called with the Job, the bytes there so far, and the size or None.
        stop: threading.Event; when set, the download ends at once and can be resumed.

    Raises:
        FileError: the server does not have the file, or it fails its check twice.
        ServerError: no answer, or no new byte, in ATTEMPTS attempts.
        StoppedError: `stop` was set.
        OSError: the disk is full, the folder not writable.
    """
    stop = stop or threading.Event()
    received = received or (lambda job, have, size: None)
    # What an earlier call left may be of another file: the second round starts from nothing.
    for _ in range(2):
        _receive(session, job, received, stop)
        problem = job.check(job.part)
        if problem is None:
            job.part.replace(job.target)
            return
        job.part.unlink()
    raise FileError(f"{job.url}: {problem}; it was discarded, try again later or another server")


def _receive(session, job, received, stop):
    """Fill job.part, going on after every failure that may pass."""
    attempt, furthest = 0, _size(job.part)
    while True:
        try:
            return _stream(session, job, received, stop)
        except requests.TooManyRedirects as error:
            raise ServerError(
                f"{job.url}: the server redirects for ever; check the base URL"
            ) from error
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            _BusyError,
            _SlowError,
        ) as error:
            failure = error
        have = _size(job.part)
        # Beyond all earlier attempts, so that a server without ranges is not tried for ever.
        on = have > furthest and not isinstance(failure, _SlowError)
        attempt = 1 if on else attempt + 1
        furthest = max(furthest, have)
        if attempt >= ATTEMPTS:
            raise ServerError(_unreachable(job, failure)) from failure
        wait = max(BACKOFF * 2 ** (attempt - 1), getattr(failure, "wait", 0))
        if stop.wait(wait):
            raise StoppedError


def _stream(session, job, received, stop):
    """One request: append to job.part where the server honours the range, else start over."""
    have = _size(job.part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    with contextlib.closing(
        session.get(job.url, headers=headers, stream=True, timeout=TIMEOUT)
    ) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE and have:
            return  # complete, or longer than the file: the check tells
        _raise_for_status(job, response)
        if not _continues(response, have):
            if response.status_code == PARTIAL:
                job.part.unlink(missing_ok=True)
                raise requests.RequestException(f"answered bytes other than {have}- asked for")
            have = 0
        length = response.headers.get("Content-Length", "")
        size = have + int(length) if length.isdecimal() else None
        with job.part.open("ab" if have else "wb") as file:
            received(job, have, size)
            since, before = time.monotonic(), have
            # What is there, however little: to wait for a whole chunk may take hours.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                if stop.is_set():
                    raise StoppedError
                file.write(chunk)
                have += len(chunk)
                received(job, have, size)
                if time.monotonic() - since > STALL:
                    if have - before < LEAST:
                        raise _SlowError
                    since, before = time.monotonic(), have


def _continues(response, have):
    """True if the answer begins at byte `have`, which is not 0."""
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return bool(have and response.status_code == PARTIAL and stated and int(stated[1]) == have)


def _raise_for_status(job, response):
    if response.status_code in BUSY:
        raise _BusyError(response)
    if not response.ok:
        kind = MissingError if response.status_code in GONE else FileError
        raise kind(f"{job.url}: the server answered {response.status_code} {response.reason}")


def _unreachable(job, failure):
    reason = _reason(failure)
    return (
        f"{job.url}: {reason}, {ATTEMPTS} times; check the network and the base URL, then run the "
        "same command again: it goes on from what is there"
    )


def _reason(failure):
    """A few words for the exceptions that requests nests three deep."""
    if isinstance(failure, _BusyError):
        return f"the server answered {failure}"
    if isinstance(failure, _SlowError):
        return f"fewer than {LEAST:,} bytes in {STALL:g} s"
    text = str(failure)
    for sign, words in (
        ("refused", "connection refused"),
        ("NameResolution", "no such host"),
        ("timed out", "no answer in time"),
        ("certificate", "the server's certificate is not trusted"),
        ("InvalidURL", "not a URL"),
    ):
        if sign in text:
            return words
    return "the connection broke off"


def _size(path):
    return path.stat().st_size if path.exists() else 0
