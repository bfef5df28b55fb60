"""Execute the notebooks with papermill, one after another, and only those whose input changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

KERNEL = "python3"


class NotebookError(RuntimeError):
    """A notebook failed or declares other parameters than it is given."""


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
            start = time.monotonic()
            _execute_afresh(source, executed, key)
            print(f"{time.monotonic() - start:.1f} s", flush=True)
        for name in _ledger(executed, source.stem)["files"]:
            if name in made:
                raise NotebookError(f"{name} is made by {made[name]} and by {source.name}")
            made[name] = source.name
    _sweep(executed, {source.stem for source in sources}, set(made))


def execute(source: Path, target: Path, *, parameters: Mapping[str, object]) -> None:
    """Execute one notebook and move the result into place only when all of it ran.

    Args:
        source: the notebook; it runs in its own folder, as by hand.
        target: the executed notebook.
        parameters: values for its `parameters` cell, each of which it must declare.

    Raises:
        NotebookError: an undeclared parameter, or a cell that failed.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    declared = papermill.inspect_notebook(str(source))
    if unknown := sorted(set(parameters) - set(declared)):
        known = ", ".join(sorted(declared)) or "nothing"
        raise NotebookError(f"{source.name} declares {known}, not {', '.join(unknown)}")
    part = target.with_name(target.stem + ".part.ipynb")
    try:
        papermill.execute_notebook(
            str(source),
            str(part),
            parameters=dict(parameters),
            kernel_name=KERNEL,
            cwd=str(source.parent),
            progress_bar=False,
        )
    except PapermillExecutionError as error:
        raise NotebookError(
            f"{source.name}, cell {error.exec_count}: {error.ename}: {error.evalue} (see {part})"
        ) from error
    part.replace(target)


def pin_kernel(folder: Path) -> None:
    """Make `python3` mean this interpreter: another environment's kernel would run unnoticed."""
    spec = folder / "kernels" / KERNEL / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    argv += ["--log-level=CRITICAL"]  # it reports its own shutdown as an error
    spec.write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}),
        encoding="utf-8",
    )
    others = [p for p in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder.resolve()), *others])
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"


def _execute_afresh(source: Path, executed: Path, key: str) -> None:
    """Execute a notebook into a scratch folder and take over what it made."""
    scratch = executed / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    out = os.path.relpath(scratch, source.parent)
    execute(source, executed / source.name, parameters={"out": out})
    names = []
    for path in sorted(p for p in scratch.rglob("*") if p.is_file()):
        name = path.relative_to(scratch)
        (executed / name).parent.mkdir(parents=True, exist_ok=True)
        path.replace(executed / name)
        names.append(name.as_posix())
    shutil.rmtree(scratch)
    ledger = {"key": key, "files": names}
    (executed / f"{source.stem}.json").write_text(json.dumps(ledger), encoding="utf-8")


def _stands(executed: Path, stem: str, key: str) -> bool:
    """Return whether an earlier execution with the same key is still complete."""
    ledger = _ledger(executed, stem)
    needed = [f"{stem}.ipynb", *ledger["files"]]
    return ledger["key"] == key and all((executed / name).is_file() for name in needed)


def _ledger(executed: Path, stem: str) -> dict:
    path = executed / f"{stem}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"key": "", "files": []}


def _sweep(executed: Path, stems: set[str], made: set[str]) -> None:
    """Remove what no notebook makes any more."""
    kept = made | {f"{stem}.{suffix}" for stem in stems for suffix in ("ipynb", "json")}
    for path in sorted(p for p in executed.rglob("*") if p.is_file()):
        if path.relative_to(executed).as_posix() not in kept:
            path.unlink()
