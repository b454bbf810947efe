"""The fixtures for other people's tests: waiting that ends, and a hub that does not start."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doubles.hub_in_memory import make_hub

from host_tools import pytest_plugin
from host_tools.hub import launcher
from host_tools.hub.server_error import ServerError


def server() -> Any:
    return SimpleNamespace(
        hub=make_hub(),
        host_name="test.local",
        certificates=SimpleNamespace(ca_bundle=Path("ca.pem")),
        service_connection_string=lambda: "service",
        event_hub_connection_string=lambda: "events",
        device_connection_string=lambda name: f"device {name}",
    )


def serving(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[], object] = lambda: None
) -> list[str]:
    """The hub starts after `before` has returned; the list tells how it went."""
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def start(workspace: Path, state: object) -> AsyncIterator[Any]:
        await asyncio.to_thread(before)
        log.append("started")
        yield server()
        log.append("stopped")

    monkeypatch.setattr(launcher, "serving", start)
    return log


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest_plugin.LocalHub]:
    log = serving(monkeypatch)
    with pytest_plugin._running(tmp_path) as (found, loop):
        yield pytest_plugin.LocalHub(found, loop)
    assert log == ["started", "stopped"]


def test_devices_come_and_go(hub: pytest_plugin.LocalHub) -> None:
    assert (hub.connection_string, hub.event_hub_connection_string) == ("service", "events")
    first, named = hub.add_device(), hub.add_device("stove")
    assert (first.device_id, named.device_id) == ("device-1", "stove")
    # A connection string is not printed by a test that fails
    assert repr(named) == "LocalDevice(device_id='stove')"
    for _ in range(2):
        hub.remove_device(named)
    assert not hub.call(lambda state: state.registry.exists("stove"))


def test_events_that_do_not_come_are_counted(hub: pytest_plugin.LocalHub) -> None:
    assert hub.wait_for_events(0, "stove") == []
    with pytest.raises(TimeoutError, match="0 of 2 events of stove have come"):
        hub.wait_for_events(2, "stove", timeout_s=0.05)


@pytest.mark.parametrize("error", [ServerError("port 8883 is taken"), OSError("port 8883")])
def test_a_hub_that_cannot_start_fails_the_test_with_its_reason(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise error

    serving(monkeypatch, refuse)
    with (
        pytest.raises(pytest.fail.Exception, match="the local hub did not start: port 8883"),
        pytest_plugin._running(tmp_path),
    ):
        pass


def test_a_hub_that_starts_too_late_is_stopped_and_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_start = threading.Event()
    log = serving(monkeypatch, may_start.wait)
    monkeypatch.setattr(pytest_plugin, "_START_S", 0.05)
    with (
        pytest.raises(TimeoutError, match="did not start in time"),
        pytest_plugin._running(tmp_path),
    ):
        pass
    (late,) = [thread for thread in threading.enumerate() if thread.name == "local hub"]
    may_start.set()
    late.join(5)
    assert log == ["started", "stopped"]
    assert not late.is_alive()
