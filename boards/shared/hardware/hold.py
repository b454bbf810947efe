"""Keeps an armed watchdog fed while the program has ended and the prompt is in use."""

from machine import Timer
from micropython import const

# Well within the shortest limit that a watchdog is given, 2 s
_PERIOD_MS = const(500)


class Hold:
    """Feeds `watchdog` from a timer, now and for `ms`, then no more. Nothing else may stop it
    but `release`, so that a prompt that was forgotten ends in a reset. `timer`: its number."""

    def __init__(self, watchdog, ms, timer):
        self._watchdog = watchdog
        self._left = ms // _PERIOD_MS
        watchdog.feed()
        # Its callback runs between two steps of Python: a call that hangs is not fed for
        self._timer = Timer(timer, mode=Timer.PERIODIC, period=_PERIOD_MS, callback=self._tick)

    def release(self):
        self._left = 0
        self._timer.deinit()

    def _tick(self, timer):
        if self._left > 0:
            self._left -= 1
            self._watchdog.feed()
        else:
            timer.deinit()
