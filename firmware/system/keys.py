"""Waits for an operator's first key: the console is in the heap only once somebody types."""

import asyncio

from micropython import const

# mpremote begins with Enter and Ctrl-C: who only wants to stop everything needs no console, and
# shall not meet the file system in the middle of its import
_SETTLE_MS = const(100)


def attach(stream, scope):
    """Start a task for the operator, whose keys are `stream`. `scope`: the names there are."""
    asyncio.create_task(_serve(asyncio.StreamReader(stream), scope))


async def _serve(reader, scope):
    while True:
        try:
            key = await reader.read(1)
            if key:
                await asyncio.sleep_ms(_SETTLE_MS)
                from system.console import Console

                await Console(scope).run(reader, key)
            return
        except UnicodeError:
            pass  # half a letter; the other half comes, and is none either
        except (ImportError, MemoryError) as error:
            print("no console:", error)
