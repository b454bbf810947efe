"""The one way to ask for the time: ticks for durations, Unix time and RFC 3339 for people; what
others write of dates is read in `system.dates`.

Boards count `time.time()` from 1970 (RP2, unix) or from 2000 (ESP32), and start with a date
that is years off until somebody sets it. Ticks wrap after 2**30 ms (12.4 days) on boards.
Dates are told by the calendar's own arithmetic: `time.gmtime` has the two epochs too.
Source: the Gregorian rule of leap years.
"""

import asyncio
import time

from micropython import const

_EPOCH_2000_S = const(946684800)
# No board that runs this lives before it was written: an earlier date is a clock never set.
# One more than ten years on is a wrong answer of a time server (an empty NTP stamp reads as
# 2036-02-07), and would make tokens that live for ever.
_EARLIEST_UNIX_S = const(1735689600)  # 2025-01-01
_LATEST_UNIX_S = const(_EARLIEST_UNIX_S + 10 * 365 * 86400)

_DAY_S = const(86400)
# Days of one 400-year cycle, and from 0000-03-01 to 1970-01-01 in the Gregorian calendar
_CYCLE_DAYS = const(146097)
_DAYS_TO_1970 = const(719468)


def is_plausible(unix_s):
    return _EARLIEST_UNIX_S <= unix_s <= _LATEST_UNIX_S


class Clock:
    """`source` is Python's `time` module, or what a test puts in its place.

    ticks_ms()          milliseconds from an arbitrary start; wraps. Compare by ticks_diff only
    ticks_diff(a, b)    signed ms from b to a; right up to half a period (6.2 days)
    ticks_add(a, ms)
    """

    def __init__(self, source=time):
        self.source = source
        self.ticks_ms = source.ticks_ms
        self.ticks_diff = source.ticks_diff
        self.ticks_add = source.ticks_add
        self._offset_s = _EPOCH_2000_S if source.gmtime(0)[0] == 2000 else 0
        self._uptime_s = 0
        self.uptime_remainder_ms = 0
        self._counted_ticks = self.ticks_ms()

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
        unix_s = int(self.source.time()) + self._offset_s
        return unix_s if is_plausible(unix_s) else 0

    def utc_text(self):
        """Now in RFC 3339, `2026-11-21T05:35:00Z`; "" while the date is not known."""
        unix_s = self.unix_time()
        return format_utc(unix_s) if unix_s else ""

    def sleep_ms(self, ms):
        """Awaitable. MicroPython's own is a singleton: handing it on allocates nothing."""
        return asyncio.sleep_ms(ms)


def format_utc(unix_s):
    """`2026-11-21T05:35:00Z` for `unix_s` (int, seconds since 1970, from 0000 to 9999)."""
    days = unix_s // _DAY_S
    second = unix_s - days * _DAY_S
    days += _DAYS_TO_1970
    cycle = days // _CYCLE_DAYS
    day = days - cycle * _CYCLE_DAYS
    # Years are counted from March, so that the leap day is a year's last day
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month += 3
    if month > 12:
        month -= 12
        year += 1
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (
        year + 400 * cycle,
        month,
        day,
        second // 3600,
        second // 60 % 60,
        second % 60,
    )
