"""`thermo hub start --expose`: what others reach is verified, encrypted and not to be guessed."""

import asyncio
import base64
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from doubles.keys import KEY, KEY_BYTES
from doubles.mqtt_raw_client import RawClient

from host_tools.credentials import CredentialError
from host_tools.hub import running
from host_tools.hub.authority import names_of
from host_tools.hub.server import HubServer, Ports, is_generated
from host_tools.hub.server_error import ServerError
from host_tools.hub.wire.sas import build_token

ADDRESS = "127.0.0.9"
ANY = Ports(0, 0, 0)


def exposed(folder, **settings):
    return HubServer(folder / "w", ports=ANY, expose=ADDRESS, **settings)


async def connect(server, address, connection_string):
    """The return code of a device's CONNECT over TLS that is verified for `address`."""
    fields = dict(part.split("=", 1) for part in connection_string.split(";"))
    host, device_id = fields["HostName"], fields["DeviceId"]
    key = base64.b64decode(fields["SharedAccessKey"])
    context = ssl.create_default_context(cafile=server.certificates.ca_pem)
    found = await RawClient.open(
        server.port("MQTT"), host=address, ssl=context, server_hostname=address
    )
    token = build_token(f"{host}/devices/{device_id}", key, int(time.time()) + 600)
    username = f"{host}/{device_id}/?api-version=2021-04-12"
    code = await found.connect(client_id=device_id, username=username, password=token)
    found.close()
    return code[1]


def test_a_device_reaches_it_at_both_addresses_by_verified_tls(tmp_path):
    async def scenario():
        async with exposed(tmp_path) as server:
            server.ensure_device("d")
            text = server.device_connection_string("d")
            assert text.startswith(f"HostName={ADDRESS};DeviceId=d;")
            assert "Gateway" not in text
            assert server.service_connection_string().startswith(f"HostName={ADDRESS}:")
            for address in (ADDRESS, "127.0.0.1"):
                assert await connect(server, address, text) == 0
            assert await connect(server, ADDRESS, text.replace("Key=", "Key=AAAA")) == 5
            pem = server.certificates.server.read_bytes()
            assert ADDRESS in names_of(x509.load_pem_x509_certificate(pem))
            return [(door.name, door.host) for door in server.doors]

    doors = asyncio.run(scenario())
    assert len(doors) == 6
    assert {door for door in doors if door[1] == ADDRESS} == {
        (name, ADDRESS) for name in ("MQTT", "HTTPS", "AMQP")
    }


def test_no_door_speaks_without_tls(tmp_path):
    async def answer(door):
        reader, writer = await asyncio.open_connection(door.host, door.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        found = await reader.read()
        writer.close()
        return found

    async def scenario():
        async with exposed(tmp_path) as server:
            return [await answer(door) for door in server.doors]

    answers = asyncio.run(scenario())
    assert len(answers) == 6
    # Nothing, or an alert: RFC 8446 section 5.1, content type 21
    assert not [found for found in answers if found and found[0] != 21]


def test_unless_exposed_others_find_nothing(tmp_path):
    async def scenario():
        async with HubServer(tmp_path / "w", ports=ANY) as server:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(ADDRESS, server.port("MQTT"))

    asyncio.run(scenario())


def test_a_state_with_a_key_from_a_book_is_refused_and_not_opened(tmp_path):
    state = tmp_path / "state"

    async def scenario():
        async with HubServer(tmp_path / "w", state, ports=ANY) as server:
            authentication = {"symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}
            server.hub.registry.create({"deviceId": "book", "authentication": authentication})
        with pytest.raises(ServerError, match=r"the device book .* not generated") as caught:
            await exposed(tmp_path, state=state).start()
        assert KEY not in str(caught.value)
        async with HubServer(tmp_path / "w", state, ports=ANY) as server:
            server.hub.registry.delete("book")
            server.ensure_device("own")
        async with exposed(tmp_path, state=state) as server:
            return await connect(server, ADDRESS, server.device_connection_string("own"))

    assert asyncio.run(scenario()) == 0


def test_what_counts_as_generated():
    import secrets

    assert all(is_generated(secrets.token_bytes(size)) for size in (32, 64) for _ in range(500))
    for key in (KEY_BYTES, bytes(32), b"password" * 4, secrets.token_bytes(16), b"ab" * 32):
        assert not is_generated(key)


def test_the_running_hub_is_found_by_its_workspace_and_then_no_more(tmp_path):
    async def scenario():
        with pytest.raises(ServerError, match="no hub runs in the workspace"):
            running.find(tmp_path / "w")
        async with exposed(tmp_path) as server:
            with running.announced(server):
                path = server.certificates.workspace / running.FILE
                assert path.stat().st_mode & 0o777 == 0o600
                found = running.find(tmp_path / "w")
                assert found.service.reveal() == server.service_connection_string()
                assert (found.host, found.mqtt_port) == (ADDRESS, server.port("MQTT"))
                assert found.exposed
                assert found.service.reveal()[-20:] not in repr(found)
                path.chmod(0o644)
                with pytest.raises(CredentialError, match="chmod 600"):
                    running.find(tmp_path / "w")
                path.write_text("{")
                path.chmod(0o600)
                with pytest.raises(CredentialError, match="damaged"):
                    running.find(tmp_path / "w")
            with running.announced(server):
                pass
        with pytest.raises(ServerError):
            running.find(tmp_path / "w")

    asyncio.run(scenario())


def test_the_command_tells_what_a_board_needs_and_leaves_no_trace_of_its_key(tmp_path):
    ports = ["--mqtt-port", "0", "--https-port", "0", "--amqp-port", "0"]
    command = [sys.executable, "-m", "host_tools.cli", "hub", "start", *ports]
    process = subprocess.Popen(
        [*command, "--expose", ADDRESS, "--device", "bedroom"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        text = ""
        while "Ready." not in text:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            text += line
        found = running.find(tmp_path / ".thermo")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert "thermo provision --hub local --device-id bedroom" in text
    assert f"HostName={ADDRESS};DeviceId=bedroom;" in text
    assert found.service.reveal() in text
    assert found.service.reveal()[-20:] not in err
    assert not (tmp_path / ".thermo" / running.FILE).exists()


def test_the_door_without_tls_is_never_exposed(tmp_path):
    async def run():
        ports = Ports(0, 0, 0, plain_amqp=0)
        async with HubServer(tmp_path / "w", ports=ports, expose=ADDRESS) as server:
            plain = [door.host for door in server.doors if door.name == "AMQP, plain"]
            assert plain == ["127.0.0.1"]
            assert {door.host for door in server.doors} == {"127.0.0.1", ADDRESS}

    asyncio.run(run())
