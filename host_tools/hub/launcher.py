"""`thermo hub exec`: a hub for the length of one command, whose unmodified Azure code finds it.

The hub runs in this process, on a loopback address of its own, so that several run side by side;
certificates, bundle and shim are in a temporary folder. Nothing is left behind: no process, no
socket, no file but the `--state` that was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from host_tools.hub.child import Child, handled_signals
from host_tools.hub.client_environment import (
    OWNER,
    connection_variables,
    without_other_identities,
)
from host_tools.hub.options import NO_OPTIONS, HubOptions
from host_tools.hub.server import HTTPS_PORT, HubServer, Ports
from host_tools.hub.server_error import ServerError
from host_tools.hub.trust import trust_environment

# With 127.0.0.1 first. More hubs than that on one machine are a leak, not a plan.
MAX_ADDRESSES = 64
ONLINE_S = 60  # a thermostat needs 2 to 5 s; a machine under load may need some times that
STANDARD_HTTPS_PORT = 443
_POLL_S = 0.02

MODELS = ("TemperatureController", "Thermostat", "HeatingController")
FRESH_DEVICE = "exec-device"


class Device(Protocol):
    """The thermostat that comes with the hub."""

    async def start(self) -> None:
        """Raises: ServerError when it cannot be started."""

    async def wait_online(self) -> None:
        """Return once it serves commands. Raises: ServerError if it ended."""

    async def stop(self) -> None:
        """Leave no process behind. Also called when `start` failed."""


@dataclass(frozen=True)
class Order:
    """What thermostat is wanted: `model` is one of MODELS, `folder` its own, empty one."""

    device_id: str
    model: str
    connection_string: str = field(repr=False)
    ca_der: Path
    folder: Path


DeviceFactory = Callable[[HubServer, Order], Device]


def exec_command(
    command: Sequence[str],
    thermostat: str | None = None,
    state: Path | None = None,
    make_device: DeviceFactory | None = None,
    options: HubOptions = NO_OPTIONS,
) -> int:
    """Run the command beside a hub. Returns: its exit code, 128 + n if signal n ended it,
    127 or 126 if it cannot be run.

    `thermostat`: "ID", or "ID:" and one of MODELS.
    Raises: ServerError, HubError, StorageError, OSError.
    """
    wanted = None if thermostat is None else parse_thermostat(thermostat)
    return asyncio.run(_Launch(command, wanted, state, make_device, options).run())


def parse_thermostat(text: str) -> tuple[str, str]:
    """Returns: device id and model. Raises: ServerError."""
    device_id, separator, model = text.partition(":")
    if not separator:
        model = MODELS[0]
    if not device_id or model not in MODELS:
        raise ServerError(
            f"--thermostat {text} is not understood; write --thermostat ID, or "
            f"ID:Thermostat for the model without components, ID:HeatingController for our own"
        )
    return device_id, model


class _Launch:
    def __init__(
        self,
        command: Sequence[str],
        thermostat: tuple[str, str] | None,
        state: Path | None,
        make_device: DeviceFactory | None,
        options: HubOptions,
    ) -> None:
        self._child = Child(command)
        self._thermostat = thermostat
        self._state = state
        self._make_device = make_device
        self._options = options
        self._signal: int | None = None

    async def run(self) -> int:
        task = asyncio.current_task()
        assert task is not None
        with handled_signals(lambda number: self._on_signal(number, task)):
            try:
                return await self._run()
            except asyncio.CancelledError:
                if self._signal is None:
                    raise
                return 128 + self._signal

    def _on_signal(self, number: int, task: asyncio.Task[object]) -> None:
        """Before the command runs, a signal ends us; while it runs, it is the command's; then
        there is only tidying up, which no signal hurries."""
        if self._child.was_started:
            self._child.on_signal(number)
        elif self._signal is None:
            self._signal = number
            task.cancel()

    async def _run(self) -> int:
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thermo-")))
            server = await stack.enter_async_context(
                serving(folder / "hub", self._state, self._options)
            )
            if self._thermostat is not None:
                await stack.enter_async_context(self._thermostat_online(server, folder))
            return await self._child.run(self._environment(server, folder))

    @contextlib.asynccontextmanager
    async def _thermostat_online(self, server: HubServer, folder: Path) -> AsyncIterator[None]:
        assert self._thermostat is not None
        if self._make_device is None:
            raise ServerError("this installation has no firmware to run; leave --thermostat away")
        device_id, model = self._thermostat
        server.ensure_device(device_id)
        text = server.device_connection_string(device_id)
        home = folder / "thermostat"
        home.mkdir()
        device = self._make_device(
            server, Order(device_id, model, text, server.certificates.ca_der, home)
        )
        try:
            await device.start()
            await _wait_online(device, device_id, server)
            yield
        finally:
            await device.stop()

    def _environment(self, server: HubServer, folder: Path) -> dict[str, str]:
        """Of the command: ours, with the variables of Microsoft's samples and of trust set."""
        own_id = self._make_fresh_device(server)
        device_id = own_id if self._thermostat is None else self._thermostat[0]
        ours = without_other_identities(os.environ)
        return {
            **ours,
            **connection_variables(server, device_id, own_id, ours, self._policy()),
            **trust_environment(folder, server.certificates.ca_pem, ours),
        }

    def _policy(self) -> str:
        """The one that was asked for last, else the owner's."""
        names = [name for name, _ in self._options.policies]
        return names[-1] if names else OWNER

    def _make_fresh_device(self, server: HubServer) -> str:
        """Fresh also on a state that an earlier command has left: new key, empty twin."""
        taken = None if self._thermostat is None else self._thermostat[0]
        device_id = FRESH_DEVICE if taken != FRESH_DEVICE else FRESH_DEVICE + "-2"
        if server.hub.registry.exists(device_id):
            server.hub.registry.delete(device_id)
        server.ensure_device(device_id)
        return device_id


async def _wait_online(device: Device, device_id: str, server: HubServer) -> None:
    """Return once it serves commands and its twin tells of it. Raises: ServerError."""
    before = server.hub.twins.reported_version(device_id)

    async def reported() -> None:
        await device.wait_online()
        while server.hub.twins.reported_version(device_id) == before:
            await asyncio.sleep(_POLL_S)

    try:
        await asyncio.wait_for(reported(), ONLINE_S)
    except asyncio.TimeoutError:
        raise ServerError(
            f"the thermostat {device_id} was not online within {ONLINE_S} s; "
            "try again, or look at its log with `make run`"
        ) from None


@contextlib.asynccontextmanager
async def serving(
    workspace: Path, state: Path | None, options: HubOptions = NO_OPTIONS
) -> AsyncIterator[HubServer]:
    """A hub on the first loopback address whose ports are all free. Raises: ServerError."""
    server = await _start_somewhere(workspace, state, options)
    try:
        yield server
    finally:
        await server.stop()


async def _start_somewhere(workspace: Path, state: Path | None, options: HubOptions) -> HubServer:
    for number in range(1, MAX_ADDRESSES + 1):
        host = f"127.0.0.{number}"
        # The usual port, where it may be bound, spares the port in HostName, which some clients
        # use for AMQP as well (Node) and others not at all (Python).
        https = STANDARD_HTTPS_PORT if _can_bind(host, STANDARD_HTTPS_PORT) else HTTPS_PORT
        server = HubServer(workspace, state, host, Ports(https=https), options=options)
        try:
            await server.start()
        except ServerError as error:
            if not _is_taken(error):
                raise
        else:
            return server
    raise ServerError(
        f"no address from 127.0.0.1 to 127.0.0.{MAX_ADDRESSES} has the ports 8883, 5671 and "
        f"{HTTPS_PORT} free; stop the program that listens on all addresses"
    )


def _is_taken(error: ServerError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE


def _can_bind(host: str, port: int) -> bool:
    try:
        with socket.create_server((host, port)):
            return True
    except OSError:
        return False
