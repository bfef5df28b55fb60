"""`make serve`: the rendered book on this machine, or one line on why not."""

import socket
import threading
import urllib.request

import pytest
import serve


@pytest.fixture
def pages(tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "PAGES", tmp_path)
    (tmp_path / "index.html").write_text("the book")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        return other.getsockname()[1]


def failed(capsys, *arguments):
    """The one line of a call that fails."""
    assert serve.main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err.removeprefix("serve: error: ").strip()


def test_the_book_is_served(pages, capsys, monkeypatch):
    servers, up = [], threading.Event()

    def serve_forever(self):
        servers.append(self)
        up.set()
        original(self, 0.01)

    original = serve._Server.serve_forever
    monkeypatch.setattr(serve._Server, "serve_forever", serve_forever)
    port = free_port()
    thread = threading.Thread(target=serve.main, args=([str(port)],))
    thread.start()
    assert up.wait(10)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.read() == b"the book"
    servers[0].shutdown()
    thread.join()
    assert f"http://localhost:{port} " in capsys.readouterr().out


def test_a_port_that_is_taken_is_one_line(pages, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert failed(capsys, port).startswith(f"port {port} is taken: try another, `make serve ")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "web", ""])
def test_what_is_no_port_is_one_line(pages, capsys, port):
    assert failed(capsys, port) == f"port {port!r} is none: give a number from 1 to 65535"


def test_a_port_that_may_not_be_used_is_one_line(pages, capsys, monkeypatch):
    def refuse(*ignored):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(serve._Server, "server_bind", refuse)
    assert "port 80 cannot be used (Permission denied): try" in failed(capsys, 80)


def test_without_pages_it_says_how_to_make_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(serve, "PAGES", tmp_path)
    assert failed(capsys) == "no pages yet: run `make book` first"


def test_an_interrupt_ends_it_without_a_word(pages, capsys, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(serve._Server, "serve_forever", interrupt)
    assert serve.main([str(free_port())]) == 0
    assert capsys.readouterr().err == ""
