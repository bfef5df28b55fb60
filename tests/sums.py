"""SHA-256 sums of records and of prepared arrays, made once more from their definition."""

import hashlib
import json
from pathlib import Path


def hexadecimal(content):
    return hashlib.sha256(content).hexdigest()


def of_arrays(arrays):
    """What pins the arrays of a prepared cache: their names, types, shapes and bytes."""
    found = b"".join(
        json.dumps([name, arrays[name].dtype.str, list(arrays[name].shape)]).encode()
        + arrays[name].tobytes()
        for name in sorted(arrays)
    )
    return hexadecimal(found)


def seal(folder, **changes):
    """Write run.json with other fields and with sums of what lies in `folder` now.

    So a test can change what a record says without damaging it. None takes a field away.
    """
    folder = Path(folder)
    run = json.loads((folder / "run.json").read_text()) | changes
    run = {name: value for name, value in run.items() if value is not None}
    sums = run.pop("sha256", {}) | {
        path.name: hexadecimal(path.read_bytes())
        for path in folder.iterdir()
        if path.name != "run.json"
    }
    sums["run.json"] = hexadecimal(json.dumps(run, sort_keys=True).encode())
    (folder / "run.json").write_text(json.dumps({**run, "sha256": sums}))


def unseal(folder, name="run.json"):
    """Let a description be one of before there were sums."""
    about = json.loads((Path(folder) / name).read_text())
    del about["sha256"]
    (Path(folder) / name).write_text(json.dumps(about))
