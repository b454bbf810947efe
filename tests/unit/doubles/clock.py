"""Clocks that stand still until a test moves them."""

import asyncio

from system.clock import Clock


class FakeTime:
    """What `system.clock` uses of the `time` module: any epoch, any ticks period."""

    def __init__(self, period=1 << 30, epoch=1970, unix_s=0, ticks=0):
        self.period = period
        self.epoch = epoch
        self.ticks = ticks & (period - 1)
        self.milliseconds = (unix_s - (946684800 if epoch == 2000 else 0)) * 1000

    def gmtime(self, seconds):
        assert seconds == 0
        return (self.epoch, 1, 1, 0, 0, 0, 0, 1)

    def time(self):
        return self.milliseconds // 1000

    def ticks_ms(self):
        return self.ticks

    def ticks_diff(self, later, earlier):
        half = self.period >> 1
        return ((later - earlier + half) & (self.period - 1)) - half

    def ticks_add(self, ticks, ms):
        return (ticks + ms) & (self.period - 1)


class FakeClock(Clock):
    """A `system.clock.Clock` on a `FakeTime`: starts on 2026-11-21 05:35:00 UTC unless told.

    `unix_s=0` is a board that was just switched on: the date is not known until
    `set_unix_time`. `ticks` places the start, for instance just before the wrap.
    """

    def __init__(self, period=1 << 30, unix_s=1795239300, ticks=0, epoch=1970):
        self.source = FakeTime(period, epoch, unix_s, ticks)
        Clock.__init__(self, self.source)

    def advance(self, ms):
        """Let `ms` pass: ticks and wall clock. Those who `sleep_ms` wake at their next turn."""
        self.source.ticks = self.source.ticks_add(self.source.ticks, ms)
        self.source.milliseconds += ms

    def set_unix_time(self, unix_s):
        """Set the wall clock, as `board.set_time` does."""
        self.jump(unix_s - self._offset_s - self.source.time())

    def jump(self, seconds):
        """Move the wall clock alone, as a time server or a user would."""
        self.source.milliseconds += seconds * 1000

    async def sleep_ms(self, ms):
        """Wait until the test has advanced the clock by `ms`."""
        end = self.ticks_add(self.ticks_ms(), ms)
        while True:
            await asyncio.sleep(0)
            if self.ticks_diff(end, self.ticks_ms()) <= 0:
                return

    async def run_for(self, ms, step_ms=100):
        """Advance by `ms` in steps, and let every task take its turns after each of them."""
        while ms > 0:
            self.advance(min(step_ms, ms))
            ms -= step_ms
            for _ in range(10):
                await asyncio.sleep(0)
