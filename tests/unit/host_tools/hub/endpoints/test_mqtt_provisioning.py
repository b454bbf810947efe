"""Provisioning over MQTT, without a socket: who may connect, what is answered, what ends it."""

import asyncio
import base64
import json

import pytest
from doubles.hub_in_memory import make_hub

from host_tools.hub.endpoints.mqtt_admission import Refusal
from host_tools.hub.endpoints.mqtt_provisioning import (
    ANSWERS,
    ProvisioningSession,
    admit,
    is_for_provisioning,
)
from host_tools.hub.provisioning.documents import MAX_BODY_BYTES
from host_tools.hub.wire import mqtt
from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.protocol_error import ProtocolError
from host_tools.hub.wire.sas import build_token

KEY = b"k" * 32
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid=1"
STATUS = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId="


class Link:
    def __init__(self):
        self.written = b""
        self.reasons = []

    def write(self, data):
        self.written += data

    def close(self, reason):
        self.reasons.append(reason)

    def heard(self):
        data, self.written = self.written, b""
        return data


class Place:
    """A hub with an enrolment, and a device that is admitted and listens."""

    def __init__(self):
        self.hub = make_hub()
        self.dps = self.hub.provisioning
        keys = dict.fromkeys(("primaryKey", "secondaryKey"), base64.b64encode(KEY).decode())
        attestation = {"type": "symmetricKey", "symmetricKey": keys}
        self.dps.individual.put("stove", {"attestation": attestation}, None)
        self.link = Link()
        self.session = ProvisioningSession(self.hub, self.link, self.admit())

    def connect(self, **changes):
        resource = f"{self.dps.scope}/registrations/stove"
        expiry_s = int(self.hub.clock() + 600)
        fields = {
            "client_id": "stove",
            "username": f"{self.dps.scope}/registrations/stove/api-version=2019-03-31",
            "password": build_token(resource, KEY, expiry_s, "registration").encode(),
        }
        return p.Connect(clean_session=True, keep_alive_s=60, **fields | changes)

    def admit(self, **changes):
        return admit(self.hub, self.connect(**changes), None)

    def subscribe(self):
        self.session.handle(p.Subscribe(1, ((ANSWERS, 1),)))
        return self.link.heard()

    def ask(self, topic, payload=b""):
        """Returns: the topic and the document of the answer."""
        self.session.handle(publish(topic, payload))
        packet = self.link.heard()
        begin = packet.index(b"$dps")
        end = begin + int.from_bytes(packet[begin - 2 : begin], "big")
        return packet[begin:end].decode(), json.loads(packet[end:])


def publish(topic, payload=b"", qos=0, packet_id=None):
    return p.Publish(topic, payload, qos, packet_id)


@pytest.fixture
def place():
    return Place()


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"username": "other/registrations/stove/api-version=1"}, 5, "the id scope"),
        ({"client_id": "Stove"}, 2, "the client id"),
        ({"password": b"\xff"}, 5, "not UTF-8"),
        ({"password": b"x"}, 5, "Not a usable token"),
        ({"password": None}, 5, "sent no token"),
    ],
)
def test_who_may_not_connect(place, changes, code, reason):
    assert is_for_provisioning(place.connect(**changes).username)
    with pytest.raises(Refusal, match=reason) as caught:
        place.admit(**changes)
    assert caught.value.return_code == code
    assert str(caught.value).startswith("registration 'stove': ")


@pytest.mark.parametrize(
    "username", [None, "", "scope/registrations/a", "hub/dev1/?api-version=1"]
)
def test_usernames_of_others(username):
    assert not is_for_provisioning(username)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (p.Pingreq(), mqtt.build_pingresp()),
        (p.Unsubscribe(7, (ANSWERS,)), mqtt.build_unsuback(7)),
        (p.Subscribe(8, ((ANSWERS, 2), ("#", 0))), mqtt.build_suback(8, (1, 0x80))),
        (p.Puback(9), b""),
    ],
)
def test_packets_that_are_answered_at_once(place, packet, answer):
    place.session.handle(packet)
    assert place.link.heard() == answer
    assert place.link.reasons == []


def test_a_device_that_leaves(place):
    place.session.handle(p.Disconnect())
    assert place.link.reasons == ["the device disconnected"]


@pytest.mark.parametrize(
    "packet",
    [
        p.Pubrel(1),
        p.Pubrec(1),
        publish(REGISTER, b"", 2, 1),
        publish("devices/stove/messages/events/"),
        publish("$dps/registrations/PUT/iotdps-register/"),
        publish("$dps/registrations/PUT/iotdps-register/?$rid="),
    ],
)
def test_what_ends_the_connection(place, packet):
    with pytest.raises(ProtocolError):
        place.session.handle(packet)


def test_a_registration_and_its_acknowledgements(place):
    place.session.begin()
    assert place.link.heard() == mqtt.build_connack(p.ACCEPTED)
    place.subscribe()
    topic, begun = place.ask(REGISTER, b'{"registrationId": "stove", "payload": {"a": 1}}')
    assert topic == "$dps/registrations/res/202/?$rid=1&retry-after=3"
    topic, done = place.ask(STATUS + begun["operationId"])
    assert topic == "$dps/registrations/res/200/?$rid=2"
    assert done["registrationState"]["deviceId"] == "stove"

    place.session.handle(publish(REGISTER, b"", 1, 5))
    place.link.heard()
    asyncio.run(place.session.settle())
    assert place.link.heard() == mqtt.build_puback(5)
    asyncio.run(place.session.settle())
    assert place.link.heard() == b""


def test_who_does_not_listen_is_not_answered(place):
    place.session.handle(publish(REGISTER))
    assert place.link.heard() == b""


@pytest.mark.parametrize(
    ("topic", "payload", "status", "code"),
    [
        (REGISTER, b"{", 400, 400004),
        (REGISTER, b"[]", 400, 400004),
        (REGISTER, b'{"registrationId": "other"}', 400, 400004),
        (REGISTER, b" " * (MAX_BODY_BYTES + 1), 413, 413001),
        (STATUS + "4.0.0", b"", 404, 404202),
        (STATUS, b"", 404, 404202),
    ],
)
def test_what_is_refused_is_told(place, topic, payload, status, code):
    place.subscribe()
    told, problem = place.ask(topic, payload)
    number = 1 if topic == REGISTER else 2
    assert told == f"$dps/registrations/res/{status}/?$rid={number}"
    assert problem["errorCode"] == code
    assert set(problem) == {"errorCode", "trackingId", "message", "timestampUtc"}


def test_who_asks_too_often_is_told_to_wait(place):
    place.subscribe()
    for _ in range(5):
        place.ask(REGISTER)
    told, problem = place.ask(REGISTER)
    assert told == "$dps/registrations/res/429/?$rid=1&retry-after=3"
    assert problem["errorCode"] == 429001
