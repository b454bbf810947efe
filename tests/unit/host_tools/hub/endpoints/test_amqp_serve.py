"""The AMQP door on real sockets: one client's manners are no other client's trouble."""

import asyncio
import contextlib
import logging
import socket
import struct
import time

import pytest
from doubles.amqp_client import CBS_OUT
from doubles.hub_in_memory import make_hub

from host_tools.hub.endpoints import amqp
from host_tools.hub.wire.amqp_frames import AMQP_HEADER, FrameReader, build_frame
from host_tools.hub.wire.amqp_message import Message, Properties, Value, build_message
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    SENDER,
    Attach,
    Begin,
    Close,
    Flow,
    Open,
    Source,
    Target,
    Transfer,
)
from host_tools.hub.wire.amqp_types import ULong

GREETING = AMQP_HEADER.to_bytes() + build_frame(0, Open("client")) + build_frame(0, Begin())
REQUEST = build_message(Message(Value("x"), properties=Properties(message_id=ULong(0))))


class Peer:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.frames = FrameReader()

    async def hear(self, kind):
        """The next performative of that kind; None when the hub has closed."""
        while True:
            while (event := self.frames.next_event()) is not None:
                if isinstance(getattr(event, "body", None), kind):
                    return event.body
            data = await asyncio.wait_for(self.reader.read(65536), 5)
            if not data:
                return None
            self.frames.feed(data)

    async def greet(self):
        self.writer.write(GREETING)
        return await self.hear(Begin)


@contextlib.asynccontextmanager
async def door(hub):
    async def serve(reader, writer):
        with contextlib.suppress(asyncio.CancelledError):  # the loop ends before its clients
            await amqp.serve_connection(reader, writer, hub)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    writers = []

    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return Peer(reader, writer)

    try:
        yield connect
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def until(condition, timeout_s=5):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.01)


def open_connections(hub):
    return amqp._open_connections.get(hub, 0)


def test_clients_that_vanish_leave_nothing():
    async def run():
        hub = make_hub()
        async with door(hub) as connect:
            for length in (0, 4, 8, 20, len(GREETING)):
                peer = await connect()
                peer.writer.write(GREETING[:length])
                await peer.writer.drain()
                raw = peer.writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.writer.transport.abort()
            await until(lambda: open_connections(hub) == 0)

    asyncio.run(run())


def test_rubbish_is_closed_at_once():
    async def run():
        async with door(make_hub()) as connect:
            peer = await connect()
            peer.writer.write(b"\x16\x03\x01 a TLS client on the plain port")
            assert await peer.hear(Close) is None

    asyncio.run(run())


def test_a_flood_does_not_keep_others_waiting():
    async def run():
        hub = make_hub()
        async with door(hub) as connect:
            flooder = await connect()
            await flooder.greet()

            async def flood():
                while True:
                    flooder.writer.write(build_frame(0, None) * 50_000)
                    await flooder.writer.drain()

            task = asyncio.ensure_future(flood())
            try:
                longest = 0.0
                for _ in range(10):
                    begin = time.monotonic()
                    peer = await connect()
                    assert await peer.greet() is not None
                    longest = max(longest, time.monotonic() - begin)
                assert longest < 5
            finally:
                task.cancel()

    asyncio.run(run())


def test_a_client_that_never_reads_is_left_and_held_nobody_up(monkeypatch, caplog):
    monkeypatch.setattr(amqp, "WRITE_S", 1)
    monkeypatch.setattr(amqp, "LEAVE_S", 0.1)
    caplog.set_level(logging.INFO)

    async def run():
        hub = make_hub()
        async with door(hub) as connect:
            deaf = await connect()
            await deaf.greet()
            attach = Attach("a", CBS_OUT, SENDER, target=Target("$cbs"))
            back = Attach("b", 1, RECEIVER, source=Source("$cbs"))
            credit = Flow(0, 1 << 30, 0, 5000, 1, 0, 1 << 30)
            for body in (attach, back, credit):
                deaf.writer.write(build_frame(0, body))
            requests = b"".join(
                build_frame(0, Transfer(0, number, b"t", 0), REQUEST) for number in range(1000)
            )

            async def ask():
                for _ in range(1000):
                    deaf.writer.write(requests)
                    await deaf.writer.drain()

            deaf.reader._limit = 1  # asyncio reads on by itself otherwise
            task = asyncio.ensure_future(ask())
            other = await connect()
            assert await other.greet() is not None
            await until(lambda: open_connections(hub) == 1, 60)
            task.cancel()

    asyncio.run(run())
    assert "was read for 1 s" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_hub_says_goodbye_when_it_stops():
    async def run():
        hub = make_hub()
        tasks = []

        async def serve(reader, writer):
            tasks.append(asyncio.current_task())
            try:
                await amqp.serve_connection(reader, writer, hub)
            except asyncio.CancelledError:
                pass

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        peer = Peer(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        await peer.greet()
        tasks[0].cancel()
        close = await peer.hear(Close)
        assert close.error.condition == "amqp:connection:forced"
        peer.writer.close()
        server.close()
        await until(lambda: tasks[0].done())

    asyncio.run(run())


def test_connections_are_counted(monkeypatch):
    monkeypatch.setattr(amqp, "MAX_CONNECTIONS", 2)

    async def run():
        async with door(make_hub()) as connect:
            first, second, third = [await connect() for _ in range(3)]
            assert await first.greet() is not None
            assert await second.greet() is not None
            with pytest.raises((OSError, AssertionError)):
                assert await third.greet() is not None

    asyncio.run(run())


def test_a_fault_of_our_own_costs_one_connection(monkeypatch, caplog):
    def fail(self, frame):
        raise ZeroDivisionError

    async def run():
        hub = make_hub()
        async with door(hub) as connect:
            with monkeypatch.context() as patch:
                patch.setattr(amqp.Connection, "_fail", fail)
                peer = await connect()
                peer.writer.write(b"rubbish")
                assert await peer.hear(Close) is None
            assert await (await connect()).greet() is not None

    asyncio.run(run())
    assert "a fault of the hub itself" in caplog.text
