"""Databases from PhysioNet, or from a mirror with the same layout, verified file by file.

Goldberger et al., Circulation 101(23), 2000. Nothing stands under its final name before it has
passed its check, so a call that failed or was interrupted is repaired by calling again.
"""

import errno
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from ecgadv.data import catalogue, data_root, download, parallel, verify
from ecgadv.errors import EcgadvError

BASE_URL = "https://physionet.org/files/"


@dataclass(frozen=True)
class Fetched:
    """What a fetch left: everything in `folder` has passed its check."""

    source: catalogue.Source
    folder: Path
    files: int
    new: int  # of them, fetched by this call
    published: bool  # checked against published SHA-256 sums, not against headers alone
    records: int  # recordings among the files

    def summary(self):
        """Lines of text for the user."""
        source, by = self.source, verify.SUMS if self.published else "their headers"
        lines = [
            f"{source.name}: {self.files:,} files in {self.folder} verified against {by}, "
            f"{self.new:,} of them fetched now"
        ]
        if self.records < source.records:
            lines.append(
                f"{source.name}: this is a part, {self.records:,} of {source.records:,} records: "
                "the server lists no more"
            )
        return [*lines, f"licence {source.licence}; please cite {source.citation}"]


def base_url(given=None):
    """The address that holds the databases, with a final slash.

    Args:
        given: an address; if None, $ECGADV_PHYSIONET, or PhysioNet itself.

    Raises:
        EcgadvError: it is not an http or https address.
    """
    url = given or os.environ.get("ECGADV_PHYSIONET") or BASE_URL
    if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", url):
        raise EcgadvError(f"base URL '{url}' is not one: give something like {BASE_URL}")
    return url.rstrip("/") + "/"


def fetch(name, *, root=None, base=None, say=print):
    """Fetch a database, or what is missing or damaged of it, and verify all of it.

    Args:
        name: one of `catalogue.SOURCES`, such as "mitdb".
        root: folder of the recordings; `data_root()` if None. Files land in its PhysioNet path,
            such as root/mitdb/1.0.0/100.dat.
        base: address of the server; see `base_url`.
        say: called with each line meant for the user.

    Raises:
        EcgadvError: no such database; the server is away, lacks a file or sends a wrong one; the
            disk is full.
        OSError: the folder is not writable.
    """
    source = catalogue.source(name)
    url = base_url(base) + source.path + "/"
    folder = Path(data_root() if root is None else root) / source.path
    done = _complete(source, folder)
    if done:
        return done
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, say):
            # Whoever held the lock may have fetched everything.
            return _complete(source, folder) or _fetch(source, folder, url, say)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise EcgadvError(
            f"no space left for {folder}: free some, then run the same command again: "
            "it goes on from what is there"
        ) from error


def _complete(source, folder):
    """A Fetched if everything is there by published sums, without asking the server."""
    checks, published = verify.manifest(source, folder)
    if not published or verify.unsound(folder, checks):
        return None
    return _fetched(source, folder, checks, 0, published)


def _fetched(source, folder, checks, new, published):
    listed = sum(name.endswith(".hea") for name in checks)
    # Any other source is whole by its list of files.
    records = listed if source.counted else source.records
    return Fetched(source, folder, len(checks), new, published, records)


@contextmanager
def _alone(folder, say):
    """Wait until no other process fetches into this folder."""
    lock = FileLock(folder / ".fetch.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another fetch is at work in {folder}: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(source, folder, url, say):
    say(f"{source.name}: from {url} to {folder}")
    _fetch_sums(source, folder, url, say)
    checks, published = verify.manifest(source, folder)
    new = 0
    if not published:
        _fetch_records(source, folder, url)
        checks, _ = verify.manifest(source, folder)
        headers = {name: check for name, check in checks.items() if name.endswith(".hea")}
        new = _fetch_unsound(source, folder, url, headers, published)
    new += _fetch_unsound(source, folder, url, checks, published)
    return _fetched(source, folder, checks, new, published)


def _fetch_sums(source, folder, url, say):
    """Fetch the published sums anew, or say that the WFDB headers have to serve."""
    job = _job(url, verify.SUMS, folder, partial(verify.sums_problem, source=source))
    try:
        _fetch_small(job)
    except download.MissingError as error:
        if not source.groups:
            raise EcgadvError(
                f"{error}, so nothing can be verified and nothing was fetched; use another base URL"
            ) from error
        say(
            f"{source.name}: this server publishes no {verify.SUMS}; sizes and the checksums in "
            "the WFDB headers are verified instead, and nothing vouches for the headers"
        )


def _fetch_records(source, folder, url):
    """Fetch the RECORDS of every group that this server has."""
    missing = []
    for group in source.groups:
        try:
            _fetch_small(_job(url, f"{group}/RECORDS", folder, verify.records_problem))
        except download.MissingError as error:
            missing.append(error)
    if len(missing) == len(source.groups):
        raise missing[0]


def _job(url, name, folder, check):
    return download.Job(url=url + name, target=folder / name, check=check)


def _fetch_small(job):
    """Fetch a list of files from its first byte on: a part left behind may be of an older one."""
    job.target.parent.mkdir(parents=True, exist_ok=True)
    job.part.unlink(missing_ok=True)
    with download.open_session() as session:
        download.download(session, job)


def _fetch_unsound(source, folder, url, checks, published):
    """Fetch what is missing or damaged; how many files that were."""
    jobs = [_job(url, name, folder, checks[name]) for name in verify.unsound(folder, checks)]
    for parent in {job.target.parent for job in jobs}:
        parent.mkdir(parents=True, exist_ok=True)
    with parallel.Bar(source.name, len(jobs)) as bar:
        failures = parallel.fetch(jobs, bar, source.connections)
    if not published:
        # The header may be the broken one of the two: the next call fetches both.
        for job in failures:
            job.target.with_suffix(".hea").unlink(missing_ok=True)
    if failures:
        first = next(iter(failures.values()))
        others = f" ({len(failures)} of {len(jobs)} files failed)" if len(failures) > 1 else ""
        raise EcgadvError(f"{first}{others}")
    return len(jobs)
