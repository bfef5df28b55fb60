"""Execute the notebooks with papermill, one after another, and only those whose input changed."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import nbformat

from ecgadv import files
from ecgadv.errors import EcgadvError

KERNEL = "python3"


class NotebookError(EcgadvError):
    """A notebook is none, failed, or declares other parameters than it is given."""


def execute_all(notebooks: Path, executed: Path, *, inputs: str) -> None:
    """Execute every notebook of a folder.

    Args:
        notebooks: the folder of the stripped notebooks, relative to the working directory.
        executed: where the executed ones go; figures and verdicts go to its subfolders.
        inputs: hash of whatever a notebook reads; with the notebook's own text it decides
            whether an earlier execution still stands.

    Raises:
        NotebookError: see `execute`.
    """
    executed.mkdir(parents=True, exist_ok=True)
    pin_kernel(executed.parent / "kernel")
    sources = sorted(notebooks.glob("*.ipynb"))
    made: dict[str, str] = {}
    for number, source in enumerate(sources, start=1):
        label = f"book: [{number}/{len(sources)}] {source.name}"
        key = hashlib.sha256(source.read_bytes() + inputs.encode()).hexdigest()
        if _stands(executed, source.stem, key):
            print(f"{label} unchanged", flush=True)
        else:
            print(label, end=" ", flush=True)
            start, end = time.monotonic(), ""
            try:
                _execute_afresh(source, executed, key)
                end = f"{time.monotonic() - start:.1f} s"
            finally:
                print(end, flush=True)  # what is said of a failure starts a line
        for name in _ledger(executed, source.stem)["files"]:
            if name in made:
                raise NotebookError(f"{name} is made by {made[name]} and by {source.name}")
            made[name] = source.name
    _sweep(executed, {source.stem for source in sources}, set(made))
    emptied(executed.parent / "kernel" / "ipython")  # a killed kernel's half profile would stay


def run_missing(
    notebooks: Path, scratch: Path, *, profile: str, deadline: float | None = None
) -> None:
    """Have each notebook that shows a profile train and attack what has no record yet.

    Args:
        notebooks: the folder of the stripped notebooks.
        scratch: a folder for what they write besides the records, which is thrown away.
        profile: what a notebook shows unless told otherwise.
        deadline: minutes after which a notebook begins nothing new.

    Raises:
        NotebookError: no notebook shows this profile, or see `execute`.
    """
    told = {source: _parameters(source) for source in sorted(notebooks.glob("*.ipynb"))}
    shown = {
        source: ast.literal_eval(declared["profile"]["default"])
        for source, declared in told.items()
        if "run" in declared
    }
    if profile not in shown.values():
        known = ", ".join(sorted(set(shown.values())))
        raise NotebookError(f"no notebook shows profile {profile!r}; they show {known}")
    pin_kernel(scratch.parent / "kernel")
    for source in (source for source, own in shown.items() if own == profile):
        print(f"book: {source.name} runs what is missing of {profile}", flush=True)
        parameters = {"out": emptied(scratch).as_posix(), "run": True, "deadline": deadline}
        execute(source, scratch / source.name, parameters=parameters)
    shutil.rmtree(scratch)


def execute(source: Path, target: Path, *, parameters: Mapping[str, object]) -> None:
    """Execute one notebook and move the result into place only when all of it ran.

    When and how long each cell ran is left out: the same notebook gives the same bytes.

    Args:
        source: the notebook; it runs in the working directory.
        target: the executed notebook.
        parameters: values for its `parameters` cell, each of which it must declare.

    Raises:
        NotebookError: no notebook, an undeclared parameter, a cell that failed, or a kernel that
            died.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    declared = _parameters(source)
    if unknown := sorted(set(parameters) - set(declared)):
        known = ", ".join(sorted(declared)) or "nothing"
        raise NotebookError(f"{source.name} declares {known}, not {', '.join(unknown)}")
    part = target.with_name(target.stem + ".part.ipynb")
    part.unlink(missing_ok=True)
    try:
        done = papermill.execute_notebook(
            str(source),
            str(part),
            parameters=dict(parameters),
            kernel_name=KERNEL,
            progress_bar=False,
        )
    except PapermillExecutionError as error:
        what = " ".join(f"{error.ename}: {error.evalue}".split())
        raise NotebookError(
            f"{source.name}, cell {error.exec_count}: {what} (see {part})"
        ) from error
    except RuntimeError as error:  # DeadKernelError, or a kernel that did not even start
        raise NotebookError(
            f"{source.name}, cell {_running(part)}: its kernel died, perhaps for want of memory"
        ) from error
    files.write(target, nbformat.writes(_without_times(done)).encode())
    part.unlink()


def _parameters(source: Path) -> dict:
    """Return the parameters that a notebook declares."""
    import papermill

    try:
        nbformat.validate(nbformat.read(source, as_version=4))
        return papermill.inspect_notebook(str(source))
    except (ValueError, LookupError, AttributeError, TypeError, nbformat.ValidationError) as error:
        what = " ".join(str(error).split())[:100]
        text = f"{source.name} is no notebook ({what}): restore it, with git say"
        raise NotebookError(text) from error


def _running(part: Path) -> str:
    """Return the number of the code cell that papermill was at, as in its prompt."""
    if not part.exists():
        return "1"
    cells = [c for c in nbformat.read(part, as_version=4).cells if c.cell_type == "code"]
    states = [cell.metadata.get("papermill", {}).get("status") for cell in cells]
    return str(states.index("running") + 1 if "running" in states else len(states))


def _without_times(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove what papermill and nbclient note of the execution: times, durations, a random id."""
    for part in (notebook, *notebook.cells):
        for name in ("papermill", "execution"):
            part.metadata.pop(name, None)
        if "injected-parameters" in part.metadata.get("tags", []):
            part["id"] = "injected-parameters"
    return notebook


def pin_kernel(folder: Path) -> None:
    """Make `python3` mean this interpreter, and keep the user's own settings and fonts out of it.

    Another environment's kernel would run unnoticed; a start-up file, a matplotlibrc, or a warning
    about one, would be in the pages.

    Args:
        folder: for the kernel's description, and what it would keep in the user's home.
    """
    folder = folder.resolve()
    spec = folder / "kernels" / KERNEL / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv += ["--log-level=CRITICAL"]  # it reports its own shutdown as an error
    argv += ["--HistoryManager.enabled=False"]
    settings = {
        "IPYTHONDIR": f"{emptied(folder / 'ipython')}".replace("$", "$$"),
        "MATPLOTLIBRC": "",
        "MPLCONFIGDIR": f"{folder / 'matplotlib'}".replace("$", "$$"),
        "MPL_IGNORE_SYSTEM_FONTS": "1",
        "PYTHONSTARTUP": "",
        "PYTHONWARNINGS": "",
    }
    described = {"argv": argv, "display_name": "Python 3", "language": "python", "env": settings}
    spec.write_text(json.dumps(described), encoding="utf-8")
    others = [p for p in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder), *others])
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    os.environ["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")


def emptied(folder: Path) -> Path:
    """Return the folder, made anew."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _execute_afresh(source: Path, executed: Path, key: str) -> None:
    """Execute a notebook into a scratch folder and take over what it made."""
    scratch = emptied(executed / "scratch")
    execute(source, executed / source.name, parameters={"out": scratch.as_posix()})
    names = [source.name]
    for path in sorted(p for p in scratch.rglob("*") if p.is_file()):
        name = path.relative_to(scratch)
        (executed / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(executed / name)
        names.append(name.as_posix())
    shutil.rmtree(scratch)
    sums = {name: files.sha256((executed / name).read_bytes()) for name in names}
    ledger = {"key": key, "files": sums}
    files.write(executed / f"{source.stem}.json", json.dumps(ledger, indent=1).encode())


def _stands(executed: Path, stem: str, key: str) -> bool:
    """Return whether an earlier execution with the same key is still there, whole."""
    ledger = _ledger(executed, stem)
    return ledger["key"] == key and all(
        (executed / name).is_file() and files.sha256((executed / name).read_bytes()) == sum
        for name, sum in ledger["files"].items()
    )


def _ledger(executed: Path, stem: str) -> dict:
    """Return what an execution made, with its sums; a damaged ledger stands for none."""
    try:
        ledger = json.loads((executed / f"{stem}.json").read_bytes())
        return {"key": str(ledger["key"]), "files": dict(ledger["files"])}
    except (OSError, ValueError, TypeError, LookupError):
        return {"key": "", "files": {}}


def _sweep(executed: Path, stems: set[str], made: set[str]) -> None:
    """Remove what no notebook makes any more."""
    kept = made | {f"{stem}.{suffix}" for stem in stems for suffix in ("ipynb", "json")}
    for path in sorted(p for p in executed.rglob("*") if p.is_file()):
        if path.relative_to(executed).as_posix() not in kept:
            path.unlink()
