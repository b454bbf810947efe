"""What a zone's temperature was: true maximum, minimum and time-weighted mean since a time.

Readings come when they come; each holds until the next, at most _HOLD_S. They are kept in rings of
buckets, in seconds of uptime, so that a wall clock that is set or jumps moves nothing.

    reaches back       a question's time is rounded down to
    15 minutes         10 seconds
    3 hours            2 minutes
    7 days             1 hour

It takes 3.5 KB a zone for ever. `add()` uses no heap. `thermostat.report` answers questions.
"""

from array import array

from micropython import const

# (seconds a bucket, buckets, where they begin in the arrays)
LEVELS = const(((10, 90, 0), (120, 90, 90), (3600, 168, 180)))
_BUCKETS = const(348)
# Longer without a reading is a gap, which counts for nothing; as long as control trusts one
_HOLD_S = const(30)
# An empty bucket has its minimum above its maximum; readings are ints in 0.01 °C of 16 bits
_HIGHEST = const(32767)
_LOWEST = const(-32768)


class History:
    """`clock` gives the uptime. Good readings only, please."""

    def __init__(self, clock):
        self.clock = clock
        # Of each bucket; the temperature x time of an hour at 327.67 °C has 27 bits
        self.highest = array("h", [_LOWEST] * _BUCKETS)
        self.lowest = array("h", [_HIGHEST] * _BUCKETS)
        self.weighted = array("i", [0] * _BUCKETS)
        self.seconds = array("H", [0] * _BUCKETS)
        # Of each level the newest bucket, counted from uptime 0
        self.newest = [0] * len(LEVELS)
        self.first_s = None
        # The last reading, up to when it is accounted for, and how long it is trusted
        self.temperature = 0
        self._from_s = 0
        self.until_s = 0

    def add(self, temperature_centi_c):
        """A good reading, now."""
        now_s = self.account()
        self.temperature = max(_LOWEST, min(temperature_centi_c, _HIGHEST))
        for level in range(len(LEVELS)):
            self._note(level, now_s)
        if self.first_s is None:
            self.first_s = now_s
        self._from_s = now_s
        self.until_s = now_s + _HOLD_S

    def account(self):
        """Now; the last reading held until then, or until it was too old."""
        now_s = self.clock.uptime_s()
        end_s = min(now_s, self.until_s)
        for level in range(len(LEVELS)):
            start_s = self._from_s
            while start_s < end_s:
                slot = self._note(level, start_s)
                next_s = min((self.newest[level] + 1) * LEVELS[level][0], end_s)
                self.weighted[slot] += self.temperature * (next_s - start_s)
                self.seconds[slot] += next_s - start_s
                start_s = next_s
        self._from_s = end_s
        return now_s

    def _note(self, level, second):
        """The reading at `second`, in or after the newest bucket, which is where its slot then
        is; the buckets on the way there are empty."""
        period_s, count, begin = LEVELS[level]
        number = second // period_s
        newest = max(self.newest[level], number - count)
        while newest < number:
            newest += 1
            slot = begin + newest % count
            self.highest[slot] = _LOWEST
            self.lowest[slot] = _HIGHEST
            self.weighted[slot] = self.seconds[slot] = 0
        self.newest[level] = newest
        slot = begin + number % count
        self.highest[slot] = max(self.highest[slot], self.temperature)
        self.lowest[slot] = min(self.lowest[slot], self.temperature)
        return slot
