"""Robustness of single examples, metrics, intervals, and indicators of attacks that failed."""
