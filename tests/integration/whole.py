"""A hub and a thermostat for tests of the whole: each on a loopback address of its own."""

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from pathlib import Path

from host_tools.hub.server import HubServer
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage
from host_tools.simulated_device import SimulatedDevice, write_configuration

ROOT = Path(__file__).resolve().parents[2]
DEVICE = "stove-1"
# So many seconds in the rooms for each one here: temperatures move by 0.1 °C in a second
SPEED = 120.0

# A message of each zone every second, and relays that follow at once
PACE = {
    "control": {
        "sample_period_ms": 200,
        "tick_ms": 100,
        "minimum_on_s": 0,
        "minimum_off_s": 0,
        "warming_rise_c": 10.0,
    },
    "telemetry": {
        "zone_period_s": 1,
        "zone_least_s": 1,
        "working_set_period_s": 86400,
        "stats_period_s": 1,
    },
    "connection": {"backoff_base_ms": 100, "backoff_cap_ms": 1000},
}


def zones(target_c):
    """Both zones, as a configuration has them."""
    names = (("thermostat1", "sht4x", 0), ("thermostat2", "bme280", 1))
    return [
        {"name": name, "sensor": sensor, "bus": at, "relay": at, "target_c": target_c}
        for name, sensor, at in names
    ]


def own_address():
    """A loopback address that nobody else will have."""
    return "127." + ".".join(str(1 + secrets.randbelow(250)) for _ in range(3))


async def until(is_true, seconds=20.0, what=""):
    """Return once `is_true()`; fail after so many seconds, with `what()` or `what`."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, what() if callable(what) else what or "it did not happen"
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def state_of(path, host):
    """The state of a hub that does not run."""
    storage = Storage(path)
    try:
        yield Hub(host, storage, aliases=[host])
    finally:
        storage.close()


@contextlib.asynccontextmanager
async def hub_process(folder, host):
    """`hub start` as a process, once it is ready; killed as by `kill -9` in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "host_tools.cli", "hub", "start", "--quiet"),
        *("--host", host, "--state", folder / "state", "--workspace", folder / "hub"),
        *("--device", DEVICE),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async for line in process.stdout:
            if b"Ready." in line:
                break
        assert process.returncode is None, "the hub ended"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class House:
    """A thermostat in `folder`, every line that its console showed, and what became of it."""

    def __init__(self, folder, settings=None, speed=SPEED):
        self.folder = folder
        self.lines = []
        folder.mkdir(parents=True, exist_ok=True)
        if settings is not None:
            text, root, members = settings
            write_configuration(folder, text, root, members)
        self.device = SimulatedDevice(folder, speed, self.lines.append)

    async def __aenter__(self):
        await self.device.start()
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        assert not self.found("Traceback"), self.console()

    def console(self):
        return "\n".join(self.lines)

    def relays(self):
        return [room["relay"] for room in self.device.room().get("rooms", [])]

    def stat(self, name):
        return self.device.stats.get(name, 0)

    def found(self, text):
        """The lines with `text`."""
        return [line for line in self.lines if text in line]

    async def line(self, text, times=1, seconds=20.0):
        """The line with `text`, once it has come so many times."""
        await until(lambda: len(self.found(text)) >= times, seconds, self.console)
        return self.found(text)[-1]

    async def heats(self, seconds=20.0):
        """Return once the first room is heated."""
        await until(lambda: self.relays()[:1] == [True], seconds, self.console)


def cold_house(folder, temperature_c=2.0):
    """Rooms that a start finds below the frost limit."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "room_s": 0,
        "unix_ms": int(time.time() * 1000),
        "rooms": [{"temperature_c": temperature_c, "relay": False}] * 2,
    }
    (folder / "room.json").write_text(json.dumps(state))


def connected_house(server, folder, settings=PACE):
    """A thermostat that belongs to the hub `server`."""
    server.ensure_device(DEVICE)
    text = server.device_connection_string(DEVICE)
    return House(folder, (text, server.certificates.ca_der, settings))


def hub_server(folder, host, state=None):
    return HubServer(folder / "hub", state, host)


def processes_with(value):
    """Ids of the processes that have `value` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if os.fsencode(value) in path.read_bytes():
                found.append(int(path.parent.name))
    return found
