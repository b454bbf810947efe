"""The pin that a room's heater hangs on: an active-high relay module."""


class HeaterPin:
    """`value(level)` like machine.Pin, low at first; it adds up for how long it was high.

    It does nothing but whole-number arithmetic, so that switching allocates nothing: the room
    works out what the heat did when somebody looks.
    """

    def __init__(self, clock):
        self._clock = clock
        self._level = 0
        self._high_ms = 0
        self._since = clock.ticks_ms()

    def value(self, level=None):
        if level is None:
            return self._level
        self._count()
        self._level = 1 if level else 0
        return None

    def take_high_ms(self):
        """Milliseconds at high level since this was last asked."""
        self._count()
        taken, self._high_ms = self._high_ms, 0
        return taken

    def _count(self):
        now = self._clock.ticks_ms()
        if self._level:
            self._high_ms += self._clock.ticks_diff(now, self._since)
        self._since = now
