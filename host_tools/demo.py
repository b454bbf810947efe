"""`make run`: a hub, a thermostat and the tour of it, live on the screen.

Three parties, as in production: the hub runs here, the firmware in an interpreter of its own,
and the tour in a Python that knows nothing but the SDK and a connection string.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from host_tools import screen
from host_tools.hub.client_environment import client_environment
from host_tools.hub.launcher import serving
from host_tools.hub.options import HubOptions
from host_tools.hub.server import HubServer
from host_tools.hub.state.telemetry import Event
from host_tools.problem import Problem
from host_tools.simulated_device import SimulatedDevice, write_configuration
from host_tools.simulation import SimulationError

DEVICE = "thermostat"
ROOMS = ("thermostat1", "thermostat2")
# Two minutes in the rooms for each second here: a room warms by a degree in ten
SPEED = 120.0
REFRESH_S = 0.25
STATE_LINE_S = 5.0
ONLINE_S = 60.0
# A farewell takes what the hub needs to answer; a tour that has not ended by then never will
TOUR_S = 90.0

# Ordinary settings, in the pace of a demonstration. Weather that passes 120 times as fast moves
# the rooms by itself, which is no reason for the alarm "warming while off".
SETTINGS: dict[str, Any] = {
    "control": {
        "sample_period_ms": 500,
        "tick_ms": 500,
        "minimum_on_s": 3,
        "minimum_off_s": 3,
        "warming_rise_c": 10.0,
    },
    "telemetry": {
        "zone_period_s": 2,
        "zone_delta_c": 0.05,
        "zone_least_s": 1,
        "working_set_period_s": 10,
        "stats_period_s": 1,
    },
}
COUNTERS = (
    "telemetry_sent",
    "telemetry_acked",
    "desired_acked",
    "desired_rejected",
    "commands_answered",
    "c2d_completed",
)


class DemoError(Problem):
    """The demonstration did not show what it promises."""


class Demo:
    """One run; `seconds` 0 lasts until Ctrl-C."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._console = Console(highlight=False)
        self._zones = {name: screen.ZoneView(name) for name in ROOMS}
        self._view = screen.View(DEVICE, "", list(self._zones.values()), speed=SPEED)
        self._stop = asyncio.Event()
        self._began = 0.0
        self._delivered = 0
        self._first_ack_s: float | None = None

    async def run(self) -> None:
        """Raises DemoError when the tour failed or a message was lost, SimulationError, and what
        the hub raises when it cannot start."""
        with self._interruptible(), tempfile.TemporaryDirectory(prefix="thermo-") as name:
            folder = Path(name)
            # What the devices' properties become is told to the graph of the building
            options = HubOptions(routes=frozenset({"twinChangeEvents"}))
            async with serving(folder / "hub", None, options) as server:
                device = self._device(server, folder / "device")
                self._began = time.monotonic()
                unsubscribe = server.hub.telemetry.subscribe(self._take_telemetry)
                try:
                    await device.start()
                    async with self._shown(server, device):
                        await self._live(server, device)
                finally:
                    await device.stop()
                    unsubscribe()
                self._refresh(server, device)
                self._summarize(device)

    # ---- the parties

    def _device(self, server: HubServer, folder: Path) -> SimulatedDevice:
        server.ensure_device(DEVICE)
        self._view.hub = server.host_name
        text = server.device_connection_string(DEVICE)
        write_configuration(folder, text, server.certificates.ca_der, SETTINGS)
        return SimulatedDevice(folder, SPEED, self._take_line)

    async def _live(self, server: HubServer, device: SimulatedDevice) -> None:
        """Take the tour, and stay until the time is over. Raises SimulationError when the device
        does not come online, or ends."""
        toured = asyncio.create_task(self._tour(server, device))
        ended = asyncio.create_task(device.wait_end())
        over = asyncio.create_task(self._wait_over(toured))
        waiting: set[asyncio.Task[None]] = {toured, ended, over}
        try:
            while not over.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (toured, ended, over):
                task.cancel()
            await asyncio.gather(toured, ended, over, return_exceptions=True)

    async def _wait_over(self, toured: asyncio.Task[None]) -> None:
        """Until Ctrl-C; with a time, until that is over and the tour taken."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({stopped}, timeout=self._seconds or None)
            await asyncio.wait({stopped, toured}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    async def _tour(self, server: HubServer, device: SimulatedDevice) -> None:
        try:
            await asyncio.wait_for(device.wait_online(), ONLINE_S)
        except asyncio.TimeoutError:
            raise SimulationError(
                f"the thermostat was not online within {ONLINE_S:.0f} s; {device.last()}"
            ) from None
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "host_tools.tour"),
            env={**os.environ, **client_environment(server, DEVICE)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C is for us; we end the tour
            start_new_session=True,
        )
        try:
            await asyncio.wait_for(self._follow_tour(process), TOUR_S)
        except asyncio.TimeoutError:
            self._say_tour("the tour did not end in time")
            self._view.tour_failed = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _follow_tour(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._say_tour(line.decode(errors="replace").rstrip())
        self._view.tour_failed = await process.wait() != 0

    # ---- what comes in

    def _take_telemetry(self, event: Event) -> None:
        if event.annotations.get("iothub-message-source") != "Telemetry":
            return
        self._delivered += 1
        if self._first_ack_s is None:
            self._first_ack_s = time.monotonic() - self._began
        zone = self._zones.get(str(event.annotations.get("dt-subject", "")))
        with contextlib.suppress(ValueError):
            content = json.loads(event.body)
            if zone is not None and "temperature" in content:
                zone.temperature = float(content["temperature"])
                zone.curve.append(zone.temperature)

    def _take_line(self, line: str) -> None:
        self._view.log.append(line)
        if not self._console.is_terminal:
            self._print(f"  device: {line}")

    def _say_tour(self, line: str) -> None:
        self._view.tour.append(line)
        if not self._console.is_terminal:
            self._print(f"  tour: {line}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)

    def _refresh(self, server: HubServer, device: SimulatedDevice) -> None:
        """Bring the view up to date with hub, simulation and device."""
        view = self._view
        twin: dict[str, Any] = {**server.hub.twins.get(DEVICE)}
        desired, reported = twin["properties"]["desired"], twin["properties"]["reported"]
        view.seconds = time.monotonic() - self._began
        view.connected = server.hub.connections.is_connected(DEVICE)
        view.model = str(twin["modelId"])
        view.desired_version = int(desired["$version"])
        view.reported_version = int(reported["$version"])
        view.counters = {name: int(device.stats.get(name, 0)) for name in COUNTERS}
        room = device.room()
        view.outside = room.get("outside_c")
        for zone, state in zip(view.zones, room.get("rooms", []), strict=False):
            zone.heating = bool(state["relay"])
            ack = reported.get(zone.name, {}).get("targetTemperature", {})
            if "value" in ack:
                zone.target = float(ack["value"])
                zone.ack = f"{ack['ac']} for v{ack['av']}"

    # ---- what goes out

    @contextlib.asynccontextmanager
    async def _shown(self, server: HubServer, device: SimulatedDevice) -> AsyncIterator[None]:
        """Show the view while the body runs."""
        terminal = self._console.is_terminal
        with Live(console=self._console, auto_refresh=False) if terminal else _no_screen() as live:
            task = asyncio.create_task(self._show(server, device, live))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _show(self, server: HubServer, device: SimulatedDevice, live: Live | None) -> None:
        next_line_s = STATE_LINE_S
        while True:
            self._refresh(server, device)
            if live is not None:
                live.update(screen.draw(self._view, *self._console.size), refresh=True)
            elif self._view.seconds >= next_line_s:
                next_line_s += STATE_LINE_S
                self._print(screen.state_line(self._view))
            await asyncio.sleep(REFRESH_S)

    def _summarize(self, device: SimulatedDevice) -> None:
        """Print the summary. Raises DemoError if something did not go as it must."""
        stats = device.stats
        summary: dict[str, Any] = {name: int(stats.get(name, 0)) for name in COUNTERS}
        sent = summary["telemetry_sent"]
        kept = int(stats.get("telemetry_dropped", 0)) + int(stats.get("telemetry_waiting", 0))
        # Of what the device took on: neither in the hub, nor waiting, nor counted as displaced
        summary["lost"] = max(0, sent - self._delivered - kept)
        summary["reconnects"] = int(stats.get("reconnects", 0))
        first = self._first_ack_s
        summary["seconds_to_first_ack"] = None if first is None else round(first, 2)
        print("summary " + json.dumps(summary), flush=True)
        if self._view.tour_failed:
            last = self._view.tour[-1] if self._view.tour else "the tour ended without a word"
            raise DemoError(f"{last}; the console of the thermostat may tell more")
        if summary["lost"]:
            raise DemoError(f"{summary['lost']} messages were lost; please report this")

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the run in order."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self._stop.set)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


@contextlib.contextmanager
def _no_screen() -> Iterator[None]:
    yield None


def demo(seconds: float) -> None:
    """Run the demonstration. Raises as `Demo.run`."""
    asyncio.run(Demo(seconds).run())
