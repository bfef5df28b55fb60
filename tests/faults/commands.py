"""The commands that are killed, each small enough to be given a hundred times."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import build
import nbformat
import tiny
from faults import material
from loopback import MITDB, Mirror, below, fake_files, with_sums

from ecgadv import cli
from ecgadv.data import catalogue
from ecgadv.files import sha256

ROOT = Path(__file__).resolve().parents[2]
# What differs from one run to the next: seconds, and what is reckoned from them.
TIMED = {"seconds", "tflops", "share_of_peak", "parts_of_commits", "sha256"}


@dataclass(frozen=True)
class Command:
    """A command that makes files in a folder.

    Attributes:
        act: runs it there, in this process; returns the exit status.
        kept: gives what is there by name, as far as it is the same in every run.
    """

    act: Callable[[Path], int]
    kept: Callable[[Path], dict[str, object]]


@contextmanager
def commands(folder: Path) -> Iterator[dict[str, Command]]:
    """Give the commands by name, with recordings and a server under `folder` that they need."""
    tiny.install(tiny.dataset())
    with material.pinned(folder / "raw"), _server() as url:
        yield {
            "run": Command(_run, _sums),
            "run in 2 processes": Command(_run_in_two, _sums),
            "prepare": Command(lambda made: _prepare(made, folder / "raw"), _sums),
            "fetch": Command(lambda made: _fetch(made, url), _sums),
            "make book": Command(_book, _pages),
        }


def _run(folder: Path, processes: int = 1) -> int:
    words = ["run", "tiny", "--profile", "demo", "--runs", str(folder)]
    return cli.main([*words, "--processes", str(processes)])


def _run_in_two(folder: Path) -> int:
    fork = multiprocessing.get_context("fork")  # spawned ones would import torch every time
    with patch.object(multiprocessing, "get_context", lambda method: fork):
        return _run(folder, 2)


def _prepare(folder: Path, raw: Path) -> int:
    if not (folder / "mitdb").exists():
        (folder / "mitdb").symlink_to(raw / "mitdb")
    return cli.main(["data", "prepare", "mitdb", "--root", str(folder)])


def _fetch(folder: Path, url: str) -> int:
    with patch.dict(catalogue.SOURCES, {"mitdb": MITDB}):
        return cli.main(["data", "fetch", "mitdb", "--dest", str(folder), "--base-url", url])


@contextmanager
def _server() -> Iterator[str]:
    """Serve made-up files from a process of its own: threads and forks do not go together."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    files = fake_files(MITDB.files, size=20_000, large=("100.dat",))
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(sender, below(MITDB.path, with_sums(files))), daemon=True
    )
    process.start()
    os.environ["NO_PROXY"] = "127.0.0.1"
    yield receiver.recv()
    process.terminate()
    process.join()


def _serve(sender, files: dict[str, bytes]) -> None:
    with Mirror(files) as mirror:
        sender.send(mirror.url)
        multiprocessing.parent_process().join()


def _book(folder: Path) -> int:
    """Build a book of two notebooks and one page."""
    if not (folder / "_config.yml").exists():
        _write_book(folder)
    with patch.object(build, "ROOT", folder):
        return build.main(["--no-demo"])


def _write_book(folder: Path) -> None:
    """Write its sources, with the looks of the real one."""
    for name in ("notebooks", "ecgadv", "book/api"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "book" / "assets", folder / "book" / "assets", dirs_exist_ok=True)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    chapters = [{"file": f"notebooks/{number}"} for number in "12"]
    texts = {
        "book/index.md": "# Title\n\nText.\n",
        "CHANGELOG.md": "",
        "CONTRIBUTING.md": "",
        "book/_toc.yml": json.dumps({"format": "jb-book", "root": "index", "chapters": chapters}),
        **{f"book/{name}.yml": "[]" for name in ("figures", "claims", "moved", "reported")},
        **{f"notebooks/{number}.ipynb": _notebook(number) for number in "12"},
        "constraints.txt": "",
        "_config.yml": (ROOT / "_config.yml").read_text(encoding="utf-8"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _notebook(number: str) -> str:
    cells = [
        nbformat.v4.new_markdown_cell(f"# Page {number}", id="0"),
        nbformat.v4.new_code_cell("out = '.'", id="1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(f"print({number})", id="2"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}))


def _sums(folder: Path) -> dict[str, object]:
    """Return the files by name: JSON without what is timed, of others the sum."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name in ("run.json", "training.json"):
            found[name] = _untimed(json.loads(path.read_bytes()))
        else:
            found[name] = sha256(path.read_bytes())
    return found


def _untimed(value: object) -> object:
    if isinstance(value, dict):
        return {name: _untimed(item) for name, item in value.items() if name not in TIMED}
    return [_untimed(item) for item in value] if isinstance(value, list) else value


def _pages(folder: Path) -> dict[str, object]:
    """Return what was executed and rendered; of the renderer's own notes only their folder."""
    shutil.rmtree(folder / "_build" / "render", ignore_errors=True)
    return _sums(folder / "_build")
