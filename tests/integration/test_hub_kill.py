"""kill -9 at any moment: what the hub has acknowledged is there when it is back.

Microsoft's SDK, in one process that outlives every kill, creates identities, sets desired
properties and queues messages; a device sends telemetry and reports. THERMO_KILLS is how often
the hub is killed, THERMO_SEED gives the moments of an earlier run again.
"""

import asyncio
import contextlib
import os
import random
import secrets
import subprocess
import sys
import threading
import time

import pytest
from board_setup import fresh_key
from doubles import mqtt_bytes
from loopback import own_address
from started_hub import connect, hub_start

from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage

KILLS = int(os.environ.get("THERMO_KILLS", "5"))
SEED = int(os.environ.get("THERMO_SEED", "0")) or secrets.randbelow(1 << 32)
# From the device's first word to the kill
LONGEST_LIFE_S = 0.6
# Telemetry messages that are out at once
BURST = 20
PARTITIONS = (0, 1)
TELEMETRY = "devices/dev1/messages/events/"
REPORTED = "$iothub/twin/PATCH/properties/reported/"
SERVICE = r"""
import itertools, os, sys, threading, time
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

KEY = os.environ["KEY"]


def identity(manager, number):
    manager.create_device_with_sas("new-%d" % number, KEY, KEY, "enabled")


def desired(manager, number):
    properties = TwinProperties(desired={"number": number})
    manager.update_twin("dev1", Twin(properties=properties), "*")


def message(manager, number):
    manager.send_c2d_message("dev2", str(number))


def work(act):
    manager = None
    for number in itertools.count(1):
        try:
            manager = manager or IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
            act(manager, number)
        except Exception:
            manager = None  # the hub was killed, or its queue is full
            time.sleep(0.05)
        else:
            # In one piece: the others tell, too
            os.write(1, b"%s %d\n" % (act.__name__.encode(), number))


for act in (identity, desired, message):
    threading.Thread(target=work, args=(act,), daemon=True).start()
sys.stdin.read()
os._exit(0)
"""


class Service:
    """The SDK's process, and the numbers of what it was told is done."""

    def __init__(self, variables):
        self.done = {"identity": [], "desired": [], "message": []}
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVICE],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        for line in self._process.stdout:
            name, number = line.split()
            self.done[name].append(int(number))

    def end(self):
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._thread.join()


class Device:
    """dev1; `sent` counts its messages, `acked` are those that the hub has taken."""

    def __init__(self):
        self.sent = 0
        self.acked = []
        self.reports = 0
        self.reported = 0

    async def work(self, client):
        """Until the hub is gone."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            await client.subscribe(("$iothub/twin/res/#", 1))
            while True:
                await self._telemetry(client)
                await self._report(client)

    async def _telemetry(self, client):
        first = self.sent + 1
        self.sent += BURST
        for number in range(first, first + BURST):
            client.send(mqtt_bytes.publish(TELEMETRY, b"%d" % number, 1, number % 65535 + 1))
        for number in range(first, first + BURST):
            await client.packet(4)
            self.acked.append(number)

    async def _report(self, client):
        self.reports += 1
        patch = b'{"number": %d}' % self.reports
        client.send(mqtt_bytes.publish(f"{REPORTED}?$rid={self.reports}", patch))
        assert "res/204/" in (await client.message()).topic
        self.reported = self.reports


async def live_and_die(started, address, device, life_s):
    client, code, _ = await connect(
        8883,
        started.variable("SSL_CERT_FILE"),
        started.variable("IOTHUB_DEVICE_CONNECTION_STRING"),
        address,
    )
    assert code[1] == 0
    work = asyncio.create_task(device.work(client))
    await asyncio.sleep(life_s)
    started.process.kill()
    await work
    client.close()


def look(state, device, done, queued_ever):
    """What a hub makes of the state file; the messages of dev2 are taken out of it."""
    storage = Storage(state)
    try:
        hub = Hub("localhost", storage)
        bodies = [
            int(row.body) for part in PARTITIONS for row in storage.read_events(part, 0, 1 << 30)
        ]
        # Each once, in the order in which the device sent them, and all that were acknowledged
        assert bodies == sorted(set(bodies))
        assert not set(device.acked) - set(bodies)
        twin = hub.twins.get("dev1")["properties"]
        assert twin["reported"].get("number", 0) >= device.reported
        assert twin["desired"].get("number", 0) >= max(done["desired"], default=0)
        assert not {f"new-{number}" for number in done["identity"]} - {*hub.registry.device_ids()}
        queued = []
        while (message := hub.c2d.next("dev2")) is not None:
            queued.append(int(message.body))
        assert queued == sorted(set(queued))
        # The SDK may learn of an acknowledgement only when the hub is gone
        queued_ever.update(queued)
        assert not set(done["message"]) - queued_ever
        hub.c2d.purge("dev2")
    finally:
        storage.close()


def make_devices(state):
    storage = Storage(state)
    hub = Hub("localhost", storage)
    for name in ("dev1", "dev2"):
        hub.registry.create({"deviceId": name})
    storage.close()


@pytest.mark.timeout(60 + 10 * KILLS)
def test_nothing_acknowledged_is_lost(tmp_path):
    print(f"THERMO_KILLS={KILLS} THERMO_SEED={SEED}")
    chance = random.Random(SEED)
    address, state = own_address(), tmp_path / "state"
    arguments = ("--host", address, "--state", "state", "--device", "dev1", "--quiet")
    make_devices(state)
    device, service, counted, queued_ever = Device(), None, {}, set()
    try:
        for _ in range(KILLS):
            with hub_start(tmp_path, *arguments) as started:
                if service is None:
                    names = ("IOTHUB_CONNECTION_STRING", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
                    found = {name: started.variable(name) for name in names}
                    service = Service({**found, "KEY": fresh_key()})
                    wait_for_first(service.done)
                life_s = chance.uniform(0, LONGEST_LIFE_S)
                asyncio.run(live_and_die(started, address, device, life_s))
                started.process.wait()
            # What was acknowledged before the kill has been told before long
            time.sleep(0.1)
            done, service.done = service.done, {name: [] for name in service.done}
            look(state, device, done, queued_ever)
            for name, numbers in done.items():
                counted[name] = counted.get(name, 0) + len(numbers)
    finally:
        if service is not None:
            service.end()
    print(f"acknowledged: {len(device.acked)} telemetry, {device.reported} reported, {counted}")
    assert min(len(device.acked), device.reported, *counted.values()) > 0


def wait_for_first(done, limit_s=30):
    end = time.monotonic() + limit_s
    while not all(done.values()):
        assert time.monotonic() < end, done
        time.sleep(0.05)
