"""What one QoS 1 telemetry message costs: heap, writes, growth. MicroPython only.

From `session.send()` until the PUBACK is handled, the tasks' wake-ups by asyncio included.
"""

import asyncio
import gc
import io

from doubles.hub_script import Bench
from iothub.client import run
from system.clock import Clock
from system.dialer import _Readable

# Bytes on the 64-bit unix port. asyncio's own queue_read() takes 160 of them.
GARBAGE_LIMIT_BYTES = 170
_POLL = 3
_POLL_READABLE = 1


class QuietLink(io.IOBase):
    """A link that costs no heap: it answers each PUBLISH with its PUBACK. Polled like a socket."""

    def __init__(self, old):
        self.old = old
        self.writes = 0
        self.is_quiet = False
        self.puback = bytearray(b"\x40\x02\0\0")
        self.left = 0
        self.stream = _Readable(self)

    def ready(self):
        return True

    def ioctl(self, request, argument):
        if request == _POLL:
            return _POLL_READABLE if self.left or self.old.incoming else 0
        return 0

    def readable(self):
        return self.stream

    def write(self, buffer, offset, size):
        self.writes += 1
        if buffer[offset] != 0x32:
            return self.old.write(buffer, offset, size)
        at = offset + (2 if buffer[offset + 1] < 128 else 3)
        at += 2 + (buffer[at] << 8 | buffer[at + 1])
        self.puback[2] = buffer[at]
        self.puback[3] = buffer[at + 1]
        self.left = 4
        return size

    def read_into(self, buffer, offset, size):
        if not self.left:
            return self.old.read_into(buffer, offset, size) if self.old.incoming else 0
        size = min(size, self.left)
        for i in range(size):
            buffer[offset + i] = self.puback[4 - self.left + i]
        self.left -= size
        return size

    def close(self):
        pass


def _bench():
    bench = Bench(clock=Clock())
    links = []
    dial = bench.dialer.dial

    def dial_quietly(host, port):
        links.append(QuietLink(dial(host, port)))
        return links[0]

    bench.dialer.dial = dial_quietly
    return bench, links


async def _until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep_ms(1)
    raise AssertionError("it did not happen")


async def measure(count):
    bench, links = _bench()
    session = bench.session
    task = asyncio.create_task(run(session, bench.clock))
    await _until(lambda: session.state == "online")
    payload = bytearray(b'{"temperature":21.53}' + bytes(11))
    topic = session.telemetry_topic("thermostat1")
    for _ in range(3):
        session.send(topic, payload, 21)
        await asyncio.sleep_ms(5)
    outbox = bench.outbox
    acked, writes = outbox.telemetry.acked, links[0].writes
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(count):
        session.send(topic, payload, 21)
        while outbox.telemetry.end:
            await asyncio.sleep_ms(0)
    used = gc.mem_alloc() - before
    gc.enable()
    assert outbox.telemetry.acked == acked + count
    task.cancel()
    return used // count, links[0].writes - writes


async def grow(count):
    bench, _ = _bench()
    session = bench.session
    task = asyncio.create_task(run(session, bench.clock))
    await _until(lambda: session.state == "online")
    payload = bytearray(b'{"temperature":21.53}')
    before = 0
    for i in range(count + 100):
        if i == 100:
            gc.collect()
            before = gc.mem_alloc()
        session.send(bench.topic, payload, 21)
        while bench.outbox.telemetry.end:
            await asyncio.sleep_ms(0)
    gc.collect()
    after = gc.mem_alloc()
    task.cancel()
    return after - before


def test_garbage_of_a_message_stays_in_its_budget():
    used, writes = asyncio.run(measure(20))
    print("garbage of a telemetry message: %d B" % used)
    assert used <= GARBAGE_LIMIT_BYTES, "%d B" % used
    # One write is one TLS record
    assert writes == 20, writes


def test_10000_messages_leave_nothing_behind():
    growth = asyncio.run(grow(10_000))
    assert growth <= 0, "%d B" % growth
