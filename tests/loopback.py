"""A PhysioNet of our own on loopback, that fails on demand."""

import hashlib
import http.server
import re
import threading
from collections import defaultdict
from dataclasses import replace

import numpy as np

from ecgadv.data import catalogue

WHOLE = catalogue.source("mitdb")
# To fetch all 145 files takes half a second: most tests want no more than these.
MITDB = replace(WHOLE, files=WHOLE.files[:19])


class Mirror:
    """Serves `files` ({path: bytes}) below its `url`, and plays the faults planned for a path.

    `plan[path]` is a list of faults, used one a request, an int n standing for a connection that
    breaks off after n bytes, "stall" for one that goes silent there, "drip" for one that goes on
    byte by byte, "flip" and "truncate" for wrong bytes, "shift" for another range than asked for,
    (status, headers) for an answer.
    `requests` logs (path, first byte asked for).
    """

    def __init__(self, files, *, ranges=True):
        self.files, self.ranges = dict(files), ranges
        self.plan, self.requests = defaultdict(list), []
        self.stalled, self.release = threading.Event(), threading.Event()
        handler = type("Handler", (_Handler,), {"mirror": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/files/"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def asked(self, name):
        """The first byte of each request for a file, oldest first."""
        return [start for path, start in self.requests if path.endswith("/" + name)]


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # clients hang up: that is what the tests are about


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    mirror = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        mirror, path = self.mirror, self.path.removeprefix("/files/")
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and mirror.ranges else 0
        mirror.requests.append((path, int(wanted[1]) if wanted else 0))
        fault = mirror.plan[path].pop(0) if mirror.plan[path] else None
        body = mirror.files.get(path)
        if isinstance(fault, tuple):
            self._answer(fault[0], b"", fault[1])
        elif body is None:
            self._answer(404, b"not here", {})
        elif start >= len(body) > 0 and start:
            self._answer(416, b"", {})
        else:
            self._send(body, start, fault)

    def _send(self, body, start, fault):
        if fault == "flip":
            body = body[:-1] + bytes([body[-1] ^ 1])
        elif fault == "truncate":
            body = body[: len(body) // 2]
        elif fault == "shift":
            start += 1
        ends = f"bytes {start}-{len(body) - 1}/{len(body)}"
        headers = {"Content-Range": ends} if start else {}
        body = body[start:]
        if isinstance(fault, int):
            self._answer(206 if start else 200, body, headers, sent=fault)
        elif fault == "drip":
            self._answer(206 if start else 200, body, headers, sent=0, drip=True)
        elif fault == "stall":
            self._answer(206 if start else 200, body, headers, sent=len(body) // 2, stall=True)
        else:
            self._answer(206 if start else 200, body, headers)

    def _answer(self, status, body, headers, *, sent=None, stall=False, drip=False):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body[:sent])
        if stall:
            self.wfile.flush()
            self.mirror.stalled.set()
            self.mirror.release.wait()
        while drip and not self.mirror.release.wait(0.01):
            self.wfile.write(body[:1])
            body = body[1:]
        if sent is not None:
            self.close_connection = True


def with_sums(files):
    """The files and a SHA256SUMS.txt for them: {name: bytes}."""
    lines = [f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items()]
    return {**files, "SHA256SUMS.txt": "".join(lines).encode()}


def below(path, files):
    """The files under a path."""
    return {f"{path}/{name}": body for name, body in files.items()}


def fake_files(names, *, size=3000, large=()):
    """Random bytes for each name, a hundred times as many for the large ones."""
    rng = np.random.default_rng(0)
    return {name: rng.bytes(size * (100 if name in large else 1)) for name in names}


def fake_record(name, *, samples=50, leads=12, seed=0):
    """A .hea and a .mat as in the 2020 challenge: {file name: bytes}."""
    counts = np.random.default_rng(seed).integers(-2000, 2000, size=(samples, leads))
    prefix = np.array([30, leads, samples, 0, 4], "<i4").tobytes() + b"val\0"
    lines = [f"{name} {leads} 500 {samples} 05-Feb-2020 11:39:16"]
    for lead in counts.T:
        total = int(lead.sum()) % 2**16
        signed = total - 2**16 if total >= 2**15 else total
        lines.append(f"{name}.mat 16+24 1000/mV 16 0 {lead[0]} {signed} 0 I")
    header = "\n".join([*lines, "#Age: 74", "#Dx: RBBB", ""])
    return {
        f"{name}.hea": header.encode(),
        f"{name}.mat": prefix + counts.astype("<i2").tobytes(),
    }
