"""Memory that is freed at one step stays in the process for the next."""

import torch


def keep_freed_memory() -> None:
    """Make the C library of Linux keep freed blocks of up to 32 MB instead of returning them.

    A training or attack step frees tens of megabytes and wants them back at the next step. glibc
    returns large blocks to the system at once, so every step paid for the same page faults again:
    a sixth of its time for the beat networks. glibc learns from the largest block that was freed
    (mallopt(3), M_MMAP_THRESHOLD), up to 32 MB; this frees one of that size, whose pages are
    never touched. No effect where another allocator is in use; memory still goes back to the
    system once 64 MB lie free.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)
