"""MQTT and AMQP through WebSockets over TLS, from a client that cuts the stream where it likes."""

import asyncio
import ssl
import time

import aiohttp
import pytest
from doubles import mqtt_bytes
from loopback import own_address

from host_tools.hub.server import HubServer, Ports
from host_tools.hub.wire.sas import build_token

MQTT = ("/$iothub/websocket", "mqtt")
AMQP = ("/$servicebus/websocket", "AMQPWSB10")
AMQP_SASL = b"AMQP\x03\x01\x00\x00"
PATIENCE_S = 20


@pytest.fixture
def run(tmp_path):
    """Run `scenario(server, open_socket)`."""

    def run_scenario(scenario):
        async def whole():
            server = HubServer(tmp_path, None, own_address(), Ports(mqtt=0, https=0))
            async with server, aiohttp.ClientSession() as session:
                server.ensure_device("dev1")
                trust = ssl.create_default_context(cafile=server.certificates.ca_pem)
                base = f"https://{server.host}:{server.port('HTTPS')}"

                def open_socket(path, protocol, **options):
                    return session.ws_connect(
                        base + path, protocols=(protocol,), ssl=trust, **options
                    )

                await scenario(server, open_socket)

        asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))

    return run_scenario


def connect_packet(server):
    key = server.hub.registry.keys("dev1")[0]
    resource = f"{server.host_name}/devices/dev1"
    return mqtt_bytes.connect(
        username=f"{server.host_name}/dev1/?api-version=2021-04-12",
        password=build_token(resource, key, int(time.time()) + 600),
    )


async def receive(socket, size):
    """At least `size` bytes, in however many frames."""
    data = b""
    while len(data) < size:
        message = await socket.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.BINARY, message
        data += message.data
    return data


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_mqtt_in_frames_of_any_size(run, piece):
    async def scenario(server, open_socket):
        async with open_socket(*MQTT) as socket:
            topic = "devices/dev1/messages/events/"
            stream = connect_packet(server) + mqtt_bytes.publish(topic, b"x" * 999, 1, 5)
            for at in range(0, len(stream), piece):
                await socket.send_bytes(stream[at : at + piece])
            assert await receive(socket, 8) == b"\x20\x02\x00\x00" + b"\x40\x02\x00\x05"
            assert server.hub.connections.is_connected("dev1")
        telemetry = server.hub.telemetry
        (event,) = telemetry.read(telemetry.partition_of("dev1"))
        assert event.body == b"x" * 999
        while server.hub.connections.is_connected("dev1"):
            await asyncio.sleep(0.01)

    run(scenario)


def test_many_messages_both_ways_at_the_pace_of_the_slower(run):
    async def scenario(server, open_socket):
        async with open_socket(*MQTT) as socket:
            await socket.send_bytes(connect_packet(server))
            await receive(socket, 4)
            topic, count = "devices/dev1/messages/events/", 300
            body = b"y" * 20_000
            packets = [mqtt_bytes.publish(topic, body, 1, each) for each in range(1, count + 1)]
            await socket.send_bytes(b"".join(packets[:40]))
            for packet in packets[40:]:
                await socket.send_bytes(packet)
            answers = await receive(socket, 4 * count)
            assert answers == b"".join(mqtt_bytes.puback(each) for each in range(1, count + 1))

    run(scenario)


@pytest.mark.parametrize("path", [AMQP[0], AMQP[0] + "/", MQTT[0]])
def test_amqp_by_its_subprotocol_on_every_path(run, path):
    async def scenario(server, open_socket):
        async with open_socket(path, AMQP[1]) as socket:
            await socket.send_bytes(AMQP_SASL)
            answer = b""
            while b"MSSBCBS" not in answer:
                answer += await receive(socket, 1)
            assert answer.startswith(AMQP_SASL)

    run(scenario)


def test_what_is_no_such_client_is_sent_away(run):
    async def scenario(server, open_socket):
        async with open_socket(MQTT[0], "chat") as socket:
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with open_socket(*MQTT) as socket:
            await socket.send_str("text")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with open_socket(*MQTT) as socket:
            await socket.send_bytes(b"\xf0\x00")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with open_socket(*MQTT, max_msg_size=0) as socket:
            await socket.send_bytes(b"\x10" * (2 * 1024 * 1024))
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        trust = ssl.create_default_context(cafile=server.certificates.ca_pem)
        address = f"https://{server.host}:{server.port('HTTPS')}{MQTT[0]}"
        async with aiohttp.ClientSession() as session, session.get(address, ssl=trust) as answer:
            assert answer.status == 400
        # And the hub is as it was
        async with open_socket(*MQTT) as socket:
            await socket.send_bytes(connect_packet(server))
            assert await receive(socket, 4) == b"\x20\x02\x00\x00"

    run(scenario)


def test_the_hub_stops_while_clients_are_there(tmp_path):
    async def whole():
        server = HubServer(tmp_path, None, own_address(), Ports(mqtt=0, https=0))
        await server.start()
        server.ensure_device("dev1")
        trust = ssl.create_default_context(cafile=server.certificates.ca_pem)
        address = f"https://{server.host}:{server.port('HTTPS')}{MQTT[0]}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, protocols=("mqtt",), ssl=trust) as socket,
        ):
            await socket.send_bytes(connect_packet(server))
            await receive(socket, 4)
            began = time.monotonic()
            await server.stop()
            assert time.monotonic() - began < 8
            assert (await socket.receive()).type is not aiohttp.WSMsgType.BINARY

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))
