"""A watchdog that barks instead of biting."""


class FakeWatchdog:
    """Counts its meals in `fed`; `has_bitten()` once `timeout_ms` went by without one."""

    def __init__(self, clock, timeout_ms=8000):
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._fed_ticks = clock.ticks_ms()
        self._bitten = False
        self.fed = 0

    def has_bitten(self):
        waited_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._fed_ticks)
        self._bitten = self._bitten or waited_ms > self._timeout_ms
        return self._bitten

    def feed(self):
        self.has_bitten()
        self.fed += 1
        self._fed_ticks = self._clock.ticks_ms()
