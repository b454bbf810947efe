"""Listening sockets of the hub, on loopback unless told otherwise, and what serves who comes in.

Each server is an asynchronous context: leaving it closes the listener and every connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from host_tools.hub.server_error import ServerError
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import StorageError

HANDSHAKE_S = 20
"""A board's processor takes some seconds for its half of the TLS handshake."""
_SWEEP_S = 1
_STOP_S = 3

_LOG = logging.getLogger(__name__)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Hub], Awaitable[None]]


def loopback_address(host: str) -> str:
    """Raises ServerError for an address that others could reach."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.IPv4Address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise ServerError(
        f"{host} is not a loopback address, and the hub serves this machine only; "
        "choose one of 127.0.0.1 to 127.255.255.254 with --host, or see --expose"
    )


def exposed_address(address: str) -> str:
    """One IPv4 address that others in this network may reach. Raises ServerError for what could
    be several, or reached from the internet."""
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        raise ServerError(
            f"--expose {address} is not an IPv4 address, which boards need to find the hub; "
            f"{_advice()}"
        ) from None
    if found.is_unspecified:
        raise ServerError(
            f"--expose {address} would open every network that this machine is in, and no "
            f"certificate can be for that; {_advice()}"
        )
    if found.is_multicast or found.is_reserved:
        raise ServerError(f"--expose {address} is the address of no machine; {_advice()}")
    if found.is_global:
        raise ServerError(
            f"--expose {address} can be reached from the internet, which a hub for trying things "
            f"out is not made for; use Azure IoT Hub there, or {_advice()}"
        )
    return str(found)


def _advice() -> str:
    own = own_address()
    return f"name one address of this machine{f', like {own}' if own else ''}"


def own_address() -> str | None:
    """The address from which this machine speaks to others in its network; None: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only looks the way up.
            # Source: RFC 5737, addresses for documentation, where nobody is.
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return found if found != "0.0.0.0" else None


def bind(host: str, port: int, option: str) -> socket.socket:
    """Raises ServerError."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise ServerError(_explain(host, port, option, error)) from error


def _explain(host: str, port: int, option: str, error: OSError) -> str:
    where = f"port {port} on {host}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; {_advice()}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{where} is taken by another program; stop it, or choose another port with "
            f"{option} (0: any free one) or another address with --host, like 127.0.0.2"
        )
    if error.errno == errno.EACCES:
        return f"{where} is for privileged users only; choose one above 1023 with {option}"
    return f"{where} cannot be used ({error.strerror}); choose another with {option} or --host"


@contextlib.asynccontextmanager
async def swept(hub: Hub) -> AsyncIterator[None]:
    """Let time pass in the hub's state."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                hub.sweep()
            except StorageError as error:
                _LOG.error("%s", error)
            except Exception:  # noqa: BLE001 - it is logged, under a name that ruff does not know
                # A fault of ours costs one second's sweep: without any, nothing ends in time
                _LOG.exception("the hub's time could not pass")

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        await _cancel({task})
        await hub.stop()


def _is_our_own(record: logging.LogRecord) -> bool:
    """Whether it tells of an error of ours. A request that is not HTTP is the client's error: it
    is answered with 400, and its lines, which may hold a token, are for no log."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_HTTP_LOG = logging.getLogger(f"{__name__}.http")
_HTTP_LOG.addFilter(_is_our_own)


@contextlib.asynccontextmanager
async def serve_https(
    bound: socket.socket, context: ssl.SSLContext, app: web.Application
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, logger=_HTTP_LOG, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        await web.SockSite(runner, bound, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serve_streams(
    bound: socket.socket, context: ssl.SSLContext | None, serve: Serve, hub: Hub
) -> AsyncIterator[None]:
    """Serve each connection in a task of its own; at the end all of them are cancelled."""
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer, hub)
        except asyncio.CancelledError:
            pass  # it came from _cancel; asyncio before 3.12 logs a stream's cancelled task
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(
        accepted, sock=bound, ssl=context, ssl_handshake_timeout=HANDSHAKE_S if context else None
    )
    try:
        yield
    finally:
        server.close()
        await _cancel(tasks)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    waiting = set(tasks)
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting, timeout=_STOP_S)
