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

# (seconds a bucket, buckets)
_LEVELS = const(((10, 90), (120, 90), (3600, 168)))
# Longer without a reading is a gap, which counts for nothing; as long as control trusts one
_HOLD_S = const(30)
# An empty bucket has its minimum above its maximum; readings are ints in 0.01 °C of 16 bits
_HIGHEST = const(32767)
_LOWEST = const(-32768)


class _Ring:
    """`count` buckets of `period_s`, the newest one current, older ones overwritten."""

    def __init__(self, period_s, count):
        self.period_s = period_s
        self.current = 0  # number of the newest bucket, counted from uptime 0
        self._count = count
        self._highest = array("h", [_LOWEST] * count)
        self._lowest = array("h", [_HIGHEST] * count)
        # Temperature x time: an hour at 327.67 °C has 27 bits
        self._weighted = array("i", [0] * count)
        self._seconds = array("H", [0] * count)

    def note(self, temperature, second):
        """A reading at `second`, whose bucket becomes current; empty those on the way there."""
        number = second // self.period_s
        self.current = max(self.current, number - self._count)
        while self.current < number:
            self.current += 1
            slot = self.current % self._count
            self._highest[slot] = _LOWEST
            self._lowest[slot] = _HIGHEST
            self._weighted[slot] = self._seconds[slot] = 0
        slot = number % self._count
        self._highest[slot] = max(self._highest[slot], temperature)
        self._lowest[slot] = min(self._lowest[slot], temperature)

    def hold(self, temperature, start_s, end_s):
        """`temperature` held from `start_s` (in or after the current bucket) to `end_s`."""
        while start_s < end_s:
            self.note(temperature, start_s)
            next_s = min((self.current + 1) * self.period_s, end_s)
            slot = self.current % self._count
            self._weighted[slot] += temperature * (next_s - start_s)
            self._seconds[slot] += next_s - start_s
            start_s = next_s

    def oldest_s(self):
        """Where the oldest bucket begins that is still whole."""
        return max(0, self.current - self._count + 1) * self.period_s

    def sum_since(self, second):
        """(highest, lowest, weighted sum, seconds) of the buckets from that of `second` on."""
        highest, lowest, weighted, seconds = _LOWEST, _HIGHEST, 0, 0
        for number in range(second // self.period_s, self.current + 1):
            slot = number % self._count
            highest = max(highest, self._highest[slot])
            lowest = min(lowest, self._lowest[slot])
            weighted += self._weighted[slot]
            seconds += self._seconds[slot]
        return highest, lowest, weighted, seconds


class History:
    """`clock` gives the uptime. Good readings only, please."""

    def __init__(self, clock):
        self._clock = clock
        self._rings = tuple([_Ring(period_s, count) for period_s, count in _LEVELS])
        self._first_s = None
        # The last reading, up to when it is accounted for, and how long it is trusted
        self._temperature = 0
        self._from_s = 0
        self._until_s = 0

    def add(self, temperature_centi_c):
        """A good reading, now."""
        now_s = self._account()
        self._temperature = max(_LOWEST, min(temperature_centi_c, _HIGHEST))
        for ring in self._rings:
            ring.note(self._temperature, now_s)
        if self._first_s is None:
            self._first_s = now_s
        self._from_s = now_s
        self._until_s = now_s + _HOLD_S

    def _account(self):
        """Now; the last reading held until then, or until it was too old."""
        now_s = self._clock.uptime_s()
        end_s = min(now_s, self._until_s)
        for ring in self._rings:
            ring.hold(self._temperature, self._from_s, end_s)
        self._from_s = end_s
        return now_s

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
        for ring in self._rings:
            if since_s >= ring.oldest_s():
                break
        since_s = max(since_s, ring.oldest_s())
        highest, lowest, weighted, seconds = ring.sum_since(since_s)
        if highest < lowest:
            return None
        start_s = max(since_s // ring.period_s * ring.period_s, first_s)
        # Readings of the very same second have no duration yet
        mean = (2 * weighted + seconds) // (2 * seconds) if seconds else present
        return highest, lowest, mean, boot_unix_s + start_s, now_unix_s
