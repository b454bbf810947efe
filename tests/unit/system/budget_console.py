"""A console that nobody uses costs no heap, however long it waits."""

import asyncio
import gc
import os
import select
import time

from system.keys import attach

PIPE = "build/tests/keys-%d" % time.ticks_us()


async def heap_of_waiting():
    for _ in range(10):
        await asyncio.sleep_ms(1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(500):
        await asyncio.sleep_ms(1)
    used = gc.mem_alloc() - before
    gc.enable()
    return used


async def live(stream):
    without = await heap_of_waiting()
    attach(stream, {})
    used = await heap_of_waiting()
    stream.write(b"\r")
    await asyncio.sleep_ms(50)
    assert not is_readable(stream), "nobody has waited for a key"
    return without, used


def is_readable(stream):
    poller = select.poll()
    poller.register(stream, select.POLLIN)
    return poller.poll(0)


def test_waiting_for_a_key_takes_no_heap():
    # A pipe that nobody writes to: as silent as a terminal
    assert os.system("mkdir -p build/tests && mkfifo %s" % PIPE) == 0
    try:
        with open(PIPE, "r+b") as stream:
            without, used = asyncio.run(live(stream))
    finally:
        os.remove(PIPE)
    assert used - without <= 64, (without, used)
