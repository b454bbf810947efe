"""MQTT and AMQP through WebSockets: a stream for the same doors that TLS streams lead to.

Which door is told by the subprotocol, not by the path: clients in different languages use
different paths for the same thing. Frames carry any part of the stream.
Source: RFC 6455; OASIS "AMQP WebSocket Binding 1.0" (subprotocol AMQPWSB10); MQTT 3.1.1 section 6.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import WSMsgType, web

from host_tools.hub.endpoints import amqp, mqtt
from host_tools.hub.state.hub import Hub

PATHS = ("/$iothub/websocket", "/$servicebus/websocket", "/$servicebus/websocket/")
_Door: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Hub], Awaitable[None]]
_DOORS: dict[str, _Door] = {"mqtt": mqtt.serve_connection, "AMQPWSB10": amqp.serve_connection}
# A client may put everything it has into one frame
MAX_FRAME_BYTES = 1024 * 1024
FAREWELL_S = 1.0  # for the client's answer to our closing
# Written and not yet taken by the client: beyond the first the door is asked to wait
_HIGH_BYTES, _LOW_BYTES = 256 * 1024, 64 * 1024


def add_websockets(app: web.Application, hub: Hub) -> None:
    """Let `app` answer WebSockets too; they end with it."""
    running: set[asyncio.Task[None]] = set()

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            protocols=tuple(_DOORS), max_msg_size=MAX_FRAME_BYTES, timeout=FAREWELL_S
        )
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="This path is for WebSockets.")
        await socket.prepare(request)
        door = _DOORS.get(socket.ws_protocol or "")
        if door is not None:
            task = asyncio.ensure_future(_Stream(socket, request.transport).run(door, hub))
            running.add(task)
            await asyncio.wait((task,))
            running.discard(task)
            if not task.cancelled():
                task.result()
        await socket.close()
        return socket

    async def end_all(app: web.Application) -> None:
        # They are for as long as their clients like: waiting for that is not the way to stop
        for task in running:
            task.cancel()

    app.on_shutdown.append(end_all)
    for path in PATHS:
        app.router.add_get(path, handle)


class _Stream(asyncio.Transport):
    """The transport under a StreamWriter whose other end is a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, below: asyncio.BaseTransport | None) -> None:
        names = ("peername", "ssl_object")
        super().__init__({name: below and below.get_extra_info(name) for name in names})
        loop = asyncio.get_running_loop()
        self._socket = socket
        self._buffer = bytearray()
        self._filled = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_closing = False
        self._is_paused = False
        self._reader = asyncio.StreamReader()
        self._protocol = asyncio.StreamReaderProtocol(self._reader)
        self._protocol.connection_made(self)
        self._writer = asyncio.StreamWriter(self, self._protocol, self._reader, loop)

    async def run(self, door: _Door, hub: Hub) -> None:
        """Return when the client has left, or the door has closed."""
        receiving = asyncio.ensure_future(self._receive())
        sending = asyncio.ensure_future(self._send())
        try:
            await door(self._reader, self._writer, hub)
            self.close()
            await sending
        finally:
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    # ---- what StreamWriter asks of a transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self._buffer += data
            self._filled.set()
            if len(self._buffer) > _HIGH_BYTES and not self._is_paused:
                self._is_paused = True
                self._protocol.pause_writing()

    def close(self) -> None:
        """What was written still goes out."""
        self._is_closing = True
        self._filled.set()

    def abort(self) -> None:
        self._buffer.clear()
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    # ---- the two directions

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                break
            self._reader.feed_data(message.data)
            await self._may_read.wait()
        self._reader.feed_eof()

    async def _send(self) -> None:
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._buffer:
                    data, self._buffer = bytes(self._buffer), bytearray()
                    await self._socket.send_bytes(data)
                    self._resume()
                if self._is_closing:
                    return
        except (ConnectionError, RuntimeError):
            pass  # the client is gone
        finally:
            self._is_closing = True
            self._resume()
            with contextlib.suppress(RuntimeError):
                self._protocol.connection_lost(None)

    def _resume(self) -> None:
        if self._is_paused and len(self._buffer) <= _LOW_BYTES:
            self._is_paused = False
            self._protocol.resume_writing()
