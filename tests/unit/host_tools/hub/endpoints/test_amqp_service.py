"""What service clients do over AMQP: show a token on `$cbs`, send messages to devices."""

import uuid

import pytest
from doubles.amqp_client import C2D, CBS_IN, CBS_OUT, Client, c2d_message
from doubles.hub_in_memory import make_hub

from host_tools.hub.endpoints.amqp_nodes import path_of
from host_tools.hub.state.limits import C2D as C2D_KIND
from host_tools.hub.state.limits import TELEMETRY
from host_tools.hub.storage import StorageError
from host_tools.hub.wire.amqp_message import (
    Data,
    Message,
    Properties,
    Sequence,
    Value,
    build_message,
)
from host_tools.hub.wire.amqp_performatives import (
    Accepted,
    Attach,
    Detach,
    Disposition,
    Flow,
    Rejected,
    Transfer,
)
from host_tools.hub.wire.amqp_types import Int, Symbol, Timestamp, UInt, ULong


@pytest.fixture
def client():
    client = Client(make_hub("d1"))
    client.open()
    client.open_cbs()
    return client


@pytest.fixture
def sender():
    client = Client(make_hub("d1"))
    client.open_c2d()
    return client


def status(client):
    return client.replies()[-1].application_properties["status-code"]


# Tokens


@pytest.mark.parametrize("message_id", [ULong(0), uuid.UUID(int=7), "text", b"bytes"])
def test_the_reply_comes_after_the_outcome_with_the_id_in_its_type(client, message_id):
    answers = client.put_token(message_id=message_id)
    assert [type(answer) for answer in answers] == [Disposition, Transfer]
    assert isinstance(answers[0].state, Accepted)
    reply = client.replies()[-1]
    assert reply.application_properties == {"status-code": Int(200), "status-description": "OK"}
    assert type(reply.application_properties["status-code"]) is Int
    assert reply.properties.correlation_id == message_id
    assert type(reply.properties.correlation_id) is type(message_id)


@pytest.mark.parametrize(
    "audience",
    [
        "https://hub.example.net",
        "https://hub.example.net:8443",
        "hub.example.net",
        "amqps://HUB.example.net/messages/devicebound",
        "sb://hub.example.net/",
    ],
)
def test_audiences_of_the_sdks(client, audience):
    client.put_token(audience=audience)
    assert status(client) == 200
    assert len(client.attach_sender(C2D, "messages/devicebound")) == 2


def test_a_token_with_the_port_and_unencoded_is_accepted(client):
    client.put_token(client.token(resource="hub.example.net:8443"))
    assert status(client) == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda client: {"token": client.token(policy="registryReadWrite")},
        lambda client: {"token": client.token(life_s=-1000)},
        lambda client: {"token": client.token(resource="other.example.net")},
        lambda client: {"token": client.token().replace("sig=", "sig=AAAA")},
        lambda client: {"token": "rubbish"},
        lambda client: {"audience": "https://other.example.net"},
        lambda client: {"type": "bearer"},
    ],
)
def test_tokens_that_do_not_hold_are_401(client, make):
    client.put_token(**make(client))
    assert status(client) == 401
    answers = client.attach_sender(C2D, "/messages/devicebound")
    assert answers[-1].error.condition == "amqp:unauthorized-access"


@pytest.mark.parametrize(
    "change", [{"operation": "delete-token"}, {"name": ULong(1)}, {"name": "x" * 2000}]
)
def test_what_is_no_put_token_is_400(client, change):
    client.put_token(**change)
    assert status(client) == 400


def test_a_token_for_one_path_opens_no_other(client):
    client.put_token(audience="https://hub.example.net/messages/serviceBound/feedback")
    assert status(client) == 200
    answers = client.attach_sender(C2D, "/messages/devicebound")
    assert answers[-1].error.condition == "amqp:unauthorized-access"


def test_replies_wait_for_the_receiving_link_and_its_credit():
    client = Client(make_hub())
    client.open()
    client.attach_sender(CBS_OUT, "$cbs")
    assert [type(answer) for answer in client.put_token()] == [Disposition]
    assert [type(a) for a in client.attach_receiver(CBS_IN, "$cbs", credit=0)] == [Attach]
    assert [type(answer) for answer in client.grant(CBS_IN, 1)] == [Transfer]
    assert status(client) == 200


def test_replies_wait_for_credit_on_an_open_link():
    client = Client(make_hub())
    client.open()
    client.attach_sender(CBS_OUT, "$cbs")
    client.attach_receiver(CBS_IN, "$cbs", credit=1)
    for number in range(3):
        client.put_token(message_id=ULong(number))
    assert len(client.payloads) == 1
    client.grant(CBS_IN, 5, count=1, seen=1)
    ids = [reply.properties.correlation_id for reply in client.replies()]
    assert ids == [0, 1, 2]


def test_replies_that_nobody_fetches_cost_the_link():
    client = Client(make_hub())
    client.open()
    client.attach_sender(CBS_OUT, "$cbs")
    answers = [client.put_token("rubbish")[-1] for _ in range(33)]
    assert isinstance(answers[31], Disposition)
    assert answers[32].error.condition == "amqp:resource-limit-exceeded"


def test_an_expired_token_takes_its_links_along(sender):
    assert isinstance(sender.send(C2D, c2d_message())[0].state, Accepted)
    sender.hub.clock.now_s += 3599
    sender.connection.tick()
    assert sender.heard() == []
    sender.hub.clock.now_s += 2
    sender.connection.tick()
    (detach,) = sender.heard()
    assert (detach.handle, detach.error.condition) == (C2D, "amqp:unauthorized-access")
    assert sender.send(C2D, c2d_message()) == []
    assert sender.hub.c2d.count("d1") <= 1


def test_a_renewed_token_keeps_the_link(sender):
    sender.hub.clock.now_s += 3000
    sender.put_token()
    sender.hub.clock.now_s += 3000
    sender.connection.tick()
    assert sender.heard() == []
    assert isinstance(sender.send(C2D, c2d_message())[0].state, Accepted)


def test_a_token_within_the_allowance_for_clocks_holds_for_it(client):
    client.put_token(client.token(life_s=-100))
    assert status(client) == 200
    assert isinstance(client.attach_sender(C2D, "messages/devicebound")[0], Attach)
    client.connection.tick()
    assert client.heard() == []
    client.hub.clock.now_s += 300
    client.connection.tick()
    assert isinstance(client.heard()[0], Detach)


def test_tokens_are_counted(client):
    for number in range(70):
        client.put_token(audience=f"https://hub.example.net/{number}", message_id=ULong(number))
    codes = [reply.application_properties["status-code"] for reply in client.replies()]
    assert codes == [200] * 64


# Messages to devices


def test_a_message_with_everything(sender):
    message = Message(
        Data((b"two ", b"parts")),
        properties=Properties(
            "m1",
            b"me",
            "/devices/d1/messages/devicebound",
            correlation_id=uuid.UUID(int=1),
            content_type="text/plain",
            content_encoding="utf-8",
            absolute_expiry_time=Timestamp(1_700_000_600_500),
        ),
        application_properties={
            "iothub-ack": "Full",
            "text": "t",
            "empty": "",
            "nothing": None,
            "number": UInt(3),
            "yes": True,
            "bytes": b"b",
            Symbol("symbol"): Symbol("s"),
        },
    )
    (disposition,) = sender.send(C2D, message)
    assert disposition == Disposition(True, 1, 1, True, Accepted())
    queued = sender.hub.c2d.next("d1")
    assert queued.body == b"two parts"
    assert (queued.message_id, queued.user_id) == ("m1", "me")
    assert queued.correlation_id == str(uuid.UUID(int=1))
    assert (queued.content_type, queued.content_encoding) == ("text/plain", "utf-8")
    assert (queued.expires_s, queued.ack) == (1_700_000_600.5, "full")
    assert queued.properties == {
        "text": "t",
        "empty": "",
        "nothing": None,
        "number": "3",
        "yes": "True",
        "bytes": "b",
        "symbol": "s",
    }
    assert {type(each) for each in queued.properties} == {str}


def test_many_frames_make_one_message(sender):
    payload = build_message(c2d_message(b"y" * 1000))
    assert sender.say(Transfer(C2D, 9, b"t", 0, more=True), payload=payload[:10]) == []
    assert sender.say(Transfer(C2D, more=True), payload=payload[10:500]) == []
    (disposition,) = sender.say(Transfer(C2D), payload=payload[500:])
    assert (disposition.first, type(disposition.state)) == (9, Accepted)
    assert sender.hub.c2d.next("d1").body == b"y" * 1000


def test_a_settled_message_gets_no_answer(sender):
    assert sender.send(C2D, c2d_message(), settled=True) == []
    assert sender.send(C2D, c2d_message(device_id="nobody"), settled=True) == []
    assert sender.hub.c2d.count("d1") == 1


def test_a_body_of_one_text_is_taken(sender):
    message = c2d_message()
    message.body = Value("grüezi")
    sender.send(C2D, message)
    assert sender.hub.c2d.next("d1").body == "grüezi".encode()


def refusal(sender, message):
    (disposition,) = sender.send(C2D, message)
    assert isinstance(disposition.state, Rejected)
    return disposition.state.error.condition


def test_refusals(sender):
    assert refusal(sender, c2d_message(device_id="nobody")) == "amqp:not-found"
    assert refusal(sender, c2d_message(b"x" * 65537)) == "amqp:link:message-size-exceeded"
    assert refusal(sender, Message(Data((b"",)))) == "amqp:invalid-field"
    odd = c2d_message()
    odd.properties.to = "/queues/d1"
    assert refusal(sender, odd) == "amqp:invalid-field"
    odd = c2d_message()
    odd.body = Sequence(([UInt(1)],))
    assert refusal(sender, odd) == "amqp:not-implemented"
    odd = c2d_message()
    odd.application_properties = {"list": [UInt(1)]}
    assert refusal(sender, odd) == "amqp:invalid-field"
    odd.application_properties = {"bytes": b"\xff"}
    assert refusal(sender, odd) == "amqp:decode-error"
    odd.application_properties = {"iothub-ack": "perhaps"}
    assert refusal(sender, odd) == "amqp:not-allowed"
    assert sender.hub.c2d.count("d1") == 0


def test_a_full_queue(sender):
    for _ in range(50):
        assert not [
            a for a in sender.send(C2D, c2d_message()) if type(a) not in (Disposition, Flow)
        ]
    assert refusal(sender, c2d_message()) == "amqp:resource-limit-exceeded"


def test_a_tier_throttles_and_ends_with_its_quota(sender):
    sender.hub.limits.choose("F1")
    for _ in range(100):
        sender.hub.limits.spend(C2D_KIND)
    assert refusal(sender, c2d_message()) == "com.microsoft:device-container-throttled"
    sender.hub.limits.spend(TELEMETRY, 512 * (8000 - sender.hub.limits.used_today))
    assert refusal(sender, c2d_message()) == "amqp:resource-limit-exceeded"
    assert sender.hub.c2d.count("d1") == 0


def test_a_failing_disk_is_told(sender, monkeypatch):
    def fail(device_id, message):
        raise StorageError("the disk is full; make room")

    monkeypatch.setattr(sender.hub.c2d, "send", fail)
    assert refusal(sender, c2d_message()) == "amqp:internal-error"


def test_device_ids_are_unquoted(sender):
    sender.hub.registry.create({"deviceId": "a%2Fb"})
    (disposition,) = sender.send(C2D, c2d_message(device_id="a%252Fb"))
    assert isinstance(disposition.state, Accepted)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("amqps://hub:5671/messages/devicebound", "messages/devicebound"),
        ("/messages/devicebound/", "messages/devicebound"),
        ("$cbs", "$cbs"),
        (
            "sb://h/eh/ConsumerGroups/$Default/Partitions/0",
            "eh/ConsumerGroups/$Default/Partitions/0",
        ),
    ],
)
def test_addresses_lose_scheme_and_authority(address, path):
    assert path_of(address) == path
