"""What a zone's temperature was: true maximum, minimum and time-weighted mean since a time.

Readings come when they come; each holds until the next, at most _HOLD_S. They are kept in rings of
buckets, in seconds of uptime, so that a wall clock that is set or jumps moves nothing.

    reaches back       a question's time is rounded down to
    15 minutes         10 seconds
    3 hours            2 minutes
    7 days             1 hour

The answer says from when on it really is: extremes and mean cover exactly that time. It takes
3.5 KB a zone for ever. `add()` uses no heap.
"""

from array import array

from micropython import const

# (seconds a bucket, buckets, where they begin in the arrays)
_LEVELS = const(((10, 90, 0), (120, 90, 90), (3600, 168, 180)))
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
        self._highest = array("h", [_LOWEST] * _BUCKETS)
        self._lowest = array("h", [_HIGHEST] * _BUCKETS)
        self._weighted = array("i", [0] * _BUCKETS)
        self._seconds = array("H", [0] * _BUCKETS)
        # Of each level the newest bucket, counted from uptime 0
        self._newest = [0] * len(_LEVELS)
        self._first_s = None
        # The last reading, up to when it is accounted for, and how long it is trusted
        self._temperature = 0
        self._from_s = 0
        self._until_s = 0

    def add(self, temperature_centi_c):
        """A good reading, now."""
        now_s = self._account()
        self._temperature = max(_LOWEST, min(temperature_centi_c, _HIGHEST))
        for level in range(len(_LEVELS)):
            self._note(level, now_s)
        if self._first_s is None:
            self._first_s = now_s
        self._from_s = now_s
        self._until_s = now_s + _HOLD_S

    def _account(self):
        """Now; the last reading held until then, or until it was too old."""
        now_s = self.clock.uptime_s()
        end_s = min(now_s, self._until_s)
        for level in range(len(_LEVELS)):
            start_s = self._from_s
            while start_s < end_s:
                slot = self._note(level, start_s)
                next_s = min((self._newest[level] + 1) * _LEVELS[level][0], end_s)
                self._weighted[slot] += self._temperature * (next_s - start_s)
                self._seconds[slot] += next_s - start_s
                start_s = next_s
        self._from_s = end_s
        return now_s

    def _note(self, level, second):
        """The reading at `second`, in or after the newest bucket, which is where its slot then
        is; the buckets on the way there are empty."""
        period_s, count, begin = _LEVELS[level]
        number = second // period_s
        newest = max(self._newest[level], number - count)
        while newest < number:
            newest += 1
            slot = begin + newest % count
            self._highest[slot] = _LOWEST
            self._lowest[slot] = _HIGHEST
            self._weighted[slot] = self._seconds[slot] = 0
        self._newest[level] = newest
        slot = begin + number % count
        self._highest[slot] = max(self._highest[slot], self._temperature)
        self._lowest[slot] = min(self._lowest[slot], self._temperature)
        return slot

    def report(self, since_unix_s, now_unix_s):
        """(max, min, mean in 0.01 °C, start, end in Unix seconds); None if nothing is known.

        `since` is kept between the oldest that is remembered and now; from now on, it is the
        present reading alone. `start` is where the answer begins: `since` rounded down to a
        bucket.
        """
        now_s = self._account()
        first_s, present = self._first_s, self._temperature
        if first_s is None:
            return None
        boot_unix_s = now_unix_s - now_s
        since_s = since_unix_s - boot_unix_s
        if since_s >= now_s:
            known = now_s < self._until_s
            return (present, present, present, now_unix_s, now_unix_s) if known else None
        since_s = max(since_s, first_s)
        for level in range(len(_LEVELS)):
            period_s, count, begin = _LEVELS[level]
            newest = self._newest[level]
            # The oldest that is still whole
            oldest = max(0, newest - count + 1)
            if since_s >= oldest * period_s:
                break
        oldest = max(oldest, since_s // period_s)
        highest, lowest, weighted, seconds = _LOWEST, _HIGHEST, 0, 0
        for number in range(oldest, newest + 1):
            slot = begin + number % count
            highest = max(highest, self._highest[slot])
            lowest = min(lowest, self._lowest[slot])
            weighted += self._weighted[slot]
            seconds += self._seconds[slot]
        if highest < lowest:
            return None
        # Readings of the very same second have no duration yet
        mean = (2 * weighted + seconds) // (2 * seconds) if seconds else present
        start_s = max(oldest * period_s, first_s)
        return highest, lowest, mean, boot_unix_s + start_s, now_unix_s
