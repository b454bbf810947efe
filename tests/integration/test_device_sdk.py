"""azure-iot-device, unmodified: tokens of its own, renewal, the older ways to receive, a hub that
was killed. Each script runs with the asynchronous client and, without its awaits, with the other.
"""

import asyncio
import logging
import os
import signal
import textwrap
import time

import pytest
from loopback import own_address
from sdk_process import run_sdk_script
from started_hub import hub_start

from host_tools.hub.launcher import serving
from host_tools.hub.state.c2d import Message
from host_tools.hub.storage import Storage
from host_tools.hub.wire.sas import build_token

SYNC_HEAD = "from azure.iot.device import IoTHubDeviceClient\n"
AIO_HEAD = "from azure.iot.device.aio import IoTHubDeviceClient\n"
HEAD = """
import asyncio, os, sys, threading, time
from azure.iot.device import MethodResponse

TEXT = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]


async def nap(seconds):
    time.sleep(seconds) if IS_SYNC else await asyncio.sleep(seconds)

"""
# The SDK renews a token two minutes before its end
MARGIN_S = 120
both_clients = pytest.mark.parametrize("kind", ["sync", "aio"])


def program(kind, script):
    """`script` is the body of `async def main()`."""
    body = HEAD + "async def main():\n" + textwrap.indent(textwrap.dedent(script), "    ")
    if kind == "aio":
        return AIO_HEAD + "IS_SYNC = False\n" + body + "\nasyncio.run(main())\n"
    body = body.replace("await asyncio.sleep(seconds)", "None")
    body = body.replace("async def ", "def ").replace("await ", "")
    return SYNC_HEAD + "IS_SYNC = True\n" + body + "\nmain()\n"


def environment_of(server, **variables):
    return {
        **os.environ,
        "SSL_CERT_FILE": str(server.certificates.ca_bundle),
        "IOTHUB_DEVICE_CONNECTION_STRING": server.device_connection_string("dev1"),
        **variables,
    }


def run_script(folder, kind, script, during=None, **variables):
    """Returns: what it printed, and the hub's telemetry. `during(hub)` runs beside it."""

    async def run():
        async with serving(folder / "hub", None) as server:
            server.ensure_device("dev1")
            values = {name: make(server) for name, make in variables.items()}
            beside = asyncio.create_task(during(server.hub)) if during else None
            text = await run_sdk_script(program(kind, script), environment_of(server, **values))
            if beside is not None:
                await beside
            hub = server.hub
            return text, [e.body for e in hub.telemetry.read(hub.telemetry.partition_of("dev1"))]

    return asyncio.run(run())


def token(life_s):
    def make(server):
        key = server.hub.registry.keys("dev1")[0]
        resource = f"{server.host_name}/devices/dev1"
        return build_token(resource, key, int(time.time()) + life_s)

    return make


@both_clients
def test_a_token_that_somebody_else_made_is_renewed_when_it_is_asked_for(tmp_path, kind):
    text, bodies = run_script(
        tmp_path,
        kind,
        """
        client = IoTHubDeviceClient.create_from_sastoken(os.environ["FIRST"])
        asked = threading.Event()
        client.on_new_sastoken_required = asked.set
        await client.connect()
        await client.send_message("one")
        for _ in range(200):
            if asked.is_set():
                break
            await nap(0.1)
        await client.update_sastoken(os.environ["SECOND"])
        await client.send_message("two")
        print(asked.is_set(), client.connected)
        await client.shutdown()
        """,
        FIRST=token(MARGIN_S + 4),
        SECOND=token(3600),
    )
    assert text.split() == ["True", "True"]
    assert bodies == [b"one", b"two"]


@both_clients
def test_its_own_token_is_renewed_by_itself(tmp_path, kind, caplog):
    caplog.set_level(logging.INFO)
    script = """
        client = IoTHubDeviceClient.create_from_connection_string(TEXT, sastoken_ttl=124)
        await client.connect()
        for number in range(26):
            await client.send_message(str(number))
            await nap(0.25)
        await client.shutdown()
        """
    _, bodies = run_script(tmp_path, kind, script)
    assert bodies == [b"%d" % number for number in range(26)]
    connects = [r for r in caplog.records if r.getMessage().endswith("dev1: connected")]
    assert len(connects) >= 2


@both_clients
def test_a_key_and_the_older_ways_to_receive(tmp_path, kind):
    async def during(hub):
        async def online(count):
            while len(hub.connections.subscriptions("dev1")) < count:
                await asyncio.sleep(0.02)

        await online(4)
        hub.c2d.send("dev1", Message(b"hello"))
        hub.twins.update_desired("dev1", {"properties": {"desired": {"target": 22}}})
        result = await hub.methods.invoke("dev1", "reboot", {"delay": 1}, 30, 0)
        assert (result.status, result.payload) == (200, {"told": {"delay": 1}})

    text, bodies = run_script(
        tmp_path,
        kind,
        """
        fields = dict(part.split("=", 1) for part in TEXT.split(";"))
        client = IoTHubDeviceClient.create_from_symmetric_key(
            fields["SharedAccessKey"], fields["HostName"], "dev1"
        )
        if IS_SYNC:
            for receive in (
                client.receive_message,
                client.receive_twin_desired_properties_patch,
                client.receive_method_request,
            ):
                receive(block=False)
            await client.get_twin()
            message = client.receive_message(timeout=20)
            patch = client.receive_twin_desired_properties_patch(timeout=20)
            request = client.receive_method_request(timeout=20)
        else:
            message, patch, request, _ = await asyncio.gather(
                client.receive_message(),
                client.receive_twin_desired_properties_patch(),
                client.receive_method_request(),
                client.get_twin(),
            )
        print(message.data, patch["target"], request.name)
        answer = MethodResponse.create_from_method_request(request, 200, {"told": request.payload})
        await client.send_method_response(answer)
        await client.disconnect()
        print(client.connected)
        await client.send_message("back")
        print(client.connected)
        await client.shutdown()
        """,
        during,
    )
    assert text.split() == ["b'hello'", "22", "reboot", "False", "True"]
    assert bodies == [b"back"]


@both_clients
def test_it_comes_back_to_a_hub_that_was_killed(tmp_path, kind):
    """All that `send_message` returned for is there, in order."""
    address = own_address()
    arguments = ("--host", address, "--state", "state", "--device", "dev1", "--quiet")
    script = """
        client = IoTHubDeviceClient.create_from_connection_string(
            TEXT, connection_retry_interval=1, keep_alive=5
        )
        changes, errors = [], []
        client.on_connection_state_change = lambda: changes.append(client.connected)
        client.on_background_exception = errors.append
        await client.connect()
        count = 0
        end = time.monotonic() + 40
        while changes.count(True) < 2:
            assert time.monotonic() < end, (changes, errors)
            try:
                await client.send_message(str(count))
            except Exception:
                await nap(0.1)
                continue
            count += 1
            await nap(0.02)
        await client.send_message("end")
        print(changes.count(True), count)
        await client.shutdown()
        """

    async def run():
        with hub_start(tmp_path, *arguments) as started:
            environment = {
                **os.environ,
                "SSL_CERT_FILE": started.variable("SSL_CERT_FILE"),
                "IOTHUB_DEVICE_CONNECTION_STRING": started.variable(
                    "IOTHUB_DEVICE_CONNECTION_STRING"
                ),
            }
            device = asyncio.create_task(run_sdk_script(program(kind, script), environment))
            await asyncio.sleep(2)
            started.process.send_signal(signal.SIGKILL)
        with hub_start(tmp_path, *arguments) as started:
            text = await device
            started.end()
        return text

    connects, count = map(int, asyncio.run(run()).split())
    assert connects == 2
    assert count > 0
    storage = Storage(tmp_path / "state")
    rows = [row.body for part in (0, 1) for row in storage.read_events(part, 0, 1 << 20)]
    storage.close()
    # What is sent again, for want of an answer, may have been taken twice
    assert list(dict.fromkeys(rows)) == [*(b"%d" % number for number in range(count)), b"end"]
