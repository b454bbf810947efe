"""The AMQP door: sockets, time and the table of the hub's nodes.

Whatever a client does ends in one line of the log at INFO and in nothing else; the line holds
nothing of what the client sent.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import weakref
from collections.abc import Sequence

from host_tools.hub.endpoints.amqp_cbs import build_cbs_route
from host_tools.hub.endpoints.amqp_connection import Connection
from host_tools.hub.endpoints.amqp_devicebound import build_devicebound_route
from host_tools.hub.endpoints.amqp_events import build_events_route, build_redirect_route
from host_tools.hub.endpoints.amqp_feedback import build_feedback_route
from host_tools.hub.endpoints.amqp_management import build_management_routes
from host_tools.hub.endpoints.amqp_nodes import Grants, Route
from host_tools.hub.state.hub import Hub
from host_tools.hub.tls import abort

# 1,000 devices are on MQTT; on AMQP there are service clients, a few per script. An Event Hubs
# consumer opens one connection per partition and one per management call.
MAX_CONNECTIONS = 512
READ_BYTES = 65536
# A client that has not read what was written for this long is gone.
WRITE_S = 30
LEAVE_S = 2  # for the last bytes and the TLS farewell

log = logging.getLogger("thermo.hub.amqp")

_open_connections: weakref.WeakKeyDictionary[Hub, int] = weakref.WeakKeyDictionary()


def build_routes(grants: Grants) -> Sequence[Route]:
    """The nodes of the hub. A further one is one more line."""
    return (
        build_cbs_route(grants),
        build_devicebound_route(grants),
        build_events_route(grants),
        build_feedback_route(grants),
        build_redirect_route(grants),
        *build_management_routes(grants),
    )


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hub: Hub
) -> None:
    """Serve one client until it leaves or has to go. Raises only CancelledError: the hub stops."""
    if _open_connections.get(hub, 0) >= MAX_CONNECTIONS:
        log.info("refused: %d AMQP connections are open", MAX_CONNECTIONS)
        abort(writer)
        return
    _open_connections[hub] = _open_connections.get(hub, 0) + 1
    try:
        await _Conversation(hub, reader, writer).run()
    finally:
        _open_connections[hub] -= 1


class _Conversation:
    """Two tasks: one reads and lets time pass, one writes. Neither waits for another client."""

    def __init__(
        self, hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._connection = Connection(hub, build_routes, time.monotonic, self._wake.set)

    async def run(self) -> None:
        peer = self._writer.get_extra_info("peername")
        reading = asyncio.ensure_future(self._read())
        writing = asyncio.ensure_future(self._write())
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if not writing.done() and self._connection.is_closing:
                await asyncio.wait((writing,), timeout=LEAVE_S)
            _raise_own_fault(reading, writing)
            log.info("%s: %s", peer, self._connection.reason)
        except asyncio.CancelledError:
            self._connection.shut("The hub stops.")
            self._writer.write(self._connection.take_output())
            raise
        except Exception:  # a fault of ours costs one connection, not the hub
            log.exception("%s: a fault of the hub itself", peer)
        finally:
            reading.cancel()
            writing.cancel()
            self._connection.lost()
            await self._leave()

    async def _read(self) -> None:
        """Return when the client has left or has to leave."""
        connection = self._connection
        pending: asyncio.Task[bytes] | None = None
        try:
            while not connection.is_closing:
                pending = pending or asyncio.ensure_future(self._reader.read(READ_BYTES))
                await asyncio.wait((pending,), timeout=connection.tick_s)
                connection.tick()
                if not pending.done():
                    continue
                data = pending.result()
                pending = None
                if not data:
                    return
                connection.receive(data)
                await self._take_turns()
        except (OSError, ssl.SSLError):
            connection.reason = "the peer left without a word"
        finally:
            if pending is not None:
                pending.cancel()

    async def _take_turns(self) -> None:
        """Let the others have theirs, and read no more from a client that does not read."""
        await asyncio.sleep(0)
        while not self._connection.has_room:
            self._drained.clear()
            await self._drained.wait()

    async def _write(self) -> None:
        """Return when the client has to leave and has been told, or does not read."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while data := self._connection.take_output():
                    self._writer.write(data)
                    await asyncio.wait_for(self._writer.drain(), WRITE_S)
                    self._drained.set()
                if self._connection.is_closing:
                    return
        except asyncio.TimeoutError:
            self._connection.reason = f"nothing was read for {WRITE_S} s"
        except (OSError, ssl.SSLError):
            self._connection.reason = "the peer left without a word"

    async def _leave(self) -> None:
        """Clients of Microsoft's close TLS abruptly: neither an error nor worth a line."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), LEAVE_S)
        except (OSError, ssl.SSLError, asyncio.TimeoutError):
            abort(self._writer)


def _raise_own_fault(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
