"""A watchdog that really bites: a thread that ends the process when it is not fed.

The thread runs whatever the program does, an endless loop or a system call that hangs included,
because this port's threads share no lock. It therefore touches one list cell and allocates
nothing. A thread cannot make the process exit with a code of its choice, so the end is SIGALRM,
which nothing else here uses and no `finally` can stop: as abrupt as the real thing. The launcher
takes it for what it is, a reset by the watchdog.
"""

import _thread
import os
import time

from micropython import const

# What the RP2040 can count to (ports/rp2/machine_wdt.c). Asking for more fails there, so here too.
LIMIT_MS = 8388
_LOOK_EVERY_MS = const(50)


class Watchdog:
    """Raises ValueError if `timeout_ms` is not in 1..LIMIT_MS. It cannot be stopped."""

    def __init__(self, timeout_ms):
        if not 1 <= timeout_ms <= LIMIT_MS:
            raise ValueError("watchdog: %d ms is not in 1..%d" % (timeout_ms, LIMIT_MS))
        self._fed_at = [time.ticks_ms()]
        _thread.start_new_thread(_watch, (self._fed_at, timeout_ms))

    def feed(self):
        self._fed_at[0] = time.ticks_ms()


def _watch(fed_at, timeout_ms):
    while time.ticks_diff(time.ticks_ms(), fed_at[0]) < timeout_ms:
        time.sleep_ms(_LOOK_EVERY_MS)
    # The parent of the shell that this starts is this process.
    os.system("kill -ALRM $PPID")
