"""Fewer samples a second, without what would fold back."""

import numpy as np

HALF = 10  # taps on each side, in samples of the slower rate
CUTOFF = 0.9  # of half the slower rate


def slower(signal, factor):
    """Every `factor`-th sample of a signal after a low-pass filter, as whole counts.

    The filter is a sinc under a Hamming window, of sum 1; beyond both ends the signal stays at
    its first and last value.

    Args:
        signal: (C, T), counts.
        factor: whole number.

    Returns:
        float32 (C, ceil(T / factor)).
    """
    reach = HALF * factor
    offset = np.arange(-reach, reach + 1)
    taps = np.sinc(CUTOFF * offset / factor) * np.hamming(2 * reach + 1)
    taps /= taps.sum()
    padded = np.pad(np.asarray(signal, np.float64), ((0, 0), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=1)[:, ::factor]
    # Whole counts, as recordings have: what is left of rounding does not reach the hash.
    return np.rint(windows @ taps).astype(np.float32)
