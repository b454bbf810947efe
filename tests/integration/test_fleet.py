"""A fleet: enrolled, provisioned, online, and changed by jobs that count truly.

THERMO_FLEET is how many devices there are. Enrolments and jobs are made by `thermo`, in
processes of their own; the devices are MQTT clients of few words, over real TLS.
"""

import asyncio
import base64
import contextlib
import json
import os
import ssl
import subprocess
import time

import pytest
from doubles import mqtt_bytes
from doubles.mqtt_raw_client import RawClient
from loopback import own_address
from started_hub import ROOT, hub_start
from terminal import thermo

from host_tools.hub.wire.sas import build_token

DEVICES = int(os.environ.get("THERMO_FLEET", "20"))
# Handshakes at a time
AT_ONCE = 40
ANSWERS = "$dps/registrations/res/#"
# Every tenth refuses the command
STUBBORN = 10


class Fleet:
    def __init__(self, started, address):
        self._started = started
        self.address = address
        self.scope = started.variable("IOTHUB_DEVICE_DPS_ID_SCOPE")
        self.context = ssl.create_default_context(cafile=started.variable("SSL_CERT_FILE"))
        names = ("IOTHUB_CONNECTION_STRING", "DPS_CONNECTION_STRING", "SSL_CERT_FILE")
        variables = {name: started.variable(name) for name in (*names, "REQUESTS_CA_BUNDLE")}
        self._environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.assigned = []

    def thermo(self, *arguments, code=0):
        """Its output, as JSON."""
        done = subprocess.run(
            thermo(*map(str, arguments), "--json"),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout[-500:] + done.stderr[-500:]
        return json.loads(done.stdout)

    async def provision(self, name, key):
        """The hub's host and the device id that the service has assigned."""
        async with self._gate:
            client = await self._open()
        expiry_s = int(time.time()) + 600
        resource = f"{self.scope}/registrations/{name}"
        token = build_token(resource, base64.b64decode(key), expiry_s, "registration")
        username = f"{resource}/api-version=2019-03-31"
        assert await client.connect(client_id=name, username=username, password=token) == (0, 0)
        await client.subscribe((ANSWERS, 1))
        body = json.dumps({"registrationId": name, "payload": None}).encode()
        client.send(mqtt_bytes.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", body))
        begun = await client.message()
        assert "/202/" in begun.topic
        await asyncio.sleep(int(begun.topic.rpartition("retry-after=")[2]))
        operation = json.loads(begun.payload)["operationId"]
        topic = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="
        client.send(mqtt_bytes.publish(topic + operation))
        ended = json.loads((await client.message()).payload)
        client.close()
        assert ended["status"] == "assigned"
        state = ended["registrationState"]
        return state["assignedHub"], state["deviceId"]

    async def live(self, name, key, is_stubborn):
        """Come online as assigned, and answer commands until cancelled."""
        host, device_id = await self.provision(name, key)
        async with self._gate:
            client = await self._open()
        expiry_s = int(time.time()) + 3600
        token = build_token(f"{host}/devices/{device_id}", base64.b64decode(key), expiry_s)
        username = f"{host}/{device_id}/?api-version=2021-04-12"
        code = await client.connect(
            client_id=device_id, username=username, password=token, keep_alive=1000
        )
        assert code == (0, 0)
        await client.subscribe(("$iothub/methods/POST/#", 0))
        self.assigned.append(device_id)
        with contextlib.closing(client):
            while True:
                message = await client._packet(3)
                size = int.from_bytes(message.body[:2], "big")
                request_id = message.body[2 : 2 + size].decode().rpartition("$rid=")[2]
                if not is_stubborn:
                    topic = f"$iothub/methods/res/200/?$rid={request_id}"
                    client.send(mqtt_bytes.publish(topic, b"{}"))

    async def _open(self):
        return await RawClient.open(
            8883, self.address, ssl=self.context, server_hostname=self.address
        )


async def grow(fleet, keys):
    """All of them online. Returns their tasks."""
    tasks = [
        asyncio.create_task(fleet.live(name, key, number % STUBBORN == 0))
        for number, (name, key) in enumerate(keys.items())
    ]
    end = time.monotonic() + 60 + DEVICES / 5
    while len(fleet.assigned) < len(keys):
        for task in tasks:
            if task.done():
                task.result()
        assert time.monotonic() < end, len(fleet.assigned)
        await asyncio.sleep(0.05)
    return tasks


async def scenario(fleet):
    names = [f"stove-{number}" for number in range(DEVICES)]
    began = time.monotonic()
    made = await asyncio.to_thread(fleet.thermo, "dps", "create", *names, "--show-keys")
    enrolled_s = time.monotonic() - began
    keys = {each["name"]: each["primaryKey"] for each in made}
    assert list(keys) == names
    began = time.monotonic()
    tasks = await grow(fleet, keys)
    online_s = time.monotonic() - began
    assert sorted(fleet.assigned) == sorted(names)
    began = time.monotonic()
    where = "deviceId != 'thermostat'"
    twins = await asyncio.to_thread(
        *(fleet.thermo, "jobs", "set", "target=19", "tags.fleet=1", "--where", where),
        *("--wait", 120),
    )
    assert (twins["status"], twins["devices"], twins["succeeded"]) == (
        "completed",
        DEVICES,
        DEVICES,
    )
    called = await asyncio.to_thread(
        lambda: fleet.thermo(
            *("jobs", "call", "reboot", "1", "--where", "tags.fleet = 1"),
            *("--timeout", 5, "--wait", 120),
            code=3,
        )
    )
    jobs_s = time.monotonic() - began
    stubborn = len(range(0, DEVICES, STUBBORN))
    assert called["devices"] == DEVICES
    assert (called["succeeded"], called["failed"]) == (DEVICES - stubborn, stubborn)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(
        f"{DEVICES} devices: enrolled in {enrolled_s:.1f} s, provisioned and online in "
        f"{online_s:.1f} s, two jobs in {jobs_s:.1f} s, {stubborn} of them refused one"
    )


@pytest.mark.timeout(120 + DEVICES)
def test_a_fleet_comes_and_is_changed_by_jobs(tmp_path):
    address = own_address()
    with hub_start(tmp_path, "--host", address, "--state", "state", "--quiet") as started:

        async def whole():
            await scenario(Fleet(started, address))

        asyncio.run(whole())
        assert "Traceback" not in started.end()
