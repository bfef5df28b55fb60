"""Speed and memory, ours beside the peers': `make bench`, or `python -m benchmarks --help`.

What is compared is timed in turns in one run, so that the ratios hold on a machine that is not
quiet; the absolute numbers beside them are those of that machine. Nothing here is a test.
"""
