"""Build the book: run the demo, execute the notebooks, render the pages, check them, publish.

    python book/build.py [--no-demo | --run PROFILE [--deadline MIN] | --twice]

Every step is skipped when nothing it reads has changed. `_build/html` is replaced only by a build
in which each step succeeded.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import yaml
from answers import check_answers
from check_site import problems
from execute import emptied, execute_all, run_missing
from mend import mended
from moved import leave
from twice import check_twice

from ecgadv import files, machine
from ecgadv.cli.arguments import number
from ecgadv.errors import TOLD, EcgadvError, one_line

ROOT = Path(__file__).resolve().parents[1]
SUITES = ("paper-b", "paper-a")


class BuildError(EcgadvError):
    """The build stopped; the message says where and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the book; return 0, 2 after one line on what failed, or 130 if interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--no-demo", action="store_true", help="do not run the demo experiments")
    about = "build the last commit twice in other surroundings and compare every byte"
    ways.add_argument("--twice", action="store_true", help=about)
    about = "first train and attack what is missing of the pages that show this profile"
    ways.add_argument("--run", metavar="PROFILE", help=about)
    about = "with --run: after so many minutes a page begins nothing new"
    parser.add_argument("--deadline", metavar="MIN", type=number, help=about)
    options = parser.parse_args(arguments)
    os.chdir(ROOT)
    start = time.monotonic()
    try:
        if options.twice:
            equal = check_twice(ROOT / "_build/twice", root=ROOT)
            print(f"book: {equal} files, each equal in both builds")
            return 0
        _fix_environment()
        with files.full_disk_told(Path("_build")):
            if not options.no_demo:
                run_demo(Path("_build/demo.sha256"))
            if options.run:
                wanted = {"profile": options.run, "deadline": options.deadline}
                run_missing(Path("notebooks"), Path("_build/run"), **wanted)
            build(Path("_build"), root=ROOT)
    except KeyboardInterrupt:
        print("book: interrupted; `make book` goes on from what is done", file=sys.stderr)
        return 130
    except TOLD as error:
        # The lines of a renderer's report, or of a list of problems, are kept.
        text = str(error) if isinstance(error, BuildError) else one_line(error)
        print(f"book: error: {text}", file=sys.stderr)
        return 2
    print(f"book: _build/html/index.html is ready ({time.monotonic() - start:.0f} s)")
    return 0


def run_demo(done: Path) -> None:
    """Train and attack the small networks of the `demo` profile, unless nothing has changed.

    Args:
        done: remembers the package and the records as they were after the last demo.
    """
    if _read(done) == notebook_inputs():
        return
    from ecgadv.cli import INTERRUPTED
    from ecgadv.cli import main as ecgadv  # in this process: its workers end with it, however

    for suite in SUITES:
        command = ("run", suite, "--profile", "demo")
        print(f"book: ecgadv {' '.join(command)}", flush=True)
        status = ecgadv(command)
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        if status:
            raise BuildError(f"`ecgadv {' '.join(command)}` failed, see above")
    files.write(done, notebook_inputs().encode())


def build(work: Path, *, root: Path) -> None:
    """Execute, stage, render, check and publish, in the repository's root.

    Args:
        work: the folder of everything that is made, relative to the root.
        root: the repository, which is the working directory.

    Raises:
        BuildError: a figure, page, link or anchor is missing or wrong.
        AnswerError: a page's answer is too long.
        NotebookError: a notebook failed.
        EcgadvError, OSError: the disk is full or read-only.
    """
    from stage import stage  # it loads torch, a second or more in which an interrupt may come

    executed = work / "executed"
    execute_all(Path("notebooks"), executed, inputs=notebook_inputs())
    check_answers(executed)
    registry = yaml.safe_load(Path("book/figures.yml").read_text(encoding="utf-8"))
    check_registry(registry, executed / "figures")
    staged = work / "stage"
    stage(Path("book"), executed, staged, notebooks=Path("notebooks"), registry=registry)
    mathjax = _package("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js"
    shutil.copyfile(mathjax, staged / "assets" / "tex-svg.js")
    vendor_datatables(staged / "assets")
    # The API reference is made from the docstrings.
    sources = sorted(Path("ecgadv").rglob("*.py"))
    settings = map(Path, ("_config.yml", "book/_toc.yml", "book/moved.yml"))
    state = digest([staged, *settings, *sources])
    published = work / "html.sha256"
    if (work / "html/index.html").exists() and _read(published) == state:
        print("book: the pages are up to date")
        return
    html = render(staged, work / "render", toc=root / "book/_toc.yml")
    leave(html, Path("book/moved.yml"))
    broken = problems(html, folders=[root, *machine.homes()])
    if broken:
        raise BuildError("\n  ".join([f"{len(broken)} problems in the pages:", *broken[:40]]))
    published.unlink(missing_ok=True)
    publish(html, work / "html")
    files.write(published, state.encode())


def notebook_inputs() -> str:
    """Return one hash of all that a notebook can read: the package and the records."""
    sources = sorted(Path("ecgadv").rglob("*.py"))
    facts = [*sorted(Path("book").glob("*.yml")), Path("constraints.txt")]
    finished = "[!.]*/*.json"  # a folder whose name starts with a dot is still being written
    records = [p for root in ("runs", "book/records") for p in sorted(Path(root).glob(finished))]
    return digest([*sources, *facts, *records])


def check_registry(registry: Sequence[dict[str, str]], figures: Path) -> None:
    """Raise BuildError unless the executed notebooks made exactly the registered figures.

    In the place of its five files a figure may have one, `ID.not-run`: the notebook looked for
    its records and there are none.
    """
    formats = ("svg", "png", "pdf", "csv", "json")
    made = {path.name for path in figures.glob("*")} if figures.is_dir() else set()
    absent = {entry["id"] for entry in registry if f"{entry['id']}.not-run" in made}
    due = [entry["id"] for entry in registry if entry["id"] not in absent]
    expected = {f"{id}.{suffix}" for id in due for suffix in formats}
    expected |= {f"{id}.not-run" for id in absent}
    if missing := sorted(expected - made):
        raise BuildError(f"registered figures lack files: {', '.join(missing)}")
    if strange := sorted(made - expected):
        raise BuildError(f"not in book/figures.yml: {', '.join(strange)}")


def render(source: Path, work: Path, *, toc: Path) -> Path:
    """Render the staged book and return the folder of its pages; any warning is an error.

    Args:
        source: the staged book.
        work: a folder for the rendering, made anew: a page left from a failed one would not be
            looked at again.
        toc: the table of contents, an absolute path.
    """
    emptied(work)
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(source)]
    command += ["--config", "_config.yml", "--toc", str(toc)]
    command += ["--path-output", str(work), "-W", "--keep-going", "-q"]
    print("book: rendering the pages", flush=True)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = done.stdout + done.stderr
        if os.strerror(errno.ENOSPC) in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        lines = said.strip().splitlines()
        raise BuildError("the pages do not render:\n" + "\n".join(lines[-60:]))
    html = work / "_build/html"
    # For a second rendering into the same folder; it hashes where the packages are installed.
    (html / ".buildinfo").unlink(missing_ok=True)
    for page in html.rglob("*.html"):
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
    return html


def publish(html: Path, target: Path) -> None:
    """Put the rendered pages in the place of the former ones by renaming."""
    former = target.with_name(target.name + ".old")
    shutil.rmtree(former, ignore_errors=True)
    if target.exists():
        target.rename(former)
    html.rename(target)
    shutil.rmtree(former, ignore_errors=True)


def digest(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of files and folders: their names and their contents."""
    total = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            total.update(file.as_posix().encode() + b"\0")
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _fix_environment() -> None:
    """Make the same input give the same bytes: one thread, one hash seed, the commit's time."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTHONHASHSEED"] = "0"
    os.environ["MPLBACKEND"] = "Agg"
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(_edition_time()))


def _edition_time() -> int:
    """Return the commit's time; without git, or outside a checkout, the day of the version."""
    from ecgadv.experiments import provenance

    if time := provenance.commit_time():
        return time
    citation = yaml.safe_load(Path("CITATION.cff").read_text(encoding="utf-8"))
    return int(datetime.fromisoformat(f"{citation['date-released']}T00:00Z").timestamp())


def vendor_datatables(assets: Path) -> None:
    """Write DataTables, which comes with the package itables, as the script `itables` of a page.

    There it is a module, and browsers load no module from a page on disk.

    Raises:
        BuildError: the package exports nothing.
    """
    folder = _package("itables") / "html"
    shutil.copyfile(folder / "dt_bundle.css", assets / "datatables.css")
    module = (folder / "dt_bundle.js").read_text(encoding="utf-8")
    code, exports, names = module.rpartition("export{")
    inside, brace, rest = names.partition("}")
    if not (exports and brace):
        raise BuildError("dt_bundle.js of itables exports nothing: install the pinned itables")
    given = re.sub(r"([\w$]+) as ([\w$]+)", r"\2:\1", inside)
    script = f"(()=>{{{code}window.itables={{{given}}}{rest}\n}})();\n"
    (assets / "datatables.js").write_text(script, encoding="utf-8")


def _package(name: str) -> Path:
    """Return the folder of an installed package."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BuildError(f"{name} is not installed: run 'make setup'")
    return Path(spec.origin).parent


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
