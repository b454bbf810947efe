"""A board's ticks on a PC, where they never wrap: so that a run can be placed at the wrap."""

import time


class WrappingTime:
    """Stands for Python's `time` with ticks that wrap after `period` ms (a power of two).

    `start` is the first tick, so that a run can be placed just before the wrap.
    """

    def __init__(self, period, start=0, source=time):
        self._source = source
        self._mask = period - 1
        self._half = period >> 1
        self._start = start - source.ticks_ms()
        self.gmtime = source.gmtime
        self.time = source.time

    def ticks_ms(self):
        return (self._source.ticks_ms() + self._start) & self._mask

    def ticks_diff(self, later, earlier):
        return ((later - earlier + self._half) & self._mask) - self._half

    def ticks_add(self, ticks, ms):
        return (ticks + ms) & self._mask
