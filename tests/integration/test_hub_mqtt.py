"""Microsoft's unmodified device SDK against the local hub: real TLS, real sockets.

The SDK knows only port 8883, so each test has a loopback address of its own.
"""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
from loopback import own_address

from host_tools.hub.server import HubServer, Ports
from host_tools.hub.state.c2d import Message

SCRIPTS = Path(__file__).parent / "azure_scripts"
MODEL = "dtmi:com:example:Thermostat;1"
PATIENCE_S = 30
both_clients = pytest.mark.parametrize("script", ["device_sync.py", "device_async.py"])


@pytest.fixture
def address():
    return own_address()


@pytest.fixture
def run(tmp_path, address):
    """Run `scenario(server)` with a hub whose state is in a file."""

    def run_scenario(scenario, **settings):
        async def whole():
            async with make_server(tmp_path, address, **settings) as server:
                server.ensure_device("dev1")
                await scenario(server)

        asyncio.run(asyncio.wait_for(whole(), 100))

    return run_scenario


def make_server(folder, address, **settings):
    ports = Ports(https=0)
    return HubServer(folder / "w", folder / "state", address, ports, **settings)


class Device:
    """The script's process: what it tells, and what it is told to do."""

    def __init__(self, process):
        self._process = process
        self.seen = []

    async def expect(self, event):
        """Wait for the next such event; others stay in `seen`."""
        while True:
            line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE_S)
            assert line, f"the device ended before {event!r}; seen: {self.seen}"
            name, value = json.loads(line)
            self.seen.append((name, value))
            if name == event:
                return value

    async def do(self, word, value, event):
        self._process.stdin.write(f"{word} {json.dumps(value)}\n".encode())
        return await self.expect(event)


@contextlib.asynccontextmanager
async def device(server, script, connection_string=None, bundle=None, **options):
    environment = {
        **os.environ,
        "SSL_CERT_FILE": str(bundle or server.certificates.ca_bundle),
        "IOTHUB_DEVICE_CONNECTION_STRING": connection_string
        or server.device_connection_string("dev1"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, SCRIPTS / script, json.dumps(options)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    found = Device(process)
    try:
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(condition):
    for _ in range(PATIENCE_S * 50):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def events_of(server):
    return [
        e
        for part in range(server.hub.telemetry.partitions)
        for e in server.hub.telemetry.read(part)
    ]


@both_clients
def test_all_that_a_device_does(run, script):
    async def scenario(server):
        hub = server.hub
        hub.c2d.send("dev1", Message(b"queued", message_id="q", properties={"p q": "1+1"}))
        async with device(server, script, product_info=MODEL) as dev1:
            await dev1.expect("ready")
            assert hub.twins.model_id("dev1") == MODEL
            await check_telemetry(hub, server, dev1)
            await check_twin(hub, dev1)
            await check_method(hub, dev1)
            await check_messages(hub, dev1)
            await dev1.do("quit", None, "over")
            await until(lambda: not hub.connections.is_connected("dev1"))

    async def check_telemetry(hub, server, dev1):
        await dev1.do("send", ['{"t": 20.5}', {"a b": "c&d=é", "$.sub": "thermostat1"}], "sent")
        await dev1.do("send", ["x" * 200_000, {}], "sent")
        first, second = events_of(server)
        assert first.body == b'{"t": 20.5}'
        assert first.system["message-id"] == "m-1"
        assert first.system["content-type"] == "application/json"
        assert first.properties == {"a b": "c&d=é"}
        assert first.annotations["dt-subject"] == "thermostat1"
        assert first.annotations["dt-dataschema"] == MODEL
        assert len(second.body) == 200_000

    async def check_twin(hub, dev1):
        hub.twins.update_desired("dev1", {"properties": {"desired": {"target": 21}}})
        twin = await dev1.do("twin", None, "twin")
        assert twin["desired"]["target"] == 21
        assert set(twin["reported"]) == {"$version"}
        await dev1.do("report", {"target": {"value": 21, "ac": 200, "av": 2}}, "reported")
        assert hub.twins.device_view("dev1")["reported"]["target"]["ac"] == 200
        assert "status 400" in await dev1.do("report", {"a.b": 1}, "refused")
        hub.twins.update_desired("dev1", {"properties": {"desired": {"target": None, "ü": "é"}}})
        patch = await dev1.expect("desired")
        version = hub.twins.device_view("dev1")["desired"]["$version"]
        assert patch == {"target": None, "ü": "é", "$version": version}

    async def check_method(hub, dev1):
        for payload in ({"x": [1, None]}, None, "2026-01-01T00:00:00Z"):
            result = await hub.methods.invoke("dev1", "thermostat1*getMaxMinReport", payload, 20)
            assert (result.status, result.payload) == (203, {"heard": payload})
            assert await dev1.expect("method") == ["thermostat1*getMaxMinReport", payload]

    async def check_messages(hub, dev1):
        message = Message(b"live", content_type="text/plain", ack="full", properties={"n": ""})
        hub.c2d.send("dev1", message)
        await until(lambda: not hub.c2d.count("dev1"))
        if not any(name == "message" and value[0] == "live" for name, value in dev1.seen):
            while (await dev1.expect("message"))[0] != "live":
                pass
        texts = {value[0]: value for name, value in dev1.seen if name == "message"}
        assert texts["queued"][1:] == [{"p q": "1+1"}, {"id": "q", "type": None, "ack": "none"}]
        live = {"id": message.message_id, "type": "text/plain", "ack": "full"}
        assert texts["live"][1:] == [{"n": ""}, live]

    run(scenario)


@both_clients
def test_renewal_of_the_token_keeps_subscriptions(run, script, caplog):
    caplog.set_level("INFO")

    async def scenario(server):
        # The SDK renews 120 s before the end: here after 4 s.
        async with device(server, script, sastoken_ttl=124) as dev1:
            await dev1.expect("ready")
            await until(lambda: caplog.text.count("dev1: connected") >= 2)
            await until(lambda: server.hub.connections.is_connected("dev1"))
            result = await server.hub.methods.invoke("dev1", "again", 1, 20, 20)
            assert result.status == 203
            server.hub.c2d.send("dev1", Message(b"after"))
            await until(lambda: not server.hub.c2d.count("dev1"))

    run(scenario)


@both_clients
def test_a_restart_of_the_hub_is_survived(run, script, tmp_path, address):
    async def scenario(server):
        options = {"connection_retry_interval": 1, "product_info": MODEL}
        async with device(server, script, **options) as dev1:
            await dev1.expect("ready")
            await dev1.do("report", {"before": 1}, "reported")
            await server.stop()
            assert await dev1.expect("connection") is False
            async with make_server(tmp_path, address) as second:
                assert await dev1.expect("connection") is True
                result = await second.hub.methods.invoke("dev1", "again", 1, 20, 20)
                assert result.status == 203
                assert (await dev1.do("twin", None, "twin"))["reported"]["before"] == 1
                second.hub.twins.update_desired("dev1", {"properties": {"desired": {"a": 1}}})
                assert (await dev1.expect("desired"))["a"] == 1

    run(scenario)


@both_clients
def test_wrong_key_and_unknown_device_are_refused(run, script, caplog):
    caplog.set_level("INFO")

    async def scenario(server):
        right = server.device_connection_string("dev1")
        wrong_key = right.replace("SharedAccessKey=", "SharedAccessKey=AAAA")
        unknown = right.replace("DeviceId=dev1", "DeviceId=dev2")
        for text in (wrong_key, unknown):
            async with device(server, script, text) as dev1:
                assert "CredentialError" in await dev1.expect("failed")
        assert caplog.text.count("refused: device 'dev") == 2

    run(scenario)


def test_a_client_without_the_ca_refuses_the_hub(run, caplog):
    caplog.set_level("INFO")

    async def scenario(server):
        import certifi

        async with device(server, "device_sync.py", bundle=certifi.where()) as dev1:
            assert "TlsExchangeAuthError" in await dev1.expect("failed")
        assert "does not trust the hub's CA" in caplog.text
        assert "connected" not in caplog.text

    run(scenario)


def test_through_a_gateway_under_the_name_of_another_hub(run):
    async def scenario(server):
        text = server.device_connection_string("dev1")
        assert "HostName=contoso.azure-devices.net;DeviceId=dev1;" in text
        assert text.endswith(f";GatewayHostName={server.host}")
        async with device(server, "device_sync.py") as dev1:
            await dev1.expect("ready")
            await dev1.do("send", ["x", {}], "sent")

    run(scenario, host_name="contoso.azure-devices.net")
