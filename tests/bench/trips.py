"""From link up to the first acknowledged telemetry, where each round trip takes 100 ms.

A proxy between device and hub holds every byte back for half of that, and counts how often the
device begins to speak: each time, it has waited for the hub. TCP's own round trip, which no proxy
can delay, is added; name and date are apart. Both devices subscribe and read their twin first.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from host_tools.hub.server import HubServer, Ports
from host_tools.simulated_device import SimulatedDevice, write_configuration
from tests.bench.peers import azure_process
from tests.bench.proxy import Proxy
from tests.bench.rows import row
from tests.bench.sink import MQTT_PORT
from tests.integration.loopback import own_address
from tests.integration.whole import until

ROUND_TRIP_S = 0.1
ROUNDS = 3
LIMIT_S = 60.0
DEVICE = "bench"
Work = Callable[[HubServer, Path, Callable[[], bool]], Awaitable[None]]


def rows() -> list[dict[str, Any]]:
    own = [asyncio.run(_measure(_thermostat)) for _ in range(ROUNDS)]
    peer = [asyncio.run(_measure(_azure)) for _ in range(ROUNDS)]
    trips, seconds = (statistics.median(each) for each in zip(*own, strict=True))
    peer_trips, peer_seconds = (statistics.median(each) for each in zip(*peer, strict=True))
    name = "azure-iot-device"
    return [
        row("first_telemetry", trips, name, peer_trips),
        row("first_telemetry_time", round(seconds, 2), name, round(peer_seconds, 2)),
    ]


async def _measure(work: Work) -> tuple[int, float]:
    """Round trips, and seconds from SYN to PUBACK."""
    with tempfile.TemporaryDirectory() as name:
        host = own_address()
        ports = Ports(mqtt=0)
        async with HubServer(Path(name) / "hub", None, host, ports) as server:
            server.ensure_device(DEVICE)
            (door,) = (each for each in server.doors if each.name == "MQTT")
            proxy = Proxy(host, (host, door.port), ROUND_TRIP_S / 2, MQTT_PORT)
            arrived: list[float] = []

            def has_arrived() -> bool:
                telemetry = server.hub.telemetry
                if not arrived and telemetry.read(telemetry.partition_of(DEVICE)):
                    arrived.append(time.monotonic())
                return bool(arrived)

            try:
                await work(server, Path(name) / "device", has_arrived)
            finally:
                proxy.close()
    (passage,) = proxy.passages[:1]
    turns = [each for each in passage.turns if each < arrived[0]]
    return 1 + len(turns), arrived[0] - passage.began + ROUND_TRIP_S * 1.5


async def _thermostat(server: HubServer, folder: Path, has_arrived: Callable[[], bool]) -> None:
    text = server.hub.device_connection_string(DEVICE)
    write_configuration(folder, text, server.certificates.ca_der, {})
    device = SimulatedDevice(folder)
    await device.start()
    try:
        await until(has_arrived, LIMIT_S)
    finally:
        await device.stop()


async def _azure(server: HubServer, folder: Path, has_arrived: Callable[[], bool]) -> None:
    text = server.hub.device_connection_string(DEVICE)
    async with azure_process(text, server.certificates.ca_bundle, "first"):
        await until(has_arrived, LIMIT_S)
