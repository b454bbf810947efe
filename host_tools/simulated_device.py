"""A simulated thermostat that belongs to a hub: configured, started, watched and stopped.

What it tells of itself is read from its console: the line of going online, and the `stats`
lines, each a JSON object of counters.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from host_tools.compile import compile_tree
from host_tools.hub.launcher import Order
from host_tools.hub.server import HubServer
from host_tools.simulation import Parts, SimulationError, Thermostat
from host_tools.tree import cache_folder, source_tree
from host_tools.umqtt import library

CONFIGURATION_FILE = "config.json"
ROOT_CERTIFICATE_FILE = "hub-ca.der"
# What the last lines of the console are kept for: to say why a device did not come online.
KEPT_LINES = 40
# What the launcher calls them, and their DTMIs
MODELS = {
    "TemperatureController": "dtmi:com:example:TemperatureController;1",
    "Thermostat": "dtmi:com:example:Thermostat;1",
    "HeatingController": "dtmi:thermostat_micropython:HeatingController;1",
}
# Scripts and tests that wait for telemetry, or for a device that was refused to come back, do not
# want to wait for minutes
EXEC_PACE = {
    "telemetry": {"zone_period_s": 5, "zone_least_s": 2},
    "connection": {"backoff_cap_ms": 10_000},
}
_ONLINE = " INFO iothub: online as "
_STATS = "stats "
_POLL_S = 0.05
# As the supervisor's own steps: a long leave means that the hub no longer answers
STOP_GRACE_S = 8.0


def interpreter() -> Path:
    """The unix port: MICROPYTHON, else what `make setup` or pip has installed, else one on the
    path."""
    named = os.environ.get("MICROPYTHON")
    if named:
        return Path(named).absolute()
    of_setup = source_tree() / ".venv-micropython" / "bin" / "micropython"
    of_pip = Path(sys.executable).with_name("micropython")
    on_path = shutil.which("micropython")
    found = [path for path in (of_setup, of_pip) if path.exists()]
    return found[0] if found else Path(on_path or of_setup).absolute()


def parts() -> Parts:
    """The firmware of this tree, compiled as for a board. Raises CompileError, UmqttError."""
    tree, compiled = source_tree(), cache_folder() / "mpy"
    return Parts(
        interpreter(),
        compile_tree(tree / "firmware", compiled / "firmware"),
        compile_tree(tree / "boards" / "UNIX", compiled / "UNIX"),
        compile_tree(library(), compiled / "lib"),
    )


def write_configuration(
    folder: Path, connection_string: str, ca_der: Path | None, settings: Mapping[str, Any]
) -> None:
    """Write the device's configuration, readable by its owner alone, and the hub's certificate.

    `settings` are members of the configuration besides the connection; see
    firmware/thermostat/settings.py.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"version": 1, "connection_string": connection_string, **settings}
    if ca_der is not None:
        (folder / ROOT_CERTIFICATE_FILE).write_bytes(ca_der.read_bytes())
        content["root_certificates"] = [ROOT_CERTIFICATE_FILE]
    path = folder / CONFIGURATION_FILE
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)


def simulation_environment(speed: float = 1.0) -> dict[str, str]:
    """The outside and the pace of the simulated rooms."""
    environment = {"THERMO_SPEED": str(speed)}
    outside = cache_folder() / "data" / "seattle-temps.csv"
    if outside.exists():
        environment["THERMO_OUTSIDE"] = str(outside)
    return environment


class SimulatedDevice:
    """`folder` must hold its configuration already. `on_line` sees each line of the console.

    `has_arrived`: what the hub must know of it, besides that it is online, before it counts as
    online here.
    """

    def __init__(
        self,
        folder: Path,
        speed: float = 1.0,
        on_line: Callable[[str], None] | None = None,
        device_parts: Parts | None = None,
        has_arrived: Callable[[], bool] = lambda: True,
    ) -> None:
        self.stats: dict[str, Any] = {}
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._on_line = on_line
        self._has_arrived = has_arrived
        self._online = asyncio.Event()
        self._folder = folder
        environment = simulation_environment(speed)
        self.process = Thermostat(device_parts or parts(), folder, environment, self._take_line)

    async def start(self) -> None:
        """Raises SimulationError when the interpreter cannot be started."""
        await self.process.start()

    async def wait_online(self) -> None:
        """Return once it is through with connecting. Raises SimulationError if it ends."""
        arrived = asyncio.create_task(self._arrive())
        ended = asyncio.create_task(self.wait_end())
        try:
            await asyncio.wait({arrived, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not arrived.done():
                await ended
        finally:
            for task in (arrived, ended):
                task.cancel()
            await asyncio.gather(arrived, ended, return_exceptions=True)

    async def _arrive(self) -> None:
        await self._online.wait()
        while not self._has_arrived():
            await asyncio.sleep(_POLL_S)

    async def wait_end(self) -> NoReturn:
        """Raises SimulationError once it has ended by itself."""
        try:
            code = await self.process.wait()
        except SimulationError as error:
            what, _, _ = str(error).partition(";")
        else:
            what = f"the thermostat ended by itself (exit code {code})"
        raise SimulationError(f"{what}; {self.last()}")

    def last(self) -> str:
        """What its console said last, or what to do if it said nothing."""
        if self.lines:
            return f"its last line: {self.lines[-1].strip()}"
        return "it said nothing: run `make setup`, or set MICROPYTHON to a MicroPython unix port"

    async def stop(self) -> None:
        """End it in order, or by force."""
        await self.process.stop(STOP_GRACE_S)

    def room(self) -> dict[str, Any]:
        """What the simulation knows: outside_c and rooms; {} before it has measured."""
        try:
            return dict(json.loads((self._folder / "room.json").read_text()))
        except (OSError, ValueError):
            return {}

    def _take_line(self, line: str) -> None:
        if line.startswith(_STATS):
            with contextlib.suppress(ValueError):
                self.stats = dict(json.loads(line[len(_STATS) :]))
            return
        self.lines.append(line)
        if _ONLINE in line:
            self._online.set()
        if self._on_line is not None:
            self._on_line(line)


def ordered_device(server: HubServer, order: Order) -> SimulatedDevice:
    """The thermostat that `thermo hub exec` asks for, at EXEC_PACE."""

    def has_reported() -> bool:
        """Who reads its twin first thing finds what it is, not an empty page."""
        reported = server.hub.twins.device_view(order.device_id)["reported"]
        return isinstance(reported, dict) and len(reported) > 1

    settings = {"model": MODELS[order.model], **EXEC_PACE}
    write_configuration(order.folder, order.connection_string, order.ca_der, settings)
    return SimulatedDevice(order.folder, has_arrived=has_reported)
