"""The local hub as one thing: its state, its certificates, and its doors, on loopback unless an
address is exposed to the network.

    async with HubServer(workspace=Path(".thermo")) as server:
        print(server.device_connection_string("dev1"))

`start` gives back all or nothing: what it opened before a failure is closed again. `stop` leaves
no socket, no task and no open file behind.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from aiohttp import web

from host_tools.hub import certificates
from host_tools.hub.containers import LocalContainers
from host_tools.hub.endpoints import amqp, mqtt
from host_tools.hub.endpoints.dps import add_provisioning
from host_tools.hub.endpoints.graph import add_digital_twins
from host_tools.hub.endpoints.managed_identity import PATH, add_managed_identity
from host_tools.hub.endpoints.rest import rest_app
from host_tools.hub.endpoints.websocket import add_websockets
from host_tools.hub.fault_certificates import make_bad_server
from host_tools.hub.fault_door import faulty_door, twice
from host_tools.hub.listeners import (
    Serve,
    bind,
    exposed_address,
    loopback_address,
    serve_https,
    serve_streams,
    swept,
)
from host_tools.hub.options import NO_OPTIONS, HubOptions
from host_tools.hub.server_error import ServerError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.policies import REGISTRY_READ, REGISTRY_WRITE
from host_tools.hub.storage import Storage
from host_tools.hub.tls import device_context, server_context

MQTT_PORT = 8883
"""Microsoft's device SDKs know no other."""
AMQP_PORT = 5671
HTTPS_PORT = 8443
"""443 is the service's own, but not for ordinary users to bind."""
PROVISIONING_OWNER = "provisioningserviceowner"


@dataclass(frozen=True)
class Ports:
    """0 is any free port. `plain_amqp` None: no door without TLS."""

    mqtt: int = MQTT_PORT
    amqp: int = AMQP_PORT
    https: int = HTTPS_PORT
    plain_amqp: int | None = None


class Door(NamedTuple):
    """One listener: `name` and `use` for people, and the address it has."""

    name: str
    use: str
    host: str
    port: int


class _Kind(NamedTuple):
    """A kind of door. `serve` is what serves one stream; None for HTTPS, which is aiohttp's.
    `is_for_devices`: who comes through it may show a certificate."""

    name: str
    use: str
    option: str
    port: Callable[[Ports], int | None]
    serve: Serve | None
    is_for_devices: bool = False
    has_tls: bool = True


_Bound = tuple[_Kind, socket.socket]
_KINDS = (
    _Kind("MQTT", "devices", "--mqtt-port", lambda ports: ports.mqtt, mqtt.serve_connection, True),
    _Kind(
        "HTTPS",
        "services: REST, WebSockets",
        "--https-port",
        lambda ports: ports.https,
        None,
        is_for_devices=True,
    ),
    _Kind(
        "AMQP",
        "services: messages, feedback, events",
        "--amqp-port",
        lambda ports: ports.amqp,
        amqp.serve_connection,
    ),
    # What azure-eventhub speaks to with UseDevelopmentEmulator=true. Loopback only.
    _Kind(
        "AMQP, plain",
        "events, as from an emulator",
        "--emulator-port",
        lambda ports: ports.plain_amqp,
        amqp.serve_connection,
        has_tls=False,
    ),
)


class HubServer:
    """`state` None keeps everything in memory. `host_name` is the name in connection strings,
    by default the exposed address, else `localhost` or the address itself if it is another than
    127.0.0.1.

    `expose`: one more address, for boards in the same network. What others can reach is behind
    verified TLS and keys that nobody can guess; a state with other keys is refused.
    `hub`, `certificates` and `doors` are there while it runs. Raises ServerError for a `host`
    that is not loopback, and for an address that is not to be exposed.
    """

    def __init__(
        self,
        workspace: Path,
        state: Path | None = None,
        host: str = "127.0.0.1",
        ports: Ports = Ports(),
        host_name: str | None = None,
        clock: Callable[[], float] = time.time,
        expose: str | None = None,
        options: HubOptions = NO_OPTIONS,
    ) -> None:
        self.host = loopback_address(host)
        self.exposed = None if expose is None else exposed_address(expose)
        if self.exposed == self.host:
            raise ServerError(
                f"--expose {self.exposed} is what --host has already, and only this machine "
                "reaches it; name an address of this machine in its network"
            )
        self.host_name = host_name or self._address
        self.doors: list[Door] = []
        self.hub: Hub
        self.certificates: certificates.Certificates
        self._workspace = workspace
        self._state = state
        self._wanted = ports
        self._clock = clock
        self._options = options
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
            stack.callback(self.doors.clear)
            # Ports first: a taken one is the likeliest failure, and should leave no files.
            sockets = self._bind(stack)
            names = {"localhost", "127.0.0.1", self.host, self.host_name, self._address}
            self.certificates = certificates.prepare(self._workspace, names)
            storage = Storage(self._state)
            stack.callback(storage.close)
            ahead_s = self._options.faults.clock_s
            self.hub = Hub(self.host_name, storage, lambda: self._clock() + ahead_s, names)
            containers = LocalContainers(has_folders=self.exposed is None)
            self.hub.transfers.containers = self.hub.graph_jobs.containers = containers
            if self.exposed is not None:
                _refuse_known_keys(self.hub)
            self._options.apply(self.hub)
            self.hub.policies.ensure(PROVISIONING_OWNER, (REGISTRY_READ, REGISTRY_WRITE))
            contexts = {
                True: device_context(self.certificates.server),
                False: server_context(self.certificates.server),
            }
            await stack.enter_async_context(swept(self.hub))
            for kind, outer in sockets:
                context, bound = contexts[kind.is_for_devices], outer
                if kind.serve is mqtt.serve_connection:
                    kind, context, bound = await self._with_faults(kind, context, outer, stack)
                serving = (
                    serve_streams(bound, context if kind.has_tls else None, kind.serve, self.hub)
                    if kind.serve
                    else serve_https(bound, context, self._web_app())
                )
                await stack.enter_async_context(serving)
                self.doors.append(Door(kind.name, kind.use, *outer.getsockname()))
            self._stack = stack.pop_all()

    async def _with_faults(
        self,
        kind: _Kind,
        context: ssl.SSLContext,
        bound: socket.socket,
        stack: contextlib.AsyncExitStack,
    ) -> tuple[_Kind, ssl.SSLContext, socket.socket]:
        """The door of devices as the options want it; without faults as it is."""
        faults = self._options.faults
        if faults.duplicates:
            kind = kind._replace(serve=twice(mqtt.serve_connection))
        if faults.certificate is not None:
            context = self._bad_context(faults.certificate)
        if faults.connections:
            bound = await stack.enter_async_context(faulty_door(bound, faults.sequence()))
        return kind, context, bound

    def _bad_context(self, kind: str) -> ssl.SSLContext:
        authority = certificates.load_authority(self._workspace)
        names = frozenset({"localhost", self.host, self.host_name, self._address})
        now = datetime.datetime.now(datetime.timezone.utc)
        path = self._workspace / "fault.pem"
        certificates.write_private(path, make_bad_server(kind, authority, names, now).to_pem())
        return device_context(path)

    def _bind(self, stack: contextlib.ExitStack | contextlib.AsyncExitStack) -> list[_Bound]:
        """A socket for each kind of door; the exposed address has the same ports as loopback."""
        bound = []
        for kind in _KINDS:
            wanted = kind.port(self._wanted)
            if wanted is not None:
                bound.append((kind, stack.enter_context(bind(self.host, wanted, kind.option))))
        if self.exposed is not None:
            for kind, inner in tuple(bound):
                if not kind.has_tls:
                    continue
                port = inner.getsockname()[1]
                bound.append((kind, stack.enter_context(bind(self.exposed, port, kind.option))))
        return bound

    def _web_app(self) -> web.Application:
        app = rest_app(self.hub)
        add_websockets(app, self.hub)
        add_managed_identity(app, self.hub)
        add_digital_twins(app, self.hub)
        add_provisioning(app, self.hub)
        return app

    async def stop(self) -> None:
        """Close the doors, then the state. Harmless when not started."""
        await self._stack.aclose()

    def port(self, door: str) -> int:
        """The port that the door of that name has: "MQTT", "AMQP" or "HTTPS"."""
        return next(each.port for each in self.doors if each.name == door)

    def service_connection_string(self, policy: str = "iothubowner") -> str:
        """For service clients; its HostName is `service_host`."""
        return self.hub.policies.connection_string(policy, self.service_host)

    @property
    def service_host(self) -> str:
        """Where services are: with the HTTPS port, unless it is the usual 443."""
        port = self.port("HTTPS")
        # With another hub's name devices come through a gateway; services have no such thing.
        host = self.host_name if self._is_reached_by_name else self._address
        return host if port == 443 else f"{host}:{port}"

    @property
    def identity_endpoint(self) -> str:
        """Where clients of Entra get their tokens, with `hub.entra.secret`."""
        return f"https://{self.service_host}{PATH}"

    @property
    def digital_twins_url(self) -> str:
        """The endpoint of Digital Twins, for clients with Entra's tokens."""
        return f"https://{self.service_host}"

    def provisioning_connection_string(self) -> str:
        """For services that make enrolments; the policy has the name that Azure gives it."""
        return self.service_connection_string(PROVISIONING_OWNER)

    def event_hub_connection_string(self, policy: str = "service") -> str:
        """For clients of Event Hubs, who know no port but 5671."""
        host = self.host_name if self._is_reached_by_name else self._address
        return self.hub.event_hub_connection_string(host, policy)

    def emulator_connection_string(self, policy: str = "service") -> str | None:
        """The same without TLS, if there is a door for it."""
        if self._wanted.plain_amqp is None:
            return None
        host = f"{self.host}:{self.port('AMQP, plain')}"
        return f"{self.hub.event_hub_connection_string(host, policy)};UseDevelopmentEmulator=true"

    def device_connection_string(self, key: str) -> str:
        """Of a device, or of a module. Raises HubError 404001, 404010."""
        text = self.hub.device_connection_string(key)
        return text if self._is_reached_by_name else f"{text};GatewayHostName={self._address}"

    def ensure_device(self, device_id: str) -> None:
        """Register the device unless it is. Raises HubError 400004 for an impossible id."""
        if not self.hub.registry.exists(device_id):
            self.hub.registry.create({"deviceId": device_id})

    @property
    def device_host(self) -> str:
        """The name or address that devices dial."""
        return self.host_name if self._is_reached_by_name else self._address

    @property
    def _address(self) -> str:
        if self.exposed is not None:
            return self.exposed
        return "localhost" if self.host == "127.0.0.1" else self.host

    @property
    def _is_reached_by_name(self) -> bool:
        return self.host_name in (self._address, self.host)


def _refuse_known_keys(hub: Hub) -> None:
    """Raises ServerError if anybody could guess a key of this state.

    Policies have generated keys always; a device's may have been given to it, and may then come
    from a text that everybody reads.
    """
    for name in (*hub.registry.device_ids(), *hub.registry.module_keys()):
        if not all(is_generated(key) for key in hub.registry.keys(name) if key):
            raise ServerError(
                f"the device {name} of this state has a key that was not generated, and "
                "with --expose others could try it; delete the device, or start without --state"
            )


def is_generated(key: bytes) -> bool:
    """Whether `key` can have come from a random generator: false for short ones, words, and
    what has a pattern. Of random keys it refuses less than one in 10^9."""
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    return len(key) >= 32 and len(set(key)) >= 16 and len(steps) >= 16 and not key.isascii()
