"""`thermo hub start` as a process: what it prints, how it ends, what stays."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest
from doubles import mqtt_bytes as client
from doubles.mqtt_raw_client import RawClient
from started_hub import ROOT, connect, hub_start

from host_tools.hub.listeners import HANDSHAKE_S
from host_tools.hub.server import HubServer, Ports
from host_tools.hub.server_error import ServerError
from host_tools.hub.state.c2d import Message
from host_tools.hub.storage import Storage
from host_tools.hub.wire.sas import build_token

ANY_PORTS = ("--mqtt-port", "0", "--https-port", "0", "--amqp-port", "0")
ANY = Ports(0, 0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_is_needed_and_ends_without_a_trace(tmp_path, number):
    with hub_start(tmp_path, *ANY_PORTS, "--device", "dev1") as started:
        device = started.variable("IOTHUB_DEVICE_CONNECTION_STRING")
        bundle, port = started.variable("SSL_CERT_FILE"), started.port("MQTT")
        service = started.variable("IOTHUB_CONNECTION_STRING")
        assert service.startswith(f"HostName=localhost:{started.port('HTTPS')};")
        assert started.variable("IOTHUB_DEVICE_ID") == "dev1"

        async def scenario():
            dev1, code, token = await connect(port, bundle, device)
            assert code == (0, 0)
            await dev1.publish("devices/dev1/messages/events/")
            wrong = device.replace("SharedAccessKey=", "SharedAccessKey=AAAA")
            other, code, _ = await connect(port, bundle, wrong)
            assert code == (0, 5)
            other.close()
            begin = time.monotonic()
            err = await asyncio.to_thread(started.end, number)
            assert time.monotonic() - begin < 5
            assert await dev1.is_closed()
            return err, token

        err, token = asyncio.run(scenario())
        assert started.process.returncode == 0
        assert "dev1: connected" in err
        assert err.count("refused: device 'dev1'") == 1
        assert "Traceback" not in err
        for secret in (token.partition("sig=")[2][:12], device[-20:], service[-20:], "sig="):
            assert secret not in err
    assert [path.name for path in tmp_path.iterdir()] == [".thermo"]
    socket.create_server(("127.0.0.1", port)).close()


def test_a_taken_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for option in ("--mqtt-port", "--https-port"):
            done = subprocess.run(
                [sys.executable, "-m", "host_tools.cli", "hub", "start", *ANY_PORTS, option, port],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=20,
            )
            assert done.returncode == 1
            assert done.stderr.startswith(f"thermo: port {port} on 127.0.0.1 is taken")
            assert option in done.stderr
            assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_state_file_that_is_in_use_or_none(tmp_path):
    (tmp_path / "text").write_text("no state at all, " * 100)
    with hub_start(tmp_path, *ANY_PORTS, "--state", "s"):
        for name, text in (("s", "used by another hub"), ("text", "not a state file")):
            done = subprocess.run(
                [sys.executable, "-m", "host_tools.cli", "hub", "start", *ANY_PORTS]
                + ["--state", name],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=20,
            )
            assert done.returncode == 1
            assert done.stderr.startswith("thermo: ")
            assert text in done.stderr
            assert done.stderr.count("\n") == 1


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    arguments = (*ANY_PORTS, "--state", "state", "--device", "dev1")
    events, reported = "devices/dev1/messages/events/", "$iothub/twin/PATCH/properties/reported/"

    async def before(started):
        device = started.variable("IOTHUB_DEVICE_CONNECTION_STRING")
        ca = started.variable("SSL_CERT_FILE")
        dev1, code, _ = await connect(started.port("MQTT"), ca, device)
        assert code == (0, 0)
        await dev1.subscribe(("$iothub/twin/res/#", 1))
        for number in range(1, 101):
            await dev1.publish(events, b"%d" % number, number)
        dev1.send(client.publish(f"{reported}?$rid=1", b'{"a": 1}'))
        assert "204" in (await dev1.message()).topic
        started.process.kill()

    async def after(started, device):
        ca = started.variable("SSL_CERT_FILE")
        dev1, code, _ = await connect(started.port("MQTT"), ca, device)
        assert code == (1, 0)
        dev1.send(client.publish("$iothub/twin/GET/?$rid=1"))
        assert b'"a":1' in (await dev1.message()).payload
        dev1.close()

    with hub_start(tmp_path, *arguments) as started:
        asyncio.run(before(started))
        device = started.variable("IOTHUB_DEVICE_CONNECTION_STRING")
    with hub_start(tmp_path, *arguments) as started:
        assert started.variable("IOTHUB_DEVICE_CONNECTION_STRING") == device
        asyncio.run(after(started, device))
        started.end()
    storage = Storage(tmp_path / "state")
    kept = [row.body for part in (0, 1) for row in storage.read_events(part, 0, 1000)]
    storage.close()
    assert kept == [b"%d" % number for number in range(1, 101)]
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_in_process_it_leaves_nothing_behind(tmp_path):
    async def scenario():
        server = HubServer(tmp_path / "w", host="127.0.0.1", ports=ANY)
        for _ in range(2):
            async with server:
                port = server.port("MQTT")
                server.ensure_device("dev1")
                dev1, code, _ = await connect(
                    port, server.certificates.ca_pem, server.device_connection_string("dev1")
                )
                assert code == (0, 0)
            assert await dev1.is_closed()
            assert server.doors == []
            assert asyncio.all_tasks() == {asyncio.current_task()}
            socket.create_server(("127.0.0.1", port)).close()
            dev1.close()
        await server.stop()

    asyncio.run(scenario())


def test_a_start_that_fails_leaves_nothing_open(tmp_path):
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as free:
            mqtt_port = free.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            ports = Ports(mqtt_port, 0, taken.getsockname()[1])
            with pytest.raises(ServerError, match="--https-port"):
                await HubServer(tmp_path / "w", ports=ports).start()
        (tmp_path / "bad").write_text("no state, " * 1000)
        with pytest.raises(Exception, match="not a state file"):
            await HubServer(tmp_path / "w", tmp_path / "bad", ports=Ports(mqtt_port, 0, 0)).start()
        socket.create_server(("127.0.0.1", mqtt_port)).close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_wills_are_not_sent_when_the_hub_stops(tmp_path):
    async def scenario():
        server = HubServer(tmp_path / "w", tmp_path / "state", ports=ANY)
        async with server:
            server.ensure_device("dev1")
            token = build_token(
                "localhost/devices/dev1",
                server.hub.registry.keys("dev1")[0],
                int(time.time()) + 60,
            )
            context = ssl.create_default_context(cafile=server.certificates.ca_pem)
            found = await RawClient.open(
                server.port("MQTT"), ssl=context, server_hostname="localhost"
            )
            await found.connect(
                password=token, will=("devices/dev1/messages/events/", b"gone", 1, False)
            )
        found.close()
        async with server:
            assert [server.hub.telemetry.last_sequence_number(part) for part in (0, 1)] == [-1, -1]

    asyncio.run(scenario())


def test_strangers_in_the_tls_handshake_hold_up_nobody(tmp_path):
    async def scenario():
        async with HubServer(tmp_path / "w", ports=ANY) as server:
            server.ensure_device("dev1")
            port = server.port("MQTT")
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            noisy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            for _, writer in noisy:
                writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            begin = time.monotonic()
            dev1, code, _ = await connect(
                port, server.certificates.ca_pem, server.device_connection_string("dev1")
            )
            assert code == (0, 0)
            await dev1.publish("devices/dev1/messages/events/", b"x")
            assert time.monotonic() - begin < HANDSHAKE_S / 2
            for _, writer in idle + noisy:
                writer.transport.abort()
            dev1.close()

    asyncio.run(scenario())


def test_a_queued_message_survives_a_restart(tmp_path):
    async def scenario():
        server = HubServer(tmp_path / "w", tmp_path / "state", ports=ANY)
        async with server:
            server.ensure_device("dev1")
            text = server.device_connection_string("dev1")
            dev1, _, _ = await connect(server.port("MQTT"), server.certificates.ca_pem, text)
            await dev1.subscribe(("devices/dev1/messages/devicebound/#", 1))
            dev1.close()
            await asyncio.sleep(0.1)
            server.hub.c2d.send("dev1", Message(b"m"))
        async with server:
            dev1, code, _ = await connect(server.port("MQTT"), server.certificates.ca_pem, text)
            assert code == (1, 0)
            assert (await dev1.message()).payload == b"m"
            dev1.close()

    asyncio.run(scenario())
