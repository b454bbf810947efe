"""The last words to the hub, on every way out. In the heap only then."""

import time

from micropython import const

# Leaving waits for the hub this long, then no more; half of what a watchdog allows
_LIMIT_MS = const(3000)
_STEP_MS = const(10)


def say_farewell(session, clock):
    """Send what waits, and part from the hub; bounded."""
    session.stop()
    began = clock.ticks_ms()
    while session.state != "stopped":
        session.step()
        if clock.ticks_diff(clock.ticks_ms(), began) > _LIMIT_MS:
            return
        # Not asyncio: the way out must work when the event loop no longer does
        time.sleep_ms(_STEP_MS)
