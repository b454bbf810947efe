"""How long a service waits for a command's answer while the device sends telemetry.

Firmware and azure-iot-device are at one hub at the same time, and are asked in turns. Hub, service
and both devices share this machine.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from host_tools.hub.server import HubServer
from host_tools.hub.wire.sas import build_token
from host_tools.simulated_device import SimulatedDevice, write_configuration
from tests.bench.peers import azure_process
from tests.bench.rows import row
from tests.integration.loopback import own_address
from tests.integration.whole import until

CALLS = 400
PAUSE_S = 0.01
OWN = "bench"
PEER = "peer"
LIMIT_S = 60.0
TOKEN_LIFE_S = 3600
# Two zones: two messages a second
PACE = {"telemetry": {"zone_period_s": 1, "zone_least_s": 1}}
COMMAND = {
    "methodName": "thermostat1*getMaxMinReport",
    "payload": "2026-01-01T00:00:00Z",
    "responseTimeoutInSeconds": 30,
}


def rows() -> list[dict[str, Any]]:
    own, peer = asyncio.run(_times_ms())
    found = []
    for name, at in (("command_p50", 49), ("command_p99", 98)):
        figure, beside = (statistics.quantiles(each, n=100)[at] for each in (own, peer))
        found.append(row(name, round(figure, 1), "azure-iot-device", round(beside, 1)))
    return found


async def _times_ms() -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with HubServer(folder / "hub", None, own_address()) as server:
            for each in (OWN, PEER):
                server.ensure_device(each)
            text = server.device_connection_string(OWN)
            write_configuration(folder / "device", text, server.certificates.ca_der, PACE)
            device = SimulatedDevice(folder / "device")
            await device.start()
            try:
                await asyncio.wait_for(device.wait_online(), LIMIT_S)
                text = server.device_connection_string(PEER)
                async with azure_process(text, server.certificates.ca_bundle, "serve") as peer:
                    assert peer.stdout is not None
                    assert await asyncio.wait_for(peer.stdout.readline(), LIMIT_S) == b"ready\n"
                    await _until_telemetry_of_both(server)
                    async with _service(server) as service:
                        return await _ask(service)
            finally:
                await device.stop()


async def _until_telemetry_of_both(server: HubServer) -> None:
    telemetry = server.hub.telemetry
    for each in (OWN, PEER):
        await until(lambda each=each: telemetry.read(telemetry.partition_of(each)), LIMIT_S)


async def _ask(service: ClientSession) -> tuple[list[float], list[float]]:
    times: dict[str, list[float]] = {OWN: [], PEER: []}
    for _ in range(CALLS):
        for each in (OWN, PEER):
            began = time.perf_counter()
            url = f"/twins/{each}/methods?api-version=2021-04-12"
            async with service.post(url, json=COMMAND) as answer:
                content = await answer.json()
            times[each].append((time.perf_counter() - began) * 1000)
            assert content["status"] == 200, content
            await asyncio.sleep(PAUSE_S)
    return times[OWN], times[PEER]


def _service(server: HubServer) -> ClientSession:
    policy = server.hub.policies.get("iothubowner")
    assert policy is not None
    key, expiry_s = base64.b64decode(policy.primary_key), int(time.time()) + TOKEN_LIFE_S
    (door,) = (each for each in server.doors if each.name == "HTTPS")
    context = ssl.create_default_context(cafile=str(server.certificates.ca_pem))
    return ClientSession(
        f"https://{door.host}:{door.port}",
        headers={"Authorization": build_token(server.host, key, expiry_s, "iothubowner")},
        connector=TCPConnector(ssl=context),
    )
