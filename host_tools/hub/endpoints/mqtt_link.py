"""The way to and from one client: reading with a deadline, writing that never waits.

What is written goes into a bounded buffer. A client that does not read fills its own buffer,
loses its own connection, and holds up nobody else.
"""

from __future__ import annotations

import asyncio

from cryptography import x509

from host_tools.hub.client_tls import client_certificate
from host_tools.hub.tls import abort

MAX_UNSENT_BYTES = 1024 * 1024
"""Room for what a client may have asked for at once: four cloud-to-device messages of 64 KB, a
method request of 128 KB and several twins of 64 KB."""
DRAIN_S = 30
"""How long a client that keeps asking may leave its answers unread."""
CLOSE_S = 1
"""How long a client may take for the TLS good-bye."""
_READ_BYTES = 64 * 1024


class LinkClosed(Exception):
    """The connection ended; the text says why."""


class Link:
    """`close` may come from anywhere and takes effect at once: `read` ends, `write` is void."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def is_closed(self) -> bool:
        return self._closed.done()

    @property
    def peer(self) -> str:
        """The client's address, for the log."""
        address = self._writer.get_extra_info("peername")
        return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "?"

    @property
    def certificate(self) -> x509.Certificate | None:
        """The client's own, if it has shown one in the TLS handshake."""
        return client_certificate(self._writer)

    def close(self, reason: str) -> None:
        """End the connection, with `reason` for the log; the first reason stays."""
        if not self._closed.done():
            self._closed.set_result(reason)

    async def read(self, timeout_s: float, late: str) -> bytes:
        """Return some bytes, at least one.

        Raises LinkClosed: at the end of the stream, after `close`, or with the text `late` when
        nothing came in time.
        """
        task = asyncio.ensure_future(self._read())
        try:
            waited: set[asyncio.Future[bytes] | asyncio.Future[str]] = {task, self._closed}
            await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
        self.check_open()
        if not task.done():
            raise LinkClosed(late)
        if not task.result():
            raise LinkClosed("the client closed the connection without DISCONNECT")
        return task.result()

    async def _read(self) -> bytes:
        """An end by force is an end."""
        try:
            return await self._reader.read(_READ_BYTES)
        except OSError:
            return b""

    def check_open(self) -> None:
        """Raises LinkClosed."""
        if self._closed.done():
            raise LinkClosed(self._closed.result())

    def write(self, data: bytes) -> None:
        """Send `data` as soon as the client takes it. Never waits and never raises."""
        if self.is_closed or self._writer.is_closing():
            return
        unsent = self._writer.transport.get_write_buffer_size()
        if unsent + len(data) > MAX_UNSENT_BYTES:
            self.close("the client does not read what it is sent")
            abort(self._writer)
            return
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait while much is unsent. Raises LinkClosed."""
        try:
            await asyncio.wait_for(self._writer.drain(), DRAIN_S)
        except asyncio.TimeoutError:
            raise LinkClosed("the client does not read what it is sent") from None
        except OSError:
            self.check_open()
            raise LinkClosed("the connection broke while writing") from None

    async def finish(self) -> None:
        """Send what is left, say good-bye, and let go of the socket whatever the client does."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_S)
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            abort(self._writer)
