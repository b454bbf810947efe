"""Runs in the thermostat itself: another part of it that takes all of the heap now and then.

A task among the others, started from main.py. In the end it prints a line `hog {...}`.
"""

import asyncio
import gc
import json
import random

# Links of a chain, since a list would have to grow in one piece
_chain = None


def _take_all(left):
    """Large pieces first, until not even `left` bytes are had at once."""
    global _chain
    size = 65536
    while size > left:
        try:
            _chain = (bytearray(size), _chain)
        except MemoryError:
            size >>= 1


def start(app, count, seed):
    """Take the heap `count` times, for up to half a second each, once the app is online."""
    random.seed(seed)
    app.hog = asyncio.create_task(_run(app, count))


async def _run(app, count):
    global _chain
    while app.cloud.session.state != "online":
        await asyncio.sleep_ms(100)
    await asyncio.sleep_ms(5000)
    gc.collect()
    before = gc.mem_free()
    for _ in range(count):
        try:
            _take_all(random.choice((16, 64, 256, 1024)))
            await asyncio.sleep_ms(random.choice((10, 20, 50, 500)))
        except MemoryError:
            pass  # this task itself
        _chain = None
        await asyncio.sleep_ms(random.choice((20, 80)))
    # As long as a link that was given up may take to come back
    await asyncio.sleep_ms(10000)
    gc.collect()
    falls = {task.name: task.falls for task in app.supervisor.tasks}
    free = 100 * gc.mem_free() // before
    links = app.cloud.session.failures
    print("hog " + json.dumps({"falls": falls, "free_percent": free, "links": links}))
