"""A server that fails: the files are whole in the end, or one line says what is wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from faults.outcomes import LEFT, OTHER, REFUSED, SAME, Case, judged
from loopback import MITDB, Mirror, below, fake_files, with_sums

from ecgadv.data import catalogue, download, physionet, verify

RECORDINGS = fake_files(MITDB.files)
FILES, WHOLE = below(MITDB.path, with_sums(RECORDINGS)), below(MITDB.path, RECORDINGS)
ALWAYS = 500  # more often than anything is tried
SUMS = f"{MITDB.path}/{verify.SUMS}"
VICTIM = f"{MITDB.path}/{MITDB.files[3]}"
# What the server does to the requests of one file, in turn; see `loopback.Mirror`.
KINDS = {
    "breaks off": [1000],
    "breaks off each time": [10] * ALWAYS,
    "goes silent": ["stall"],
    "drips": ["drip"],
    "has a flipped byte once": ["flip"],
    "has a flipped byte each time": ["flip"] * ALWAYS,
    "ends too early": ["truncate"],
    "sends another range": [1000, "shift"],
    "is busy once": [(503, {"Retry-After": "0"})],
    "is broken": [(500, {})] * ALWAYS,
    "lacks a file": [(404, {})] * ALWAYS,
    "forbids a file": [(403, {})] * ALWAYS,
    "redirects in a circle": [(302, {"Location": f"/files/{VICTIM}"})] * ALWAYS,
    "denies a range": [1000, (416, {})],
}
ELSEWHERE = ("ignores ranges", "lacks the sums", "has damaged sums", "is not there")
QUICK = {"BACKOFF": 0.001, "TIMEOUT": (2, 2), "STALL": 1}


def total() -> int:
    """Return how many cases `cases` gives."""
    return len(KINDS) + len(ELSEWHERE)


def cases(folder: Path, seed: int) -> Iterator[Case]:
    """Fetch from a server that fails in one way, then from one that does not."""
    with (
        patch.multiple(download, **QUICK),
        patch.dict(catalogue.SOURCES, {"mitdb": MITDB}),
        patch.dict("os.environ", {"NO_PROXY": "127.0.0.1"}),
    ):
        for kind in (*KINDS, *ELSEWHERE):
            yield _fetched(kind, folder / kind.replace(" ", "-"))


def _fetched(kind: str, root: Path) -> Case:
    with Mirror(FILES, ranges=kind != "ignores ranges") as mirror:
        mirror.plan[VICTIM] = list(KINDS.get(kind, [1000]))
        if kind in ("lacks the sums", "has damaged sums"):
            fault = (404, {}) if kind == "lacks the sums" else "flip"
            mirror.plan[SUMS] = [fault] * ALWAYS
        base = mirror.url if kind != "is not there" else f"http://127.0.0.1:{_unused()}/files/"
        case = judged("server that fails", lambda: _fetch(root, base), WHOLE)
    case = case._replace(detail=f"{kind}: {case.detail}")
    if case.outcome not in (REFUSED, SAME):
        return case
    with Mirror(FILES) as mirror:
        again = judged(case.what, lambda: _fetch(root, mirror.url), WHOLE)
    if again.outcome != SAME:
        return again._replace(outcome=LEFT if again.outcome == OTHER else again.outcome)
    return case


def _fetch(root: Path, base: str) -> dict[str, bytes]:
    physionet.fetch("mitdb", root=root, base=base, say=lambda line: None)
    files = (path for path in root.rglob("*") if path.is_file())
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    # The sums judge the recordings, and nothing judges the spaces between the sums.
    unjudged = (f"{MITDB.path}/.fetch.lock", SUMS)
    return {name: content for name, content in found.items() if name not in unjudged}


def _unused() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
