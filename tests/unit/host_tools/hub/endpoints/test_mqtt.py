"""The MQTT door against clients that obey, err, dawdle or attack; without TLS, on loopback."""

import asyncio
import base64
import inspect
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from doubles import mqtt_bytes as client
from doubles.device_certificates import DAY, NOW, certificate, new_key
from doubles.mqtt_raw_client import PUBACK, UNSUBACK, RawClient

from host_tools.hub.endpoints import mqtt, mqtt_link
from host_tools.hub.state.c2d import Message
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.limits import TELEMETRY, Limits
from host_tools.hub.storage import Storage, StorageError
from host_tools.hub.wire.sas import build_token

EVENTS = "devices/dev1/messages/events/"
DEVICEBOUND = "devices/dev1/messages/devicebound/#"
METHODS = "$iothub/methods/POST/#"
TWIN_ANSWERS = "$iothub/twin/res/#"
DESIRED = "$iothub/twin/PATCH/properties/desired/#"
MODEL = "dtmi:com:example:Thermostat;1"


class Place:
    """A hub with two devices and a listening door."""

    def __init__(self):
        self.storage = Storage()
        self.hub = Hub("hub.example", self.storage)
        for device_id in ("dev1", "dev2"):
            self.hub.registry.create({"deviceId": device_id})
        self.clients = []

    async def __aenter__(self):
        async def serve(reader, writer):
            await mqtt.serve_connection(reader, writer, self.hub)

        self.server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        for each in self.clients:
            each.close()
        self.server.close()
        await until(lambda: self.hub.connections.count() == 0)
        self.storage.close()

    def token(self, device_id="dev1", life_s=3600, host="hub.example"):
        key = self.hub.registry.keys(device_id)[0]
        return build_token(f"{host}/devices/{device_id}", key, int(time.time() + life_s))

    async def stranger(self):
        self.clients.append(await RawClient.open(self.port))
        return self.clients[-1]

    async def device(self, device_id="dev1", code=(0, 0), **fields):
        """A connected device; `code` is what the CONNACK must be."""
        found = await self.stranger()
        assert await found.connect(**self.connect_fields(device_id, **fields)) == code
        return found

    def connect_fields(self, device_id="dev1", **fields):
        fields.setdefault("client_id", device_id)
        fields.setdefault("username", f"hub.example/{device_id}/?api-version=2021-04-12")
        fields.setdefault("password", self.token(device_id))
        return fields

    def events(self):
        return self.hub.telemetry.read(self.hub.telemetry.partition_of("dev1"))


def scenario(test):
    """Make a test of `async test(place, …)`."""

    def run(**arguments):
        async def whole():
            async with Place() as place:
                await test(place, **arguments)

        asyncio.run(asyncio.wait_for(whole(), 30))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.pytestmark = getattr(test, "pytestmark", [])
    names = list(test.__code__.co_varnames[1 : test.__code__.co_argcount])
    # pytest reads the arguments from the signature.
    run.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    return run


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


# Who may come in.


@pytest.mark.parametrize(
    "username",
    [
        "hub.example/dev1/?api-version=2021-04-12",
        "HUB.example/dev1/api-version=2021-04-12",
        "localhost/dev1/?DeviceClientType=x%2F1&api-version=2019-10-01",
        "127.0.0.1/dev1",
    ],
)
@scenario
async def test_usernames_that_are_welcome(place, username):
    await place.device(username=username)
    assert place.hub.connections.is_connected("dev1")


@scenario
async def test_a_certificate_known_by_its_thumbprint_has_no_end(place, monkeypatch):
    begin, end = NOW - 2 * DAY, NOW - DAY
    shown = x509.load_pem_x509_certificate(certificate(new_key(), "dev3", begin=begin, end=end))
    monkeypatch.setattr(mqtt_link, "client_certificate", lambda writer: shown)
    prints = {"primaryThumbprint": shown.fingerprint(hashes.SHA256()).hex()}
    authentication = {"type": "selfSigned", "x509Thumbprint": prints}
    place.hub.registry.create({"deviceId": "dev3", "authentication": authentication})
    dev3 = await place.device("dev3", password=None)
    await asyncio.sleep(0.05)
    await dev3.ping()


@pytest.mark.parametrize("written", [MODEL, "dtmi%3Acom%3Aexample%3AThermostat%3B1"])
@scenario
async def test_the_model_id_is_kept(place, written):
    dev1 = await place.device(username=f"hub.example/dev1/?model-id={written}&api-version=x")
    assert place.hub.twins.model_id("dev1") == MODEL
    await dev1.publish(EVENTS)
    assert place.events()[0].annotations["dt-dataschema"] == MODEL
    await place.device(code=(0, 0))
    assert place.hub.twins.model_id("dev1") == MODEL


@scenario
async def test_a_policy_token_may_connect_any_device(place):
    policy = place.hub.policies.get("device")
    token = build_token(
        "hub.example", base64.b64decode(policy.primary_key), int(time.time() + 60), "device"
    )
    dev1 = await place.device(password=token)
    await dev1.publish(EVENTS)
    assert '"scope":"hub"' in place.events()[0].annotations["iothub-connection-auth-method"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"client_id": "dev2"}, 2),
        ({"client_id": ""}, 2),
        ({"client_id": "Dev1"}, 2),
        ({"username": "other.example/dev1/?api-version=x"}, 5),
        ({"username": "hub.example"}, 5),
        ({"username": None, "password": None}, 5),
        ({"username": "hub.example/dev1/mod/?api-version=x"}, 2),
        ({"client_id": "dev1/mod", "username": "hub.example/dev1/mod/?api-version=x"}, 5),
        ({"password": ""}, 5),
        ({"password": b"\xff\xfe"}, 5),
        ({"password": "SharedAccessSignature sr=x&sig=eA&se=1"}, 5),
        ({"client_id": "dev9", "username": "hub.example/dev9/?api-version=x"}, 5),
        ({"level": 5}, 1),
    ],
)
@scenario
async def test_refusals(place, fields, code):
    found = await place.stranger()
    assert await found.connect(**place.connect_fields(**fields)) == (0, code)
    assert await found.is_closed()
    assert place.hub.connections.count() == 0


@pytest.mark.parametrize(
    "fault", ["expired", "other device", "other host", "disabled", "wrong key"]
)
@scenario
async def test_tokens_that_do_not_hold(place, fault):
    token = place.token()
    if fault == "expired":
        token = place.token(life_s=-301)
    elif fault == "other device":
        token = place.token("dev2")
    elif fault == "other host":
        token = place.token(host="other.example")
    elif fault == "wrong key":
        token = build_token("hub.example/devices/dev1", b"x" * 32, int(time.time() + 60))
    else:
        place.hub.registry.update("dev1", {"status": "disabled"}, None)
    found = await place.stranger()
    assert await found.connect(**place.connect_fields(password=token)) == (0, 5)
    assert await found.is_closed()


@scenario
async def test_the_end_of_the_token_ends_the_connection(place):
    started = time.monotonic()
    dev1 = await place.device(password=place.token(life_s=2))
    assert await dev1.is_closed()
    assert 0.5 < time.monotonic() - started < 10


@scenario
async def test_a_second_connection_evicts_the_first(place):
    first = await place.device()
    await first.subscribe((METHODS, 1))
    second = await place.device(code=(1, 0))
    assert await first.is_closed()
    await until(lambda: place.hub.connections.count() == 1)
    await second.ping()
    invoked = asyncio.create_task(place.hub.methods.invoke("dev1", "m"))
    assert (await second.message()).topic.startswith("$iothub/methods/POST/m/?$rid=")
    invoked.cancel()


@pytest.mark.parametrize("action", ["disable", "delete"])
@scenario
async def test_the_registry_can_end_a_connection(place, action):
    dev1 = await place.device(will=(EVENTS, b"", 0, False))
    if action == "delete":
        place.hub.registry.delete("dev1")
    else:
        place.hub.registry.update("dev1", {"status": "disabled"}, None)
    assert await dev1.is_closed()


# Telemetry.


@scenario
async def test_telemetry_is_safe_when_it_is_acknowledged(place):
    committed = []
    place.hub.telemetry.subscribe(committed.append)
    dev1 = await place.device()
    await dev1.publish(EVENTS + "%24.mid=m&$.sub=c&a%20b=1%2B1&n", b"\0\xff", packet_id=65535)
    assert [(e.body, e.system["message-id"], e.properties) for e in committed] == [
        (b"\0\xff", "m", {"a b": "1+1", "n": None})
    ]
    assert committed[0].annotations["dt-subject"] == "c"


@scenario
async def test_acknowledgements_come_in_the_order_of_the_messages(place):
    dev1 = await place.device()
    for number in range(1, 201):
        dev1.send(client.publish(EVENTS, b"x", 1, number))
    got = [int.from_bytes((await dev1.packet(PUBACK)).body, "big") for _ in range(200)]
    assert got == list(range(1, 201))


@scenario
async def test_qos_0_and_retain(place):
    dev1 = await place.device()
    dev1.send(client.publish(EVENTS, b"x", retain=True))
    await dev1.ping()
    assert place.events()[0].properties == {"mqtt-retain": "true"}


@scenario
async def test_the_largest_message_and_one_byte_more(place):
    dev1 = await place.device()
    await dev1.publish(EVENTS + "ab=cd", bytes(262_144 - 4))
    dev1.send(client.publish(EVENTS + "ab=cd", bytes(262_144 - 3), 1, 2))
    assert await dev1.is_closed()
    assert len(place.events()) == 1


@scenario
async def test_a_will_is_sent_for_who_leaves_without_a_word(place):
    dev1 = await place.device(will=(EVENTS + "a=b", b"gone", 1, True))
    dev1.close()
    await until(place.events)
    assert place.events()[0].body == b"gone"
    assert place.events()[0].properties == {
        "a": "b",
        "iothub-MessageType": "Will",
        "mqtt-retain": "true",
    }


@scenario
async def test_no_will_after_disconnect(place):
    dev1 = await place.device(will=(EVENTS, b"gone", 0, False))
    dev1.send(client.DISCONNECT)
    assert await dev1.is_closed()
    await until(lambda: not place.hub.connections.is_connected("dev1"))
    assert not place.events()


@pytest.mark.parametrize(
    "will",
    [
        ("devices/dev2/messages/events/", b"", 0, False),
        ("$iothub/twin/GET/?$rid=1", b"", 0, False),
        (EVENTS, b"", 2, False),
    ],
)
@scenario
async def test_a_will_that_is_not_telemetry_is_not_accepted(place, will):
    found = await place.stranger()
    found.send(client.connect(**place.connect_fields(will=will)))
    assert await found.is_closed()
    assert place.hub.connections.count() == 0


@pytest.mark.parametrize(
    "data",
    [
        client.publish("devices/dev2/messages/events/", b"x"),
        client.publish("any/topic", b"x"),
        client.publish("$iothub/methods/POST/x/?$rid=1", b"x"),
        client.publish(EVENTS, b"x", 2, 1),
        client.packet(0x62, b"\0\1"),
        client.connect(),
        b"\xf0\0",
    ],
)
@scenario
async def test_what_ends_a_connection(place, data):
    dev1, dev2 = await place.device(), await place.device("dev2")
    dev1.send(data)
    assert await dev1.is_closed()
    await dev2.ping()
    assert not place.events()


# Subscriptions and sessions.


@scenario
async def test_only_documented_filters_are_granted(place):
    dev1 = await place.device()
    asked = [(METHODS, 0), (TWIN_ANSWERS, 1), (DESIRED, 2), (DEVICEBOUND, 1)]
    assert await dev1.subscribe(*asked) == [0, 1, 1, 1]
    others = [("#", 1), ("devices/dev2/messages/devicebound/#", 1), ("$iothub/#", 0)]
    assert await dev1.subscribe(*others) == [0x80, 0x80, 0x80]
    kept = {METHODS: 0, TWIN_ANSWERS: 1, DESIRED: 1, DEVICEBOUND: 1}
    assert place.hub.connections.subscriptions("dev1") == kept


@scenario
async def test_a_session_lasts_until_a_clean_one(place):
    dev1 = await place.device()
    await dev1.subscribe((DESIRED, 1))
    dev1.send(client.DISCONNECT)
    assert await dev1.is_closed()
    await until(lambda: not place.hub.connections.is_connected("dev1"))
    dev1 = await place.device(code=(1, 0))
    place.hub.twins.update_desired("dev1", {"properties": {"desired": {"a": 1}}})
    assert (await dev1.message()).topic.endswith("desired/?$version=2")
    dev1 = await place.device(code=(0, 0), clean=True)
    await dev1.subscribe((METHODS, 1))
    dev1.close()
    await until(lambda: not place.hub.connections.is_connected("dev1"))
    await place.device(code=(0, 0))


@scenario
async def test_unsubscribe(place):
    dev1 = await place.device()
    await dev1.subscribe((DESIRED, 1), (METHODS, 1))
    dev1.send(client.unsubscribe(7, DESIRED, "never/subscribed"))
    assert (await dev1.packet(UNSUBACK)).body == b"\0\7"
    place.hub.twins.update_desired("dev1", {"properties": {"desired": {"a": 1}}})
    await dev1.ping()
    assert place.hub.connections.subscriptions("dev1") == {METHODS: 1}


# Twin.


@scenario
async def test_twin_get(place):
    place.hub.twins.update_desired(
        "dev1", {"tags": {"t": 1}, "properties": {"desired": {"ü": "é"}}}
    )
    dev1 = await place.device()
    await dev1.subscribe((TWIN_ANSWERS, 0))
    dev1.send(client.publish("$iothub/twin/GET/?$rid=a%20b", b" "))
    answer = await dev1.message()
    assert answer.topic == "$iothub/twin/res/200/?$rid=a%20b"
    assert json.loads(answer.payload) == {
        "desired": {"ü": "é", "$version": 2},
        "reported": {"$version": 1},
    }


@pytest.mark.parametrize(
    ("payload", "topic"),
    [
        (b'{"a": 1}', "$iothub/twin/res/204/?$rid=r&$version=2"),
        (b"", "$iothub/twin/res/400/?$rid=r"),
        (b"[1]", "$iothub/twin/res/400/?$rid=r"),
        (b'{"a.b": 1}', "$iothub/twin/res/400/?$rid=r"),
        (b"{" * 10_000, "$iothub/twin/res/400/?$rid=r"),
        (b'{"a": "' + b"\xff" + b'"}', "$iothub/twin/res/400/?$rid=r"),
        (b'{"a": 1e999}', "$iothub/twin/res/400/?$rid=r"),
    ],
)
@scenario
async def test_reported(place, payload, topic):
    dev1 = await place.device()
    await dev1.subscribe((TWIN_ANSWERS, 1))
    dev1.send(client.publish("$iothub/twin/PATCH/properties/reported/?$rid=r", payload, 1, 9))
    answer = await dev1.message()
    assert answer.topic == topic
    assert (await dev1.packet(PUBACK)).body == b"\0\x09"
    reported = place.hub.twins.device_view("dev1")["reported"]
    assert reported.get("a") == (1 if "204" in topic else None)


@scenario
async def test_without_the_subscription_there_is_no_answer(place):
    dev1 = await place.device()
    dev1.send(client.publish("$iothub/twin/GET/?$rid=1"))
    await dev1.ping()


# Methods.


@scenario
async def test_a_method_and_its_answer(place):
    dev1 = await place.device()
    await dev1.subscribe((METHODS, 1))
    invoked = asyncio.create_task(place.hub.methods.invoke("dev1", "c*m", {"x": 1}))
    request = await dev1.message()
    head, _, rid = request.topic.partition("?$rid=")
    assert (head, json.loads(request.payload)) == ("$iothub/methods/POST/c*m/", {"x": 1})
    dev1.send(client.publish("$iothub/methods/res/200/?$rid=never-asked", b"1"))
    dev1.send(client.publish(f"$iothub/methods/res/404/?$rid={rid}", b"[1]"))
    assert await invoked == (404, [1])
    dev1.send(client.publish(f"$iothub/methods/res/200/?$rid={rid}", b"2"))
    await dev1.ping()


@scenario
async def test_a_method_waits_for_the_subscription(place):
    invoked = asyncio.create_task(place.hub.methods.invoke("dev1", "m", None, 5, 5))
    dev1 = await place.device()
    await dev1.ping()
    await dev1.subscribe((METHODS, 0))
    rid = (await dev1.message()).topic.partition("=")[2]
    dev1.send(client.publish(f"$iothub/methods/res/200/?$rid={rid}"))
    assert await invoked == (200, None)


@scenario
async def test_a_method_name_that_fits_no_topic_is_not_sent(place):
    dev1 = await place.device()
    await dev1.subscribe((METHODS, 0))
    connection = place.hub.connections.current("dev1")
    assert not connection.send_method("ü" * 30_000, "1", b"")
    await dev1.ping()


# Cloud-to-device messages.


@scenario
async def test_messages_complete_by_puback(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    sent = place.hub.c2d.send(
        "dev1",
        Message(b"\0x", content_encoding="utf-8", properties={"p q": None, "e": ""}),
    )
    got = await dev1.message()
    assert (got.payload, got.qos) == (b"\0x", 1)
    assert got.topic == (
        f"devices/dev1/messages/devicebound/%24.mid={sent.message_id}"
        "&%24.to=%2Fdevices%2Fdev1%2Fmessages%2Fdevicebound&%24.ce=utf-8"
        "&iothub-ack=none&p%20q&e="
    )
    assert place.hub.c2d.count("dev1") == 1
    dev1.send(client.puback(got.packet_id + 1) + client.puback(got.packet_id))
    await dev1.ping()
    assert place.hub.c2d.count("dev1") == 0


@scenario
async def test_queued_messages_follow_connack_on_a_kept_session(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    dev1.close()
    await until(lambda: not place.hub.connections.is_connected("dev1"))
    for text in (b"1", b"2"):
        place.hub.c2d.send("dev1", Message(text))
    dev1 = await place.device(code=(1, 0))
    assert [(await dev1.message()).payload for _ in "12"] == [b"1", b"2"]


@scenario
async def test_what_was_not_acknowledged_comes_again(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    place.hub.c2d.send("dev1", Message(b"m"))
    await dev1.message()
    second = await place.device(code=(1, 0))
    again = await second.message()
    assert again.payload == b"m"
    second.send(client.puback(again.packet_id))
    await second.ping()
    assert place.hub.c2d.count("dev1") == 0


@scenario
async def test_a_lock_that_ran_out_is_given_again(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    message = place.hub.c2d.send("dev1", Message(b"m"))
    first = await dev1.message()
    message.locked_until_s = 0
    place.hub.sweep()
    second = await dev1.message()
    assert (second.payload, second.packet_id != first.packet_id) == (b"m", True)
    dev1.send(client.puback(first.packet_id))
    await dev1.ping()
    assert place.hub.c2d.count("dev1") == 1
    dev1.send(client.puback(second.packet_id))
    await dev1.ping()
    assert place.hub.c2d.count("dev1") == 0


@scenario
async def test_locks_that_ran_out_do_not_fill_the_window(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    messages = [place.hub.c2d.send("dev1", Message(b"%d" % n)) for n in range(4)]
    for _ in range(2):
        assert [(await dev1.message()).payload for _ in messages] == [b"0", b"1", b"2", b"3"]
        for message in messages:
            message.locked_until_s = 0
        place.hub.sweep()


@scenario
async def test_at_most_four_are_on_their_way(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    for number in range(50):
        place.hub.c2d.send("dev1", Message(b"%d" % number))
    got = [await dev1.message() for _ in range(4)]
    await dev1.ping()
    for number in range(4, 50):
        dev1.send(client.puback(got.pop(0).packet_id))
        got.append(await dev1.message())
        assert got[-1].payload == b"%d" % number


@scenario
async def test_qos_0_completes_by_being_sent(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 0))
    place.hub.c2d.send("dev1", Message(b"m", expires_s=time.time() + 60))
    got = await dev1.message()
    assert (got.payload, got.qos, "&%24.exp=20" in got.topic) == (b"m", 0, True)
    assert place.hub.c2d.count("dev1") == 0


@scenario
async def test_an_expiry_beyond_all_years_holds_up_no_message(place):
    place.hub.c2d.send("dev1", Message(b"m1", expires_s=253_402_300_800))
    place.hub.c2d.send("dev1", Message(b"m2"))
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    first = await dev1.message()
    assert (first.payload, "&%24.exp=9999-12-31" in first.topic) == (b"m1", True)
    assert (await dev1.message()).payload == b"m2"


@scenario
async def test_properties_that_fit_no_topic_end_the_message_not_the_connection(place):
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))
    place.hub.c2d.send("dev1", Message(b"", properties={"p": "ü" * 30_000}))
    place.hub.c2d.send("dev1", Message(b"next"))
    assert (await dev1.message()).payload == b"next"
    await dev1.ping()
    assert place.hub.c2d.count("dev1") == 1


# Slow and hostile clients.


@scenario
async def test_no_connect_in_time(place, monkeypatch):
    monkeypatch.setattr(mqtt, "CONNECT_S", 0.5)
    silent, dripping = await place.stranger(), await place.stranger()
    data = client.connect(**place.connect_fields())
    for byte in data[:20]:
        dripping.send(bytes((byte,)))
        await asyncio.sleep(0.04)
    assert await dripping.is_closed()
    assert await silent.is_closed()


@scenario
async def test_keep_alive_counts_whole_packets(place):
    dev1 = await place.device(keep_alive=1)
    for _ in range(4):
        await asyncio.sleep(0.5)
        await dev1.ping()
    started = time.monotonic()
    for byte in client.publish(EVENTS, b"x" * 30)[:30]:
        dev1.send(bytes((byte,)))
        await asyncio.sleep(0.07)
    assert await dev1.is_closed()
    assert 1.3 < time.monotonic() - started < 3.4  # 2.1 + 1.5, were each byte a sign of life


def test_the_idle_limit():
    assert mqtt._idle_limit_s(60) == 90
    assert mqtt._idle_limit_s(0) == mqtt._idle_limit_s(65535) == 1767


@scenario
async def test_who_does_not_read_is_closed_and_others_go_on(place):
    glutton, dev2 = await place.device(), await place.device("dev2")
    await glutton.subscribe((TWIN_ANSWERS, 0), (DESIRED, 0))
    big = {"properties": {"desired": {f"k{n}": "x" * 4000 for n in range(7)}}}
    latest = 0.0
    for _ in range(2000):
        place.hub.twins.update_desired("dev1", big)
        started = time.monotonic()
        await dev2.ping()
        latest = max(latest, time.monotonic() - started)
        if not place.hub.connections.is_connected("dev1"):
            break
    assert not place.hub.connections.is_connected("dev1")
    assert latest < 3


@scenario
async def test_who_asks_and_does_not_read_is_closed(place, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(mqtt_link, "DRAIN_S", 0.3)
    place.hub.twins.update_desired(
        "dev1", {"properties": {"desired": {f"k{n}": "x" * 4000 for n in range(7)}}}
    )
    dev1 = await place.device()
    await dev1.subscribe((TWIN_ANSWERS, 0))
    dev1.writer.transport.pause_reading()
    dev1.send(client.publish("$iothub/twin/GET/?$rid=1") * 5000)
    await until(lambda: not place.hub.connections.is_connected("dev1"))
    await until(lambda: caplog.text.count("does not read what it is sent") == 1)


@scenario
async def test_a_disk_that_fails_under_a_message_ends_the_connection(place, monkeypatch, caplog):
    caplog.set_level("INFO")
    dev1 = await place.device()
    await dev1.subscribe((DEVICEBOUND, 1))

    def fail(device_id):
        raise StorageError("the state file x cannot be used; check the disk")

    monkeypatch.setattr(place.hub.c2d, "next", fail)
    place.hub.c2d.send("dev1", Message(b"m"))
    assert await dev1.is_closed()
    await until(lambda: "check the disk" in caplog.text)


@scenario
async def test_a_flood_leaves_the_others_their_turn(place, monkeypatch):
    flood = await place.device()
    asked = 0

    def count(device_id):
        nonlocal asked
        asked += 1
        return {}

    monkeypatch.setattr(place.hub.twins, "device_view", count)
    flood.send(client.publish("$iothub/twin/GET/?$rid=1") * 2000)
    most_in_a_turn = 0
    while asked < 2000:
        before = asked
        await asyncio.sleep(0)
        most_in_a_turn = max(most_in_a_turn, asked - before)
    assert 0 < most_in_a_turn <= 64


@scenario
async def test_a_hundred_idle_and_a_hundred_dripping_strangers(place):
    strangers = [await place.stranger() for _ in range(200)]
    for each in strangers[:100]:
        each.send(client.connect(**place.connect_fields())[:9])
    dev1 = await place.device()
    await dev1.publish(EVENTS, b"x")
    assert len(place.events()) == 1


@scenario
async def test_every_fault_is_one_line_without_secrets(place, caplog):
    caplog.set_level("DEBUG")
    token = place.token()
    secrets = [token, token.partition("sig=")[2][:20]]
    for fields in (
        {"password": token + "x"},
        {"client_id": "a\x1b[31m\nb", "username": "hub.example/c\x1b\nd/?api-version=1"},
        {"username": "\n\x1b/dev1/?api-version=1"},
    ):
        caplog.clear()
        found = await place.stranger()
        assert (await found.connect(**place.connect_fields(**fields)))[1] in (2, 5)
        assert await found.is_closed()
        await until(lambda: caplog.records)
        assert [r.levelname for r in caplog.records] == ["INFO"]
        line = caplog.records[0].getMessage()
        assert line.isprintable()
        assert not any(secret in line for secret in secrets)


@scenario
async def test_a_failing_disk_costs_the_acknowledgement_not_the_hub(place, caplog, monkeypatch):
    caplog.set_level("INFO")
    dev1 = await place.device()

    async def fail():
        raise StorageError("the state file x cannot be used; check the disk")

    monkeypatch.setattr(place.hub.storage, "flush", fail)
    dev1.send(client.publish(EVENTS, b"x", 1, 1))
    assert await dev1.is_closed()
    await until(lambda: "check the disk" in caplog.text)


@scenario
async def test_a_fault_of_ours_costs_one_connection(place, caplog, monkeypatch):
    dev1, dev2 = await place.device(), await place.device("dev2")
    monkeypatch.setattr(place.hub.twins, "device_view", lambda _: 1 / 0)
    dev1.send(client.publish("$iothub/twin/GET/?$rid=1"))
    assert await dev1.is_closed()
    await dev2.ping()
    await until(lambda: "a fault of the hub itself" in caplog.text)


def test_the_bounds_hold_what_they_promise():
    method, messages, twin = 128 * 1024, 4 * 64 * 1024, 64 * 1024
    assert mqtt_link.MAX_UNSENT_BYTES >= method + messages + 2 * twin


# What a tier allows.


@scenario
async def test_a_tier_throttles_twins_and_ends_with_its_quota(place):
    # On a clock that stands: on a slow machine the bucket would fill meanwhile
    limits = place.hub.limits = Limits(lambda: 1000.0)
    limits.choose("F1")
    dev1 = await place.device()
    await dev1.subscribe((TWIN_ANSWERS, 0))
    for number in range(101):
        dev1.send(client.publish(f"$iothub/twin/GET/?$rid={number}"))
    answers = [await dev1.message() for _ in range(101)]
    assert "$iothub/twin/res/200/?$rid=99" in answers[99].topic
    assert "$iothub/twin/res/429/?$rid=100" in answers[100].topic
    assert json.loads(answers[100].payload)["errorCode"] == 429001
    limits.spend(TELEMETRY, 512 * (8000 - limits.used_today))
    dev1.send(client.publish("$iothub/twin/PATCH/properties/reported/?$rid=r", b'{"a": 1}'))
    refused = await dev1.message()
    assert "$iothub/twin/res/403/" in refused.topic
    assert json.loads(refused.payload)["errorCode"] == 403002
    dev1.send(client.publish(EVENTS, b"x", 1, 1))
    assert await dev1.is_closed()


@scenario
async def test_a_tier_delays_the_acknowledgements_of_telemetry(place):
    place.hub.limits.choose("S1")
    dev1 = await place.device()
    began = time.monotonic()
    for number in range(1, 151):
        dev1.send(client.publish(EVENTS, b"x", 1, number))
    for _ in range(150):
        await dev1.packet(PUBACK)
    # A hundred come at once, the others at a hundred a second
    assert 0.4 < time.monotonic() - began < 5
