"""What the C library does with memory that is freed; it knows no network."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # parameters of glibc's mallopt


def keep_freed_memory() -> bool:
    """Lets this process keep freed memory to use it again, for good; returns whether the C library can.

    glibc returns large blocks to the system as soon as they are freed, and gets them back page by page: a training step on a CPU
    then spends up to a quarter of its time on page faults (`python -m experiments.freed_memory`). What the process holds at its peak
    grows by a few per cent.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError, OSError):  # another C library
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))
