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
    here = Path(ecgadv.__file__).parent

    def git(*arguments):
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(ecgadv.__file__).name)  # another project's tree?
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("ECGADV_COMMIT", "unknown"), False


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
