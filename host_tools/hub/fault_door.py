"""A door before a door: it passes bytes on, with the faults that a network has.

It knows nothing of TLS or MQTT. Each connection gets the next fault of a sequence.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

from host_tools.hub.faults import Fault
from host_tools.hub.listeners import Serve, bind
from host_tools.hub.state.hub import Hub

_PIECE_BYTES = 4096
_THROTTLE_S = 0.1
_RESET = struct.pack("ii", 1, 0)
_PUBLISH, _DUP, _QOS1 = 0x30, 0x08, 0x02


@contextlib.asynccontextmanager
async def faulty_door(
    outer: socket.socket, faults: Iterator[Fault | None]
) -> AsyncIterator[socket.socket]:
    """A socket to be served instead of `outer`, whose connections arrive there through faults."""
    with bind("127.0.0.1", 0, "--fault") as inner:
        address = inner.getsockname()
        tasks: set[asyncio.Task[None]] = set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await _suffer(next(faults), reader, writer, address)
            except (OSError, asyncio.CancelledError):
                pass  # either end is gone, or the hub stops
            finally:
                writer.transport.abort()
                tasks.discard(task)

        server = await asyncio.start_server(accepted, sock=outer)
        try:
            yield inner
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _suffer(
    fault: Fault | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    address: tuple[str, int],
) -> None:
    """One connection, up to its end."""
    if fault is not None and fault.kind == "refuse":
        _reset(writer)
        return
    if fault is not None and fault.kind == "drop":
        while await reader.read(_PIECE_BYTES):
            pass
        return
    hub_reader, hub_writer = await asyncio.open_connection(*address)
    passage = _Passage(fault)
    ways = [
        asyncio.create_task(passage.pass_on(reader, hub_writer, False)),
        asyncio.create_task(passage.pass_on(hub_reader, writer, True)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        hub_writer.transport.abort()
        if passage.is_killed:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class _Passage:
    """Both ways of one connection; `pass_on` returns at the end of its way."""

    def __init__(self, fault: Fault | None) -> None:
        self.is_killed = False
        self._kind = "" if fault is None else fault.kind
        self._value = 0 if fault is None else fault.value
        self._left = self._value  # bytes, of kill and half-open

    async def pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_to_client: bool
    ) -> None:
        while data := await reader.read(_PIECE_BYTES):
            if self._kind in ("kill", "half-open"):
                data = data[: self._left]
                self._left -= len(data)
            if self._kind == "delay":
                await asyncio.sleep(self._value / 1000)
            for piece, pause_s in self._pieces(data, is_to_client):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            if self._kind == "kill" and not self._left:
                self.is_killed = True
                return

    def _pieces(self, data: bytes, is_to_client: bool) -> Iterator[tuple[bytes, float]]:
        """What is written at a time, and the seconds to wait behind it."""
        size, pause_s = len(data) or 1, 0.0
        if self._kind == "loris" and is_to_client:
            size, pause_s = 1, self._value / 1000
        elif self._kind == "throttle":
            size = max(1, int(self._value * _THROTTLE_S))
            pause_s = size / self._value
        for at in range(0, len(data), size):
            yield data[at : at + size], pause_s


def twice(serve: Serve) -> Serve:
    """`serve` to a client that gets every PUBLISH twice, as after a connection that broke."""

    async def serving(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hub: Hub
    ) -> None:
        await serve(reader, _TwiceWriter(writer), hub)  # type: ignore[arg-type]

    return serving


class _TwiceWriter:
    """A StreamWriter to which each write is one packet."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def write(self, data: bytes) -> None:
        self._writer.write(data)
        if data and data[0] & 0xF0 == _PUBLISH:
            again = data[0] | (_DUP if data[0] & _QOS1 else 0)
            self._writer.write(bytes((again,)) + data[1:])
