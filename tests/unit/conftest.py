"""What MicroPython has and CPython lacks, added where the firmware looks for it; and hypothesis
without chance."""

import asyncio
import gc
import sys
import time
import traceback

import hypothesis

# The same examples each time, so that what is red is red again; look for others with
# `pytest --hypothesis-profile=default`.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

_PERIOD = 1 << 30
_HALF = _PERIOD >> 1


def _ticks_ms():
    return int(time.monotonic() * 1000) & (_PERIOD - 1)


def _ticks_diff(later, earlier):
    return ((later - earlier + _HALF) & (_PERIOD - 1)) - _HALF


def _ticks_add(ticks, delta):
    return (ticks + delta) & (_PERIOD - 1)


time.ticks_ms = _ticks_ms
time.ticks_diff = _ticks_diff
time.ticks_add = _ticks_add
time.sleep_ms = lambda ms: time.sleep(ms / 1000)
asyncio.sleep_ms = lambda ms: asyncio.sleep(ms / 1000)
gc.mem_free = lambda: 1 << 17
gc.mem_alloc = lambda: 1 << 16
sys.print_exception = lambda error, file=None: traceback.print_exception(error, file=file)
