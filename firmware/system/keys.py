"""Waits for an operator's first key: the console is in the heap only once somebody types."""

import asyncio


def attach(stream, scope):
    """Start a task for the operator, whose keys are `stream`. `scope`: the names there are."""
    asyncio.create_task(_serve(asyncio.StreamReader(stream), scope))


async def _serve(reader, scope):
    while True:
        try:
            key = await reader.read(1)
            if key:
                from system.console import Console

                await Console(scope).run(reader, key)
            return
        except UnicodeError:
            pass  # half a letter; the other half comes, and is none either
        except (ImportError, MemoryError) as error:
            print("no console:", error)
