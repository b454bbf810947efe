"""Broken conversations at each of the hub's front ends, from hostile or broken clients.

Each begins as a valid one and is then damaged. None may raise, hang or leave anything behind,
and another client is served meanwhile. THERMO_FUZZ is how many there are for each front end.
"""

import asyncio
import base64
import contextlib
import json
import logging
import os
import random
import socket
import time
import tracemalloc

import pytest
from doubles import mqtt_bytes
from doubles.hub_in_memory import make_hub
from doubles.mqtt_raw_client import RawClient

from host_tools.hub.endpoints import amqp, mqtt
from host_tools.hub.endpoints.dps import add_provisioning
from host_tools.hub.endpoints.rest import rest_app
from host_tools.hub.listeners import serve_https
from host_tools.hub.wire.amqp_frames import AMQP_HEADER, SASL_HEADER, build_frame
from host_tools.hub.wire.amqp_message import Message, Properties, Value, build_message
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    SENDER,
    Attach,
    Begin,
    Flow,
    Open,
    SaslInit,
    Source,
    Target,
    Transfer,
)
from host_tools.hub.wire.sas import build_token

COUNT = int(os.environ.get("THERMO_FUZZ", "600"))
AT_ONCE = 20
# What a conversation may take: reading what is there, never waiting for more
PATIENCE_S = 20
ANSWER_S = 0.05
GROWTH_BYTES = 4 << 20
MQTT_EVENTS = "devices/d1/messages/events/"


def damaged(stream, chance):
    """The stream with one to four faults of any kind."""
    data = bytearray(stream)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        kind = chance.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and data:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 2:
            del data[at : at + chance.randint(1, 40)]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.randint(1, 40))
        elif kind == 4:
            other = chance.randrange(len(data)) if data else 0
            data[at:at] = data[other : other + chance.randint(1, 200)]
        else:
            del data[at:]
    return bytes(data)


def token_of(hub, path="", policy="iothubowner"):
    key = hub.policies.get(policy).primary_key
    end = int(hub.clock()) + 3600
    return build_token(f"{hub.host_name}{path}", base64.b64decode(key), end, policy)


def mqtt_stream(hub):
    key = hub.registry.keys("d1")[0]
    password = build_token(f"{hub.host_name}/devices/d1", key, int(hub.clock()) + 3600)
    username = f"{hub.host_name}/d1/?api-version=2021-04-12&model-id=dtmi%3Aa%3Bb%3B1"
    patch = "$iothub/twin/PATCH/properties/reported/?$rid=2"
    return b"".join(
        (
            mqtt_bytes.connect("d1", username, password, will=(MQTT_EVENTS, b"gone", 1, False)),
            mqtt_bytes.subscribe(1, ("$iothub/twin/res/#", 1), ("$iothub/methods/POST/#", 0)),
            mqtt_bytes.publish("$iothub/twin/GET/?$rid=1"),
            mqtt_bytes.publish(patch, b'{"a": {"b": [1, 2.5, null, true, "\xc3\xa9"]}}', 1, 2),
            mqtt_bytes.publish(MQTT_EVENTS + "%24.ct=application%2Fjson&x=y", b"{}", 1, 3),
            mqtt_bytes.publish("$iothub/methods/res/200/?$rid=9", b"{}"),
            mqtt_bytes.puback(7),
            mqtt_bytes.packet(0xC0),
        )
    )


def amqp_stream(hub):
    put_token = Message(
        body=Value(token_of(hub)),
        properties=Properties(message_id="m1"),
        application_properties={
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
            "name": f"https://{hub.host_name}",
        },
    )
    to_device = Message(properties=Properties(to="/devices/d1/messages/devicebound"))
    cbs, bound = Target("$cbs"), Target("messages/devicebound")
    events = Source(f"{hub.event_hub_name}/ConsumerGroups/$Default/Partitions/0")
    performatives = [
        (Open("fuzz"), b""),
        (Begin(incoming_window=100, outgoing_window=100), b""),
        (Attach("r", 0, RECEIVER, source=Source("$cbs"), target=Target("x")), b""),
        (Attach("s", 1, SENDER, source=Source("x"), target=cbs, initial_delivery_count=0), b""),
        (Flow(0, 100, 0, 100, 0, 0, 100), b""),
        (Transfer(1, 0, b"t0", 0, True), build_message(put_token)),
        (Attach("c", 2, SENDER, source=Source("x"), target=bound, initial_delivery_count=0), b""),
        (Transfer(2, 1, b"t1", 0), build_message(to_device)),
        (Attach("e", 3, RECEIVER, source=events, target=Target("x")), b""),
        (Flow(0, 100, 2, 100, 3, 0, 10), b""),
    ]
    frames = b"".join(build_frame(0, body, payload) for body, payload in performatives)
    sasl = SASL_HEADER.to_bytes() + build_frame(0, SaslInit("ANONYMOUS", b"", "localhost"))
    return sasl + AMQP_HEADER.to_bytes() + frames


def http_stream(hub):
    def request(verb, path, document=None):
        body = b"" if document is None else json.dumps(document).encode()
        head = f"{verb} {path}?api-version=2021-04-12 HTTP/1.1\r\nHost: {hub.host_name}\r\n"
        head += f"Authorization: {token_of(hub)}\r\nContent-Type: application/json\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    query = {"query": "SELECT deviceId, COUNT() AS n FROM devices WHERE tags.a = 'x' GROUP BY a"}
    return b"".join(
        (
            request("GET", "/twins/d1"),
            request("PATCH", "/twins/d1", {"tags": {"a": {"b": 1}}}),
            request("POST", "/devices/query", query),
            request("POST", "/devices", [{"id": "x1", "importMode": "create"}, {"id": "d1"}]),
            request("PATCH", "/digitaltwins/d1", [{"op": "add", "path": "/t", "value": 1}]),
            request("DELETE", "/devices/x1"),
        )
    )


def dps_stream(hub):
    dps = hub.provisioning
    if dps.individual.find("stove") is None:
        text = base64.b64encode(b"k" * 32).decode()
        keys = {"primaryKey": text, "secondaryKey": text}
        attestation = {"type": "symmetricKey", "symmetricKey": keys}
        dps.individual.put("stove", {"attestation": attestation}, None)
    resource = f"{dps.scope}/registrations/stove"
    token = build_token(resource, b"k" * 32, int(hub.clock()) + 3600, "registration")

    def request(verb, path, body=b""):
        head = f"{verb} /{resource}{path}?api-version=2021-06-01 HTTP/1.1\r\n"
        head += f"Host: {hub.host_name}\r\nAuthorization: {token}\r\n"
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

    # Begun here, for the stream cannot know what an answer will say
    shown = dps.admit("stove", token, None)
    begun = dps.register(shown)["operationId"]
    body = b'{"registrationId": "stove", "payload": {"a": [1, null]}}'
    return b"".join(
        (
            request("PUT", "/register", body),
            request("GET", f"/operations/{begun}"),
            request("POST", "", body),
        )
    )


@contextlib.asynccontextmanager
async def streams(serve, hub):
    """A front end without TLS, which is not what is tested here. Gives: its port."""
    tasks = set()

    async def accepted(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await serve(reader, writer, hub)
        finally:
            tasks.discard(asyncio.current_task())

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        # Nobody is held on to who has left
        end = time.monotonic() + PATIENCE_S
        while tasks and time.monotonic() < end:
            await asyncio.sleep(0.05)
        assert not tasks


@contextlib.asynccontextmanager
async def http(hub):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        app = rest_app(hub)
        add_provisioning(app, hub)
        async with serve_https(bound, None, app):
            yield bound.getsockname()[1]


async def converse(port, stream):
    """Send all of it, then nothing more, and read until the hub has had enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(stream)
        # HTTP drops what it has not begun when the client has nothing more to say
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader.readexactly(1 << 20), ANSWER_S)
        writer.write_eof()
        while await asyncio.wait_for(reader.read(65536), PATIENCE_S):
            pass
    except asyncio.TimeoutError:
        # Before the others, of which it is one since Python 3.11
        raise AssertionError("the hub neither answers nor leaves") from None
    except (asyncio.IncompleteReadError, OSError):
        pass  # thrown out
    finally:
        writer.close()


async def strike(port, stream, seed):
    """COUNT damaged conversations, some side by side."""
    chance = random.Random(seed)
    for _ in range(0, COUNT, AT_ONCE):
        await asyncio.gather(
            *(converse(port, damaged(stream, chance)) for _ in range(min(AT_ONCE, COUNT)))
        )


class Faults(logging.Handler):
    """What the hub says of faults of its own."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.found = []

    def emit(self, record):
        self.found.append(self.format(record))


@contextlib.asynccontextmanager
async def bystander(hub):
    """Another device, served all the while. Gives: how long it had to wait, in seconds."""
    waits = []
    # Not by cancelling: `wait_for` loses a cancellation that comes together with its answer, up to
    # Python 3.11, and this would go on for ever
    is_over = asyncio.Event()

    async def send(port):
        key = hub.registry.keys("d2")[0]
        password = build_token(f"{hub.host_name}/devices/d2", key, int(hub.clock()) + 3600)
        client = await RawClient.open(port)
        username = f"{hub.host_name}/d2/?api-version=2021-04-12"
        assert await client.connect(client_id="d2", username=username, password=password) == (0, 0)
        number = 1
        try:
            while not is_over.is_set():
                began, worked = time.monotonic(), time.process_time()
                await client.publish("devices/d2/messages/events/", b"x", number)
                waits.append((time.process_time() - worked, time.monotonic() - began))
                number = number % 65535 + 1
                await asyncio.sleep(0.02)
        finally:
            client.close()

    async with streams(mqtt.serve_connection, hub) as port:
        task = asyncio.create_task(send(port))
        yield waits
        is_over.set()
        await asyncio.wait_for(task, PATIENCE_S)
    assert len(waits) > 10


# The conversation, the front end, and what the undamaged conversation has done
FRONT_ENDS = {
    "mqtt": (
        mqtt_stream,
        lambda hub: streams(mqtt.serve_connection, hub),
        lambda hub: "a" in hub.twins.get("d1")["properties"]["reported"],
    ),
    "amqp": (
        amqp_stream,
        lambda hub: streams(amqp.serve_connection, hub),
        lambda hub: hub.c2d.count("d1") > 0,
    ),
    "http": (http_stream, http, lambda hub: hub.twins.get("d1")["tags"] == {"a": {"b": 1}}),
    "dps": (dps_stream, http, lambda hub: hub.registry.exists("stove")),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_broken_conversations(name):
    build, front_end, is_done = FRONT_ENDS[name]
    faults = Faults()

    async def whole():
        hub = make_hub("d1", "d2")
        stream = build(hub)
        async with bystander(hub) as waits, front_end(hub) as port:
            assert not is_done(hub)
            await converse(port, stream)
            assert is_done(hub)
            await strike(port, stream, seed=1)
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            await strike(port, stream, seed=2)
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            events = sum(
                len(event.body)
                for part in range(hub.telemetry.partitions)
                for event in hub.telemetry.read(part, 0, 10**6)
            )
            assert after - before < GROWTH_BYTES + 4 * events
            # And an undamaged one is still answered
            await converse(port, stream)
        # By the clock a busy machine makes it wait, too
        assert max(worked for worked, _ in waits) < 1
        assert max(waited for _, waited in waits) < PATIENCE_S

    root = logging.getLogger()
    root.addHandler(faults)
    try:
        asyncio.run(whole())
    finally:
        root.removeHandler(faults)
    assert faults.found == []
