"""IoTHubModuleClient of azure-iot-device, unmodified: what a device's client does, as a module.

Each script runs with the asynchronous client and, without its awaits, with the other.
"""

import asyncio
import os
import textwrap
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from doubles.device_certificates import certificate, new_key, private
from sdk_process import run_sdk_script

from host_tools.hub.launcher import serving
from host_tools.hub.wire.sas import build_token

SYNC_HEAD = "from azure.iot.device import IoTHubModuleClient\nIS_SYNC = True\n"
AIO_HEAD = "from azure.iot.device.aio import IoTHubModuleClient\nIS_SYNC = False\n"
HEAD = """
import asyncio, os, threading, time
from azure.iot.device import Message, MethodResponse

TEXT = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]

async def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05) if IS_SYNC else await asyncio.sleep(0.05)

"""
MARGIN_S = 120  # the SDK renews a token two minutes before its end
both_clients = pytest.mark.parametrize("kind", ["sync", "aio"])


def program(kind, script):
    """`script` is the body of `async def main()`."""
    body = HEAD + "async def main():\n" + textwrap.indent(textwrap.dedent(script), "    ")
    if kind == "aio":
        return AIO_HEAD + body + "\nasyncio.run(main())\n"
    body = body.replace("await asyncio.sleep(0.05)", "None")
    return SYNC_HEAD + body.replace("async def ", "def ").replace("await ", "") + "\nmain()\n"


def token(server, life_s):
    key = server.hub.registry.keys("dev1/m1")[0]
    resource = f"{server.host_name}/devices/dev1/modules/m1"
    return build_token(resource, key, int(time.time()) + life_s)


def run_script(folder, kind, script, during=None, before=None):
    """Returns: what it printed, and the module's telemetry. `during(hub)` runs beside it."""

    async def run():
        async with serving(folder / "hub", None) as server:
            server.ensure_device("dev1")
            server.hub.registry.create({"deviceId": "dev1", "moduleId": "m1"})
            environment = {
                **os.environ,
                "SSL_CERT_FILE": str(server.certificates.ca_bundle),
                "IOTHUB_DEVICE_CONNECTION_STRING": server.device_connection_string("dev1/m1"),
                "FIRST": token(server, MARGIN_S + 2),
                "SECOND": token(server, 3600),
                "HOST": server.host_name,
                "CERTIFICATE": str(folder / "m1.pem"),
                "KEY": str(folder / "m1.key"),
            }
            if before:
                before(server.hub)
            beside = asyncio.create_task(during(server.hub)) if during else None
            text = await run_sdk_script(program(kind, script), environment)
            if beside is not None:
                await beside
            events = server.hub.telemetry.read(server.hub.telemetry.partition_of("dev1"))
            return text, [event.body for event in events]

    return asyncio.run(run())


@both_clients
def test_a_token_that_somebody_else_made(tmp_path, kind):
    _, bodies = run_script(
        tmp_path,
        kind,
        """
        client = IoTHubModuleClient.create_from_sastoken(os.environ["FIRST"])
        asked, errors, changes = threading.Event(), [], []
        client.on_new_sastoken_required = asked.set
        client.on_background_exception = errors.append
        client.on_connection_state_change = lambda: changes.append(client.connected)
        await client.connect()
        await client.send_message("one")
        await until(asked.is_set)
        await client.update_sastoken(os.environ["SECOND"])
        await client.send_message_to_output(Message("two"), "out1")
        await client.disconnect()
        await until(lambda: changes and changes[-1] is False)
        await client.shutdown()
        assert not errors, errors
        """,
    )
    assert bodies == [b"one", b"two"]


@both_clients
def test_a_certificate(tmp_path, kind):
    key = new_key()
    pem = certificate(key, "whoever")
    (tmp_path / "m1.pem").write_bytes(pem)
    (tmp_path / "m1.key").write_bytes(private(key))
    thumbprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1()).hex()

    def before(hub):
        prints = {"primaryThumbprint": thumbprint}
        authentication = {"type": "selfSigned", "x509Thumbprint": prints}
        hub.registry.update("dev1/m1", {"authentication": authentication}, None)

    _, bodies = run_script(
        tmp_path,
        kind,
        """
        from azure.iot.device import X509
        client = IoTHubModuleClient.create_from_x509_certificate(
            X509(os.environ["CERTIFICATE"], os.environ["KEY"]), os.environ["HOST"], "dev1", "m1")
        await client.connect()
        await client.send_message("by certificate")
        await client.shutdown()
        """,
        before=before,
    )
    assert bodies == [b"by certificate"]


@both_clients
def test_handlers(tmp_path, kind):
    async def during(hub):
        while len(hub.connections.subscriptions("dev1/m1")) < 4:
            await asyncio.sleep(0.02)
        hub.twins.update_desired("dev1/m1", {"properties": {"desired": {"target": 22}}})
        result = await hub.methods.invoke("dev1/m1", "blink", 5, 30, 0)
        assert (result.status, result.payload) == (201, {"heard": 5})

    run_script(
        tmp_path,
        kind,
        """
        client = IoTHubModuleClient.create_from_connection_string(TEXT)
        patches, answered = [], threading.Event()
        async def on_patch(patch):
            patches.append(patch)
        async def on_method(request):
            answer = MethodResponse.create_from_method_request(
                request, 201, {"heard": request.payload})
            await client.send_method_response(answer)
            answered.set()
        client.on_twin_desired_properties_patch_received = on_patch
        client.on_method_request_received = on_method
        client.on_message_received = on_patch
        await client.connect()
        await client.patch_twin_reported_properties({"up": True})
        twin = await client.get_twin()
        assert twin["reported"]["up"] is True
        await until(answered.is_set)
        await until(lambda: patches)
        assert patches[0]["target"] == 22
        await client.shutdown()
        """,
        during,
    )


@both_clients
def test_the_older_ways_to_receive(tmp_path, kind):
    async def during(hub):
        while len(hub.connections.subscriptions("dev1/m1")) < 3:
            await asyncio.sleep(0.02)
        hub.twins.update_desired("dev1/m1", {"properties": {"desired": {"target": 22}}})
        result = await hub.methods.invoke("dev1/m1", "blink", None, 30, 0)
        assert result.status == 200

    run_script(
        tmp_path,
        kind,
        """
        client = IoTHubModuleClient.create_from_connection_string(TEXT)
        await client.connect()
        if IS_SYNC:
            client.receive_twin_desired_properties_patch(block=False)
            client.receive_method_request(block=False)
            # Nobody sends to inputs but the modules behind an Edge gateway
            assert client.receive_message_on_input("in1", block=False) is None
            patch = client.receive_twin_desired_properties_patch(timeout=20)
            request = client.receive_method_request(timeout=20)
        else:
            nothing = asyncio.ensure_future(client.receive_message_on_input("in1"))
            patch, request = await asyncio.gather(
                client.receive_twin_desired_properties_patch(), client.receive_method_request()
            )
            assert not nothing.done()
            nothing.cancel()
        assert (patch["target"], request.name) == (22, "blink")
        answer = MethodResponse.create_from_method_request(request, 200, None)
        await client.send_method_response(answer)
        await client.shutdown()
        """,
        during,
    )
