"""A watchdog that really bites: a thread that ends the process when it is not fed.

The thread runs whatever the program does, an endless loop or a system call that hangs included,
because this port's threads share no lock. It therefore touches one list and allocates nothing.
A thread cannot make the process exit with a code of its choice, so the end is SIGALRM, which
nothing else here uses and no `finally` can stop: as abrupt as the real thing. The launcher takes
it for what it is, a reset by the watchdog.

As on a chip there is one of them, and a soft reset leaves it armed but stops the timer that
`hold` feeds it from: whoever starts the process anew for a soft reset hands `armed_ms()` over in
THERMO_WATCHDOG_ARMED.
"""

import _thread
import os
import time

from micropython import const

# What the RP2040 can count to (ports/rp2/machine_wdt.c). Asking for more fails there, so here too.
LIMIT_MS = 8388
_LOOK_EVERY_MS = const(50)

# Of the one list: when it was last fed, its limit (0: not armed), since when and how long a timer
# feeds it
_FED_AT = const(0)
_TIMEOUT_MS = const(1)
_HELD_AT = const(2)
_HOLD_MS = const(3)
_state = [0, 0, 0, 0]


class Watchdog:
    """Arms it, or sets another limit, and ends a hold. Raises ValueError if `timeout_ms` is not
    in 1..LIMIT_MS. It cannot be stopped."""

    def __init__(self, timeout_ms):
        if not 1 <= timeout_ms <= LIMIT_MS:
            raise ValueError("watchdog: %d ms is not in 1..%d" % (timeout_ms, LIMIT_MS))
        self.feed()
        _state[_HOLD_MS] = 0
        is_new = not _state[_TIMEOUT_MS]
        _state[_TIMEOUT_MS] = timeout_ms
        if is_new:
            _thread.start_new_thread(_watch, (_state,))

    def feed(self):
        _state[_FED_AT] = time.ticks_ms()


def armed_ms():
    """The limit of the armed watchdog; 0: none is armed."""
    return _state[_TIMEOUT_MS]


def hold(duration_ms):
    """Feed it for at most `duration_ms`, as a timer does on a board."""
    _state[_HELD_AT] = time.ticks_ms()
    _state[_HOLD_MS] = duration_ms


def _watch(state):
    while True:
        now = time.ticks_ms()
        if time.ticks_diff(now, state[_HELD_AT]) < state[_HOLD_MS]:
            state[_FED_AT] = now
        if time.ticks_diff(now, state[_FED_AT]) >= state[_TIMEOUT_MS]:
            # The parent of the shell that this starts is this process.
            os.system("kill -ALRM $PPID")
            return
        time.sleep_ms(_LOOK_EVERY_MS)
