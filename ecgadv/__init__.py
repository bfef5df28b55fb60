"""Adversarial attacks and defenses for ECG classifiers, re-tested on the real recordings."""

from importlib import import_module

__version__ = "0.1.0"

# Imported at first use: the command line answers `--help` without torch.
_OFFERED = {
    "Report": "ecgadv.evaluation.report",
    "evaluate": "ecgadv.evaluation.evaluate",
    "list_models": "ecgadv.experiments.released",
    "load_model": "ecgadv.experiments.released",
}


def __getattr__(name: str):
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)
