"""The benchmark of preparing MIT-BIH runs on the real recordings."""

from benchmarks import preparing


def test_seconds_and_peak_memory_of_preparing(physionet, mitdb_raw, monkeypatch):
    monkeypatch.setenv("ECGADV_TEST_PHYSIONET", str(physionet))
    seconds, memory = preparing.preparing(quick=False)
    assert seconds.ratio > 0
    assert 50 < memory.ours < 2000  # megabytes: an interpreter with numpy, within the goal
