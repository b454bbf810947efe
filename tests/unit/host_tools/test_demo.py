"""`thermo demo`: what ends it, and that it says so when a message was lost."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from host_tools import cli, demo, demo_commands
from host_tools.demo import Demo, DemoError
from host_tools.simulation import SimulationError


class FakeDevice:
    """A simulated thermostat that is online at once, or never."""

    def __init__(self, is_online: bool = True, **stats: int) -> None:
        self._is_online = is_online
        self.stats = stats

    async def wait_online(self) -> None:
        if not self._is_online:
            await asyncio.sleep(60)

    def last(self) -> str:
        return "its last line: no network"


def with_demo(work: Callable[[Any], Awaitable[None]]) -> Any:
    async def live() -> Any:
        made = Demo(0)
        await work(made)
        return made

    return asyncio.run(live())


def summarize(device: Any, delivered: int, *tour: str, failed: bool = False) -> None:
    async def work(made: Any) -> None:
        made._delivered = delivered
        made._view.tour.extend(tour)
        made._view.tour_failed = failed
        made._summarize(device)

    with_demo(work)


def test_the_summary_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    summarize(FakeDevice(telemetry_sent=9, telemetry_dropped=1, telemetry_waiting=2), 6)
    told = json.loads(capsys.readouterr().out.removeprefix("summary "))
    assert (told["telemetry_sent"], told["lost"], told["seconds_to_first_ack"]) == (9, 0, None)


def test_what_it_promised_and_did_not_show_is_an_error() -> None:
    with pytest.raises(DemoError, match="3 messages were lost; please report this"):
        summarize(FakeDevice(telemetry_sent=9), 6)
    with pytest.raises(DemoError, match="the tour ended: x; the console of the thermostat may"):
        summarize(FakeDevice(), 0, "twin read", "the tour ended: x", failed=True)
    with pytest.raises(DemoError, match="the tour ended without a word"):
        summarize(FakeDevice(), 0, failed=True)


def test_a_thermostat_that_does_not_come_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "ONLINE_S", 0.01)
    with pytest.raises(SimulationError, match="not online within 0 s; its last line: no network"):
        with_demo(lambda made: made._tour(None, FakeDevice(is_online=False)))


@pytest.mark.parametrize(
    ("script", "failed", "told"),
    [
        ("echo twin read", False, ["twin read"]),
        ("echo the tour ended: x; exit 1", True, ["the tour ended: x"]),
        ("echo twin read; exec sleep 60", True, ["twin read", "the tour did not end in time"]),
    ],
)
def test_a_tour_and_its_end(
    script: str,
    failed: bool,
    told: list[str],
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(demo, "client_environment", lambda *_: {})
    monkeypatch.setattr(demo, "TOUR_S", 0.3 if "sleep" in script else 10)
    made = with_demo(lambda made: made._tour(None, FakeDevice()))
    assert made._view.tour == told
    assert made._view.tour_failed == failed


def test_only_telemetry_counts_as_delivered_and_what_is_none_is_not_drawn() -> None:
    def event(source: str, subject: str, body: bytes) -> Any:
        annotations = {"iothub-message-source": source, "dt-subject": subject}
        return SimpleNamespace(annotations=annotations, body=body)

    async def work(made: Any) -> None:
        made._take_telemetry(event("twinChangeEvents", "thermostat1", b"{}"))
        made._take_telemetry(event("Telemetry", "thermostat1", b'{"temperature": 21.5}'))
        made._take_telemetry(event("Telemetry", "thermostat2", b"not JSON"))
        made._take_telemetry(event("Telemetry", "", b'{"workingSet": 1}'))

    made = with_demo(work)
    assert made._delivered == 3
    assert [zone.temperature for zone in made._view.zones] == [21.5, None]
    assert made._first_ack_s is not None


def test_its_trouble_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: float) -> None:
        raise DemoError("3 messages were lost; please report this")

    monkeypatch.setattr(demo_commands.demonstration, "demo", fail)
    assert cli.main(["demo", "--seconds", "1"]) == 1
    assert capsys.readouterr().err == "thermo: 3 messages were lost; please report this\n"
