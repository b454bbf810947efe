"""Waits for an operator's first key: the console is in the heap only once somebody types."""

import asyncio

from micropython import const

from system.modules import later

# mpremote begins with Enter and Ctrl-C: who only wants to stop everything needs no console, and
# shall not meet the file system in the middle of its import
_SETTLE_MS = const(100)
# Made once: built where it is needed, it would take heap when there is none
_TROUBLES = (ImportError, MemoryError)


def attach(stream, scope):
    """Start a task for the operator, whose keys are `stream`, best of bytes: one of text may wait
    for the rest of a letter, and everything with it. `scope`: the names there are."""
    asyncio.create_task(_serve(asyncio.StreamReader(stream), scope))


async def _serve(reader, scope):
    """Until the stream ends. `reader.read(1)` waits for a key, and takes no heap waiting."""
    console = None
    while True:
        try:
            key = await reader.read(1)
            if not key:
                return
            if console is None:
                await asyncio.sleep_ms(_SETTLE_MS)
                console = later(("system.console",), "Console", scope)()
            if ord(key) < 128:  # the others are bytes of letters that no program needs
                await console.take(chr(ord(key)))
        except UnicodeError:
            pass  # half a letter of a stream of text; the other half comes, and is none either
        except _TROUBLES as error:
            print("no console:", error)
