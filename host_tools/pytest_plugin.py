"""Fixtures for other people's tests: a local Azure IoT Hub, and devices on it.

Loaded by pytest where this package is installed. Nothing starts before a test asks for it.

    from azure.iot.device import IoTHubDeviceClient

    def test_my_device(local_hub, local_device):
        client = IoTHubDeviceClient.create_from_connection_string(
            local_device.connection_string)
        client.connect()
        client.send_message("hello")
        (event,) = local_hub.wait_for_events(1, local_device.device_id)
        assert event.body == b"hello"

While `local_hub` lives, the variables of this process's environment lead to it and make Azure's
SDKs trust it: IOTHUB_CONNECTION_STRING, EVENT_HUB_CONN_STR, SSL_CERT_FILE and the like.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from host_tools.hub.server import HubServer
    from host_tools.hub.state.hub import Hub
    from host_tools.hub.state.telemetry import Event

_START_S = 20
_CALL_S = 20
_POLL_S = 0.02
_MAX_EVENTS = 100_000
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class LocalDevice:
    """A fresh device of the local hub."""

    device_id: str
    connection_string: str = field(repr=False)


class LocalHub:
    """A running hub. Its state belongs to a thread of its own; `call` reaches it from here."""

    def __init__(self, server: HubServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._numbers = itertools.count(1)
        self.host_name = server.host_name
        self.ca_bundle = server.certificates.ca_bundle

    @property
    def connection_string(self) -> str:
        """The service's, with all permissions."""
        return self._server.service_connection_string()

    @property
    def event_hub_connection_string(self) -> str:
        return self._server.event_hub_connection_string()

    def add_device(self, device_id: str | None = None) -> LocalDevice:
        """Register a device; without a name it gets one that no other has."""
        name = device_id or f"device-{next(self._numbers)}"
        self.call(lambda hub: hub.registry.create({"deviceId": name}))
        return LocalDevice(name, self._server.device_connection_string(name))

    def remove_device(self, device: LocalDevice) -> None:
        """Delete it, if the test has not done so."""
        self.call(
            lambda hub: (
                hub.registry.delete(device.device_id)
                if hub.registry.exists(device.device_id)
                else None
            )
        )

    def call(self, action: Callable[[Hub], _Result]) -> _Result:
        """What `action` returns of the hub's state, asked in the hub's own thread."""

        async def ask() -> _Result:
            return action(self._server.hub)

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(_CALL_S)

    def events(self, device_id: str) -> list[Event]:
        """What the device has sent so far, in order."""

        def read(hub: Hub) -> list[Event]:
            partition = hub.telemetry.partition_of(device_id)
            found = hub.telemetry.read(partition, 0, _MAX_EVENTS)
            return [event for event in found if event.device_id == device_id]

        return self.call(read)

    def wait_for_events(self, count: int, device_id: str, timeout_s: float = 10) -> list[Event]:
        """The device's events as soon as there are so many. Raises: TimeoutError."""
        end_s = time.monotonic() + timeout_s
        while len(found := self.events(device_id)) < count:
            if time.monotonic() > end_s:
                raise TimeoutError(f"{len(found)} of {count} events of {device_id} have come")
            time.sleep(_POLL_S)
        return found


@pytest.fixture(scope="session")
def local_hub() -> Iterator[LocalHub]:
    """A local Azure IoT Hub for the whole run, on a loopback address of its own."""
    from host_tools.hub.client_environment import connection_variables
    from host_tools.hub.trust import trust_environment

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thermo-")))
        server, loop = stack.enter_context(_running(folder / "hub"))
        server_ca = server.certificates.ca_pem
        hub = LocalHub(server, loop)
        device = hub.add_device()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        variables = {
            **connection_variables(server, device.device_id, device.device_id, os.environ),
            **trust_environment(folder, server_ca, os.environ),
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        _trust_in_this_process(patch, variables["THERMO_CA_BUNDLE"])
        yield hub


@pytest.fixture
def local_device(local_hub: LocalHub) -> Iterator[LocalDevice]:
    """A device on the local hub that no other test has."""
    device = local_hub.add_device()
    yield device
    local_hub.remove_device(device)


def _trust_in_this_process(patch: pytest.MonkeyPatch, bundle: str) -> None:
    """azure-eventhub asks certifi, and no variable of the environment."""
    import certifi

    for module in (certifi, certifi.core):
        patch.setattr(module, "where", lambda: bundle)


@contextlib.contextmanager
def _running(workspace: Path) -> Iterator[tuple[HubServer, asyncio.AbstractEventLoop]]:
    """A hub in a thread, up to the end of the context."""
    from host_tools.hub.launcher import serving

    started: dict[str, object] = {}
    is_up = threading.Event()
    is_over = threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        async with serving(workspace, None) as server:
            loop = asyncio.get_running_loop()
            started.update(server=server, loop=loop, stop=stop)
            is_up.set()
            if not is_over.is_set():  # too late for those who waited
                await stop.wait()

    # One that hangs does not keep the run from ending
    thread = threading.Thread(
        target=_run, args=(serve, started, is_up), name="local hub", daemon=True
    )
    thread.start()
    try:
        if not is_up.wait(_START_S):
            raise TimeoutError("the local hub did not start in time")
        if "error" in started:
            pytest.fail(f"the local hub did not start: {started['error']}", pytrace=False)
        yield started["server"], started["loop"]  # type: ignore[misc]
    finally:
        is_over.set()
        if "stop" in started:
            loop, stop = started["loop"], started["stop"]
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
        thread.join(_START_S)


def _run(
    serve: Callable[[], Awaitable[None]], started: dict[str, object], is_up: threading.Event
) -> None:
    from host_tools.hub.server_error import ServerError

    async def main() -> None:
        await serve()

    try:
        asyncio.run(main())
    except (ServerError, OSError) as error:
        started["error"] = error
        is_up.set()
