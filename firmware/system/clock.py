"""The one way to ask for the time: ticks for durations, Unix time for what people read.

Boards count `time.time()` from 1970 (RP2, unix) or from 2000 (ESP32), and start with a date
that is years off until somebody sets it. Ticks wrap after 2**30 ms (12.4 days) on boards and
never on a PC; `WrappingClock` gives a PC the period of a board.
"""

import asyncio
import time

from micropython import const

from system.rfc3339 import format_utc

_EPOCH_2000_S = const(946684800)
# No board that runs this lives before it was written: an earlier date is a clock never set.
# One more than ten years on is a wrong answer of a time server (an empty NTP stamp reads as
# 2036-02-07), and would make tokens that live for ever.
_EARLIEST_UNIX_S = const(1735689600)  # 2025-01-01
_LATEST_UNIX_S = const(_EARLIEST_UNIX_S + 10 * 365 * 86400)


def is_plausible(unix_s):
    return _EARLIEST_UNIX_S <= unix_s <= _LATEST_UNIX_S


class Clock:
    """`source` is Python's `time` module, or what a test puts in its place."""

    def __init__(self, source=time):
        self._source = source
        self._offset_s = _EPOCH_2000_S if source.gmtime(0)[0] == 2000 else 0
        self._uptime_s = 0
        self.uptime_remainder_ms = 0
        self._counted_ticks = self.ticks_ms()

    def ticks_ms(self):
        """Milliseconds from an arbitrary start; wraps. Compare with `ticks_diff` only."""
        return self._source.ticks_ms()

    def ticks_diff(self, later, earlier):
        """Signed ms from `earlier` to `later`; right up to half a period (6.2 days)."""
        return self._source.ticks_diff(later, earlier)

    def ticks_add(self, ticks, ms):
        return self._source.ticks_add(ticks, ms)

    def uptime_s(self):
        """Seconds since this clock was made; never jumps, never wraps.

        `uptime_remainder_ms` holds the milliseconds beside them. To be asked at least once in
        six days, which the control task does every tick.
        """
        now = self.ticks_ms()
        elapsed_ms = self.uptime_remainder_ms + self.ticks_diff(now, self._counted_ticks)
        self._counted_ticks = now
        self._uptime_s += elapsed_ms // 1000
        self.uptime_remainder_ms = elapsed_ms % 1000
        return self._uptime_s

    def unix_time(self):
        """Seconds since 1970 (int), or 0 while the board cannot know the date."""
        unix_s = int(self._source.time()) + self._offset_s
        return unix_s if is_plausible(unix_s) else 0

    def set_unix_time(self, unix_s):
        """Take `unix_s` for the present time; False (and nothing changes) if implausible."""
        if not is_plausible(unix_s):
            return False
        self._offset_s = unix_s - int(self._source.time())
        return True

    def utc_text(self):
        """Now in RFC 3339, `2026-11-21T05:35:00Z`; "" while the date is not known."""
        unix_s = self.unix_time()
        return format_utc(unix_s) if unix_s else ""

    def sleep_ms(self, ms):
        """Awaitable. MicroPython's own is a singleton: handing it on allocates nothing."""
        return asyncio.sleep_ms(ms)


class WrappingClock(Clock):
    """A PC's clock whose ticks wrap after `period` ms (a power of two), as a board's do.

    `start` moves the first tick, so that a run can be placed just before the wrap.
    """

    def __init__(self, period=1 << 30, start=0, source=time):
        self._mask = period - 1
        self._half = period >> 1
        self._start = 0
        self._start = start - source.ticks_ms()
        Clock.__init__(self, source)

    def ticks_ms(self):
        return (self._source.ticks_ms() + self._start) & self._mask

    def ticks_diff(self, later, earlier):
        return ((later - earlier + self._half) & self._mask) - self._half

    def ticks_add(self, ticks, ms):
        return (ticks + ms) & self._mask
