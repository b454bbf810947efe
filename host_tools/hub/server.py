"""The local hub as one thing: its state, its certificates, and its doors on loopback.

    async with HubServer(workspace=Path(".thermo")) as server:
        print(server.device_connection_string("dev1"))

`start` gives back all or nothing: what it opened before a failure is closed again. `stop` leaves
no socket, no task and no open file behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from aiohttp import web

from host_tools.hub import certificates
from host_tools.hub.endpoints import mqtt
from host_tools.hub.endpoints.amqp import AmqpEndpoint
from host_tools.hub.endpoints.rest import rest_app
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage, StorageError
from host_tools.hub.tls import server_context

MQTT_PORT = 8883
"""Microsoft's device SDKs know no other."""
AMQP_PORT = 5671
HTTPS_PORT = 8443
"""443 is the service's own, but not for ordinary users to bind."""

HANDSHAKE_S = 20
"""A board without arithmetic of its own takes some seconds for its half of the handshake."""
_SWEEP_S = 1
_STOP_S = 3

_LOG = logging.getLogger(__name__)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ServerError(Exception):
    """The hub cannot start; the text says why and what to do."""


@dataclass(frozen=True)
class Ports:
    """0 is any free port."""

    mqtt: int = MQTT_PORT
    amqp: int = AMQP_PORT
    https: int = HTTPS_PORT


class Door(NamedTuple):
    """One listener: `name` and `use` for people, and the address it has."""

    name: str
    use: str
    host: str
    port: int


class HubServer:
    """`state` None keeps everything in memory. `host_name` is the name in connection strings,
    by default `localhost` or the address itself if it is another than 127.0.0.1.

    `hub`, `certificates`, `doors` and `ports` are there while it runs.
    """

    def __init__(
        self,
        workspace: Path,
        state: Path | None = None,
        host: str = "127.0.0.1",
        ports: Ports = Ports(),
        host_name: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.host = _loopback(host)
        self.host_name = host_name or ("localhost" if self.host == "127.0.0.1" else self.host)
        self.doors: list[Door] = []
        self.hub: Hub
        self.certificates: certificates.Certificates
        self._workspace = workspace
        self._state = state
        self._wanted = ports
        self._clock = clock
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> HubServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Raises ServerError, WorkspaceError, StorageError and OSError, with nothing left open."""
        async with contextlib.AsyncExitStack() as stack:
            wanted = self._wanted
            # Ports first: a taken one is the likeliest failure, and should leave no files.
            mqtt_socket = self._bind(stack, wanted.mqtt, "--mqtt-port")
            https_socket = self._bind(stack, wanted.https, "--https-port")
            amqp_socket = self._bind(stack, wanted.amqp, "--amqp-port")
            names = {"localhost", "127.0.0.1", self.host, self.host_name}
            self.certificates = certificates.prepare(self._workspace, names)
            storage = Storage(self._state)
            stack.callback(storage.close)
            self.hub = Hub(self.host_name, storage, self._clock, names)
            context = server_context(self.certificates.server)
            await stack.enter_async_context(_swept(self.hub))
            await stack.enter_async_context(_https(https_socket, context, rest_app(self.hub)))
            self._open_door("HTTPS", "service: registry, twins, methods", https_socket)
            serve_mqtt = functools.partial(mqtt.serve_connection, hub=self.hub)
            await stack.enter_async_context(_streams(mqtt_socket, context, serve_mqtt))
            self._open_door("MQTT", "devices", mqtt_socket)
            serve_amqp = AmqpEndpoint(self.hub).serve
            await stack.enter_async_context(_streams(amqp_socket, context, serve_amqp))
            self._open_door("AMQP", "service: messages to devices", amqp_socket)
            stack.callback(self.doors.clear)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Close the doors, then the state. Harmless when not started."""
        await self._stack.aclose()

    def port(self, door: str) -> int:
        """The port that the door of that name has: "MQTT", "AMQP" or "HTTPS"."""
        return next(each.port for each in self.doors if each.name == door)

    def service_connection_string(self, policy: str = "iothubowner") -> str:
        """For service clients; it names the HTTPS port, unless it is the usual 443."""
        port = self.port("HTTPS")
        # With another hub's name devices come through a gateway; services have no such thing.
        host = self.host_name if self._is_reached_by_name else self._address
        return self.hub.policies.connection_string(
            policy, host if port == 443 else f"{host}:{port}"
        )

    def device_connection_string(self, device_id: str) -> str:
        """Raises HubError 404001."""
        text = self.hub.device_connection_string(device_id)
        return text if self._is_reached_by_name else f"{text};GatewayHostName={self._address}"

    def ensure_device(self, device_id: str) -> None:
        """Register the device unless it is. Raises HubError 400004 for an impossible id."""
        if not self.hub.registry.exists(device_id):
            self.hub.registry.create({"deviceId": device_id})

    @property
    def _address(self) -> str:
        return "localhost" if self.host == "127.0.0.1" else self.host

    @property
    def _is_reached_by_name(self) -> bool:
        return self.host_name in ("localhost", self.host)

    def _bind(self, stack: contextlib.AsyncExitStack, port: int, option: str) -> socket.socket:
        bound = _bind(self.host, port, option)
        stack.callback(bound.close)
        return bound

    def _open_door(self, name: str, use: str, bound: socket.socket) -> None:
        self.doors.append(Door(name, use, self.host, bound.getsockname()[1]))


def _loopback(host: str) -> str:
    """Raises ServerError for an address that others could reach."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise ServerError(
        f"{host} is not a loopback address, and the hub serves this machine only; "
        "choose one of 127.0.0.0/8 or ::1 with --host"
    )


def _bind(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ServerError(_explain(host, port, option, error)) from error


def _explain(host: str, port: int, option: str, error: OSError) -> str:
    where = f"port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{where} is taken by another program; stop it, or choose another port with "
            f"{option} (0: any free one) or another address with --host, like 127.0.0.2"
        )
    if error.errno == errno.EACCES:
        return f"{where} is for privileged users only; choose one above 1023 with {option}"
    return f"{where} cannot be used ({error.strerror}); choose another with {option} or --host"


@contextlib.asynccontextmanager
async def _swept(hub: Hub) -> AsyncIterator[None]:
    """Let time pass in the hub's state."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                hub.sweep()
            except StorageError as error:
                _LOG.error("%s", error)

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        await _cancel({task})


@contextlib.asynccontextmanager
async def _https(
    bound: socket.socket, context: ssl.SSLContext, app: web.Application
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        await web.SockSite(runner, bound, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _streams(
    bound: socket.socket, context: ssl.SSLContext, serve: Serve
) -> AsyncIterator[None]:
    """Serve each connection in a task of its own; at the end all of them are cancelled."""
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(
        accepted, sock=bound, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
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
