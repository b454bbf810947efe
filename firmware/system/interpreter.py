"""What every board has alike, because MicroPython brings it: heap figures and random numbers."""

import gc
import os


def free_memory():
    """Bytes of the Python heap that are free."""
    return gc.mem_free()


def heap_in_use():
    """Bytes of the Python heap that are taken, garbage included."""
    return gc.mem_alloc()


def random_below(n):
    """Evenly distributed in 0..n-1: draws that would favour small numbers are drawn again.
    n from 1 to 2^29. Raises ValueError."""
    if not 1 <= n <= 1 << 29:
        raise ValueError("random_below: %r is not in 1..2^29" % n)
    mask = 1
    while mask < n - 1:
        mask = mask << 1 | 1
    while True:
        value = int.from_bytes(os.urandom(4), "little") & mask
        if value < n:
            return value
