"""When a value is worth a message: every so often, and sooner when it has moved."""


class Schedule:
    """`period_ms` between messages, cut short when the value moved by `delta` (0: by time alone),
    but never below `least_ms`. Allocates nothing."""

    def __init__(self, clock, period_ms, delta, least_ms):
        self._clock = clock
        self._period_ms = period_ms
        self._delta = delta
        self._least_ms = least_ms
        self._sent_ticks = 0
        self._sent_value = 0
        self._is_begun = False

    def is_due(self, value):
        """Whether `value` should be sent now; the first is due at once."""
        if not self._is_begun:
            return True
        elapsed_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._sent_ticks)
        if elapsed_ms >= self._period_ms:
            return True
        if not self._delta or elapsed_ms < self._least_ms:
            return False
        return abs(value - self._sent_value) >= self._delta

    def note_sent(self, value):
        self._is_begun = True
        self._sent_value = value
        self._sent_ticks = self._clock.ticks_ms()
