"""As many thermostats as this machine carries, at one hub for a minute: nothing may be lost.

Each is two processes, firmware and house. They come in batches, until one takes too long to be
online, or there are FLEET of them (environment, default 30).
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from host_tools.hub.server import HubServer
from host_tools.simulated_device import SimulatedDevice, parts, write_configuration
from tests.bench.rows import row
from tests.integration.loopback import own_address

MOST = int(os.environ.get("FLEET", "30"))
BATCH = 10
# A batch that comes online no sooner than this is the last
SLOW_S = 20.0
LIMIT_S = 120.0
DURATION_S = 60.0
PACE = {"telemetry": {"zone_period_s": 2, "zone_least_s": 2, "working_set_period_s": 2}}


def rows() -> list[dict[str, Any]]:
    devices, messages, lost = asyncio.run(_run())
    return [
        row("fleet", devices),
        row("fleet_messages", messages),
        row("fleet_lost", lost),
    ]


async def _run() -> tuple[int, int, int]:
    """Devices, messages that they made, and how many of these the hub does not have."""
    with tempfile.TemporaryDirectory() as name:
        async with HubServer(Path(name) / "hub", None, own_address()) as server:
            fleet: list[SimulatedDevice] = []
            try:
                while len(fleet) < MOST and await _join(fleet, server, Path(name)) < SLOW_S:
                    pass
                await asyncio.sleep(DURATION_S)
            finally:
                await asyncio.gather(*(device.stop() for device in fleet))
            made = sum(device.stats["telemetry_sent"] for device in fleet)
            return len(fleet), made, made - _received(server, len(fleet))


async def _join(fleet: list[SimulatedDevice], server: HubServer, folder: Path) -> float:
    """One batch more; the seconds until all of it is online."""
    began, batch = time.monotonic(), []
    for number in range(len(fleet), len(fleet) + BATCH):
        name = _name(number)
        server.ensure_device(name)
        text = server.device_connection_string(name)
        write_configuration(folder / name, text, server.certificates.ca_der, PACE)
        batch.append(SimulatedDevice(folder / name, device_parts=parts()))
    for device in batch:
        fleet.append(device)
        await device.start()
    online = asyncio.gather(*(device.wait_online() for device in batch))
    await asyncio.wait_for(online, LIMIT_S)
    return time.monotonic() - began


def _name(number: int) -> str:
    return f"fleet{number}"


def _received(server: HubServer, devices: int) -> int:
    """Messages of the fleet that the hub holds. Raises AssertionError for one that is none."""
    telemetry, names = server.hub.telemetry, {_name(number) for number in range(devices)}
    count = 0
    for partition in {telemetry.partition_of(name) for name in names}:
        count_of_all = telemetry.last_sequence_number(partition) + 1
        for event in telemetry.read(partition, limit=count_of_all):
            assert set(json.loads(event.body)) <= {"temperature", "workingSet"}
            count += 1
    return count
