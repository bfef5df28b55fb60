"""Where a result comes from: code, versions, device; never a host name or an absolute path."""

import functools
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
import torch

import ecgadv


@functools.cache
def commit() -> tuple[str, bool]:
    """Return the commit of the code and whether the working tree differs from it.

    Outside a git checkout the environment variable ECGADV_COMMIT is taken, or "unknown".
    """
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return os.environ.get("ECGADV_COMMIT", "unknown"), False
    return revision, bool(_git("status", "--porcelain", "--", "."))


def commit_time() -> int | None:
    """Return the commit's time in seconds since 1970; None outside a git checkout."""
    told = _git("log", "-1", "--format=%ct")
    return int(told) if told else None


def _git(*arguments: str) -> str | None:
    """Return what git says; None where it is not installed or the package not in its checkout."""
    here, own = Path(ecgadv.__file__).parent, Path(ecgadv.__file__).name
    try:
        for command in (["ls-files", "--error-unmatch", own], list(arguments)):
            done = subprocess.run(
                ["git", "-C", str(here), *command], capture_output=True, text=True, check=True
            )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def device_name(device: torch.device) -> str:
    """Return what a reader knows the device by."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"CPU ({models[0] if models else platform.machine()})"


def environment(device: torch.device) -> dict:
    """Return versions, device, threads and commit, as run.json holds them."""
    revision, dirty = commit()
    return {
        "commit": revision,
        "dirty": dirty,
        "versions": {
            "ecgadv": ecgadv.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "numpy": np.__version__,
        },
        "device": device_name(device),
        "threads": torch.get_num_threads(),
    }
