"""The benchmark of preparing recordings runs on the real ones of MIT-BIH."""

from benchmarks import preparing


def test_seconds_and_peak_memory_of_preparing(mitdb_raw):
    seconds, megabytes = preparing._measured("mitdb", mitdb_raw)
    assert seconds > 0
    assert 50 < megabytes < 2000  # an interpreter with numpy, within the goal
