"""The local hub under load: how soon it serves, how much it takes in, what it costs in memory.

The hub is a process of its own, `thermo hub start` as anybody starts it; the load comes from this
process, over real TLS, from clients that only do what has to be done. All rates are of loopback
on one machine which both share, and so say nothing of a network.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import os
import signal
import ssl
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage
from host_tools.hub.wire.sas import build_token
from tests.bench.rows import row
from tests.integration.loopback import own_address
from tests.unit.doubles import mqtt_bytes

ROOT = Path(__file__).resolve().parents[2]
DEVICES = 1000
SENDERS = 50
MESSAGES = 1000
# Out at once on each connection
WINDOW = 50
CALLS = 500
TWINS = 10_000
QUERIES = 9
STARTS = 5
LIMIT_S = 120.0
TOKEN_LIFE_S = 3600
API = "?api-version=2021-04-12"


def rows() -> list[dict[str, Any]]:
    ready_s = statistics.median(asyncio.run(_start()) for _ in range(STARTS))
    rate = asyncio.run(_telemetry())
    memory_mb, method_ms = asyncio.run(_fleet())
    return [
        row("hub_ready", round(ready_s, 2)),
        row("hub_messages", round(rate)),
        row("hub_memory", round(memory_mb)),
        row("hub_method_p99", round(method_ms, 1)),
        row("hub_tag_query", round(asyncio.run(_tag_query()), 1)),
    ]


class Started:
    """A hub with devices dev0, dev1 …"""

    def __init__(self, folder: Path, devices: int) -> None:
        self.state = folder / "state"
        self.host = own_address()
        self.ca = folder / ".thermo"
        storage = Storage(self.state)
        hub = Hub(self.host, storage)
        for number in range(devices):
            hub.registry.create({"deviceId": f"dev{number}"})
        self.keys = [hub.registry.keys(f"dev{number}")[0] for number in range(devices)]
        self._policy = hub.policies.get("iothubowner")
        storage.close()
        self._folder = folder

    async def start(self) -> None:
        """Return once it says that it is ready."""
        command = [sys.executable, "-m", "host_tools.cli", "hub", "start", "--quiet"]
        options = ["--host", self.host, "--state", str(self.state), "--device", "dev0"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        # As a user starts it: what it imports has been compiled by an earlier start
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = await asyncio.create_subprocess_exec(
            *command,
            *options,
            cwd=self._folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.text = ""
        while "Ready." not in self.text:
            line = await asyncio.wait_for(self.process.stdout.readline(), LIMIT_S)
            assert line, "the hub has ended"
            self.text += line.decode()

    async def stop(self) -> None:
        """Once or more often."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self.process.communicate(), LIMIT_S)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca / "ca.pem"))

    def memory_mb(self) -> float:
        """Resident, as the kernel counts it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def service(self) -> ClientSession:
        """HTTPS as the owner."""
        assert self._policy is not None
        key, expiry_s = base64.b64decode(self._policy.primary_key), int(time.time()) + TOKEN_LIFE_S
        token = build_token(self.host, key, expiry_s, "iothubowner")
        return self.session({"Authorization": token})

    def session(self, headers: dict[str, str]) -> ClientSession:
        connector = TCPConnector(ssl=self.context())
        return ClientSession(f"https://{self.host}:8443", headers=headers, connector=connector)


@contextlib.asynccontextmanager
async def _hub(devices: int) -> AsyncIterator[Started]:
    with tempfile.TemporaryDirectory() as folder:
        hub = Started(Path(folder), devices)
        await hub.start()
        try:
            yield hub
        finally:
            await hub.stop()


async def _start() -> float:
    """From the command to the line that says ready, certificates made before, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        hub = Started(Path(folder), 1)
        await hub.start()
        await hub.stop()
        began = time.monotonic()
        await hub.start()
        ready_s = time.monotonic() - began
        await hub.stop()
        return ready_s


# ---- devices


class _Device:
    """An MQTT client of few words: what it waits for, it counts."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, hub: Started, number: int, context: ssl.SSLContext) -> _Device:
        name = f"dev{number}"
        streams = await asyncio.open_connection(
            hub.host, 8883, ssl=context, server_hostname=hub.host
        )
        found = cls(*streams)
        expiry_s = int(time.time()) + TOKEN_LIFE_S
        token = build_token(f"{hub.host}/devices/{name}", hub.keys[number], expiry_s)
        found._writer.write(
            mqtt_bytes.connect(name, f"{hub.host}/{name}/{API}", token, keep_alive=1000)
        )
        assert await found._packet() == (0x20, b"\0\0")
        return found

    async def _packet(self) -> tuple[int, bytes]:
        kind = (await self._reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, await self._reader.readexactly(length)

    async def publish(self, topic: str, count: int) -> None:
        """QoS 1, numbered bodies, WINDOW out at a time; return when all are acknowledged."""
        sent = acked = 0
        while acked < count:
            burst = min(WINDOW - (sent - acked), count - sent)
            packets = (
                mqtt_bytes.publish(topic, b"%d" % number, 1, number % 65535 + 1)
                for number in range(sent, sent + burst)
            )
            self._writer.write(b"".join(packets))
            sent += burst
            # PUBACKs, four bytes each, come many at a time
            while sent - acked > WINDOW // 2 or (sent == count and acked < count):
                await self._reader.readexactly(4)
                acked += 1

    async def answer_methods(self) -> None:
        """With 200, until cancelled."""
        self._writer.write(mqtt_bytes.subscribe(1, ("$iothub/methods/POST/#", 0)))
        assert (await self._packet())[0] == 0x90
        while True:
            kind, body = await self._packet()
            assert kind & 0xF0 == 0x30
            (size,) = struct.unpack(">H", body[:2])
            request_id = body[2 : 2 + size].decode().rpartition("$rid=")[2]
            self._writer.write(
                mqtt_bytes.publish(f"$iothub/methods/res/200/?$rid={request_id}", b"{}")
            )

    def close(self) -> None:
        self._writer.transport.abort()


async def _connected(hub: Started, count: int) -> list[_Device]:
    context, found = hub.context(), []
    for first in range(0, count, SENDERS):
        numbers = range(first, min(first + SENDERS, count))
        found += await asyncio.gather(*(_Device.connect(hub, n, context) for n in numbers))
    return found


# ---- figures


async def _telemetry() -> float:
    """Messages a second taken in and acknowledged, and read back whole and in order."""
    async with _hub(SENDERS) as hub:
        devices = await _connected(hub, SENDERS)
        gc.collect()
        began = time.monotonic()
        publishing = (
            device.publish(f"devices/dev{number}/messages/events/", MESSAGES)
            for number, device in enumerate(devices)
        )
        await asyncio.wait_for(asyncio.gather(*publishing), LIMIT_S)
        seconds = time.monotonic() - began
        for device in devices:
            device.close()
        await hub.stop()
        _check(hub.state)
    return SENDERS * MESSAGES / seconds


def _check(state: Path) -> None:
    """Raises AssertionError unless each device's messages are there, once and in order."""
    storage = Storage(state)
    found: dict[str, list[int]] = {}
    for partition in storage.sequence_ranges():
        for event in storage.read_events(partition, 0, SENDERS * MESSAGES):
            assert isinstance(event.head, dict)
            found.setdefault(str(event.head["device_id"]), []).append(int(event.body))
    storage.close()
    assert len(found) == SENDERS
    assert all(numbers == list(range(MESSAGES)) for numbers in found.values())


async def _fleet() -> tuple[float, float]:
    """MB with DEVICES connected; p99 of a method call in ms while they all are."""
    async with _hub(DEVICES) as hub:
        devices = await _connected(hub, DEVICES)
        answering = [asyncio.create_task(device.answer_methods()) for device in devices]
        memory_mb = hub.memory_mb()
        async with hub.service() as service:
            times = []
            for number in range(CALLS):
                began = time.monotonic()
                await _call(service, f"dev{number * 7 % DEVICES}")
                times.append(time.monotonic() - began)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        for device in devices:
            device.close()
    return memory_mb, statistics.quantiles(times, n=100)[98] * 1000


async def _call(service: ClientSession, device_id: str) -> None:
    body = {"methodName": "reboot", "payload": 1, "responseTimeoutInSeconds": 30}
    async with service.post(f"/twins/{device_id}/methods{API}", json=body) as answer:
        assert (await answer.json())["status"] == 200


async def _tag_query() -> float:
    """Median ms of a query by a tag over TWINS devices, of which a hundredth has it."""
    with tempfile.TemporaryDirectory() as folder:
        hub = Started(Path(folder), 1)
        _make_twins(hub.state)
        await hub.start()
        try:
            async with hub.service() as service:
                times = []
                for number in range(QUERIES):
                    began = time.monotonic()
                    await _query(service, number)
                    times.append(time.monotonic() - began)
        finally:
            await hub.stop()
    return statistics.median(times) * 1000


def _make_twins(state: Path) -> None:
    storage = Storage(state)
    hub = Hub("localhost", storage)
    for number in range(TWINS):
        hub.registry.create({"deviceId": f"room{number}"})
        tags: dict[str, Any] = {"floor": number % 100, "building": "north"}
        hub.twins.update_desired(f"room{number}", {"tags": tags}, None)
    storage.close()


async def _query(service: ClientSession, floor: int) -> None:
    query = {"query": f"SELECT * FROM devices WHERE tags.floor = {floor}"}
    async with service.post(f"/devices/query{API}", json=query) as answer:
        assert answer.status == 200, await answer.text()
        assert len(json.loads(await answer.read())) == TWINS // 100
