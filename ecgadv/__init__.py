"""Adversarial attacks and defenses for ECG classifiers, re-tested on the real recordings."""

__version__ = "0.1.0"
