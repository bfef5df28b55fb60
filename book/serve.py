"""Show the rendered book on this machine: python3 book/serve.py [PORT]

It needs no package, so that any Python will do.
"""

import errno
import functools
import http.server
import os
import sys
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "_build/html"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Elsewhere it lets a port be used again at once; on Windows two servers would share one.
    allow_reuse_address = os.name != "nt"

    def handle_error(self, request, client_address):
        """Say nothing of a browser that has turned away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main(arguments):
    """Serve until interrupted; return 0, or 2 after one line on why it cannot be."""
    try:
        port = int(arguments[0]) if arguments else 8000
        if not 0 < port < 2**16:
            raise ValueError
    except ValueError:
        return _fail(f"port {arguments[0]!r} is none: give a number from 1 to 65535")
    if not (PAGES / "index.html").is_file():
        return _fail("no pages yet: run `make book` first")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(PAGES))
    try:
        server = _Server(("127.0.0.1", port), handler)
    except OSError as error:
        why = (
            "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        return _fail(f"port {port} {why}: try another, `make serve PORT=8080` say")
    with server:
        print(f"http://localhost:{port} shows the book; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def _fail(why):
    print(f"serve: error: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
