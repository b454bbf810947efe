"""What service clients read over AMQP: events of a partition, feedback, and the partitions."""

import json

import pytest
from doubles.amqp_client import CBS_IN, CBS_OUT, Client
from doubles.hub_in_memory import make_hub

from host_tools.hub.endpoints.amqp_events import METRICS, SELECTOR
from host_tools.hub.state.c2d import Message as C2dMessage
from host_tools.hub.state.consumers import MAX_READERS
from host_tools.hub.wire.amqp_frames import SASL_HEADER
from host_tools.hub.wire.amqp_message import Message, Properties, Value
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    UNSETTLED,
    Accepted,
    Attach,
    Detach,
    Disposition,
    Released,
    SaslInit,
    Source,
    Target,
)
from host_tools.hub.wire.amqp_types import Described, Symbol, ULong

HUB_TYPE, PARTITION_TYPE = "com.microsoft:eventhub", "com.microsoft:partition"
READER = 5


@pytest.fixture
def client():
    client = Client(make_hub("d1"))
    client.open()
    client.open_cbs()
    client.put_token()
    client.payloads.clear()
    return client


def attach(client, address, handle=READER, settle_mode=UNSETTLED, selector=None, **options):
    filters = None if selector is None else {Symbol(SELECTOR): selector}
    source = Source(address, filter=filters)
    link = Attach(f"l{handle}", handle, RECEIVER, settle_mode, 0, source, Target(), **options)
    return client.say(link)


def of_partition(client, number=None):
    number = client.hub.telemetry.partition_of("d1") if number is None else number
    return f"messages/events/ConsumerGroups/$Default/Partitions/{number}"


def publish(client, *bodies):
    for body in bodies:
        client.hub.telemetry.append("d1", body, {})
    client.hub.storage.commit()


def bodies(client):
    return [bytes(reply.body) for reply in client.replies()]


def position(text):
    return Described(Symbol(SELECTOR), f"amqp.annotation.x-opt-{text}")


def test_a_partition_that_there_is_not(client):
    answers = attach(client, of_partition(client, 9999))
    assert answers[-1].error.condition == "amqp:not-found"


def test_one_reader_too_many(client):
    for handle in range(MAX_READERS):
        assert not isinstance(attach(client, of_partition(client), READER + handle)[-1], Detach)
    answers = attach(client, of_partition(client), READER + MAX_READERS)
    assert answers[-1].error.condition == "amqp:resource-limit-exceeded"


@pytest.mark.parametrize(
    "selector", ["", "x", ULong(3), "x" * 300, position("offset > 5"), position("other > '5'")]
)
def test_a_filter_of_no_position(client, selector):
    answers = attach(client, of_partition(client), selector=selector)
    assert answers[-1].error.condition == "amqp:invalid-field"


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        (position("offset > '-1'"), [b"a", b"b", b"c"]),
        ("amqp.annotation.x-opt-sequence-number > '0'", [b"b", b"c"]),
        (position("sequence-number >= '0'"), [b"a", b"b", b"c"]),
        (position("enqueued-time-utc > '0'"), [b"a", b"b", b"c"]),
        ("amqp.annotation.x-opt-enqueuedtimeutc > 0", [b"a", b"b", b"c"]),
        (position("offset > '@latest'"), [b"c"]),
        (None, [b"c"]),
    ],
)
def test_from_where_on(client, selector, found):
    publish(client, b"a", b"b")
    attach(client, of_partition(client), selector=selector)
    client.grant(READER, 10)
    publish(client, b"c")
    client.heard()
    assert bodies(client) == found


@pytest.mark.parametrize("bag", [{"room": "K\udcfcche"}, {"$.uid": "K\udcfcche"}])
def test_an_event_that_cannot_be_told_is_passed_over(client, bag, caplog):
    publish(client, b"a")
    client.hub.telemetry.append("d1", b"b", bag)
    publish(client, b"c")
    attach(client, of_partition(client), selector=position("offset > '-1'"))
    transfers = client.grant(READER, 10)
    first = transfers[0].delivery_id
    assert [transfer.delivery_id for transfer in transfers] == [first, first + 1]
    assert bodies(client) == [b"a", b"c"]
    assert "event 512 is passed over" in caplog.text


def test_a_filter_of_another_kind_is_passed_over(client):
    source = Source(of_partition(client), filter={Symbol("other"): "x"})
    client.say(Attach("l", READER, RECEIVER, UNSETTLED, 0, source, Target()))
    client.grant(READER, 10)
    publish(client, b"a")
    client.heard()
    assert bodies(client) == [b"a"]


def test_how_far_the_partition_is_comes_with_each_event(client):
    publish(client, b"a", b"b")
    selector = position("offset > '-1'")
    capabilities = (Symbol(METRICS),)
    attach(client, of_partition(client), selector=selector, desired_capabilities=capabilities)
    client.grant(READER, 1)
    (reply,) = client.replies()
    last = client.hub.telemetry.last_event(client.hub.telemetry.partition_of("d1"))
    assert reply.delivery_annotations == {
        "last_enqueued_sequence_number": 1,
        "last_enqueued_offset": last.offset,
        "last_enqueued_time_utc": last.enqueued_ms,
        "runtime_info_retrieval_time_utc": int(client.hub.clock() * 1000),
    }


# Feedback


def deliver(client, wait_s=15):
    """A message to the device, which takes it and of which the service is told."""
    hub = client.hub
    hub.c2d.send("d1", C2dMessage(b"x", message_id="m", ack="full"))
    hub.c2d.complete("d1", hub.c2d.next("d1").lock)
    hub.clock.now_s += wait_s
    hub.sweep()
    return client.heard()


def fed_back(client, **options):
    """Returns: the delivery id of the one batch that has come."""
    attach(client, "messages/serviceBound/feedback", **options)
    deliver(client)  # without credit nothing is taken
    assert client.payloads == []
    (transfer,) = client.grant(READER, 10)
    (record,) = json.loads(bytes(client.replies()[0].body))
    assert (record["originalMessageId"], record["statusCode"]) == ("m", "Success")
    return transfer.delivery_id


def settle(client, delivery_id, state):
    return client.say(Disposition(RECEIVER, delivery_id, settled=True, state=state))


def is_left(client):
    client.hub.clock.now_s += 61
    return client.hub.feedback.next() is not None


@pytest.mark.parametrize("options", [{"settle_mode": UNSETTLED}, {"settle_mode": 1}])
def test_feedback_that_was_taken_is_gone(client, options):
    delivery_id = fed_back(client, **options)
    settle(client, delivery_id, Accepted())
    assert not is_left(client)


def test_feedback_that_was_not_taken_comes_again(client):
    settle(client, fed_back(client), Released())
    assert len(client.payloads) == 2
    client.say(Detach(READER, True))
    assert client.hub.feedback.next() is not None


def test_feedback_that_is_taken_too_late_comes_again_to_whoever_listens(client):
    delivery_id = fed_back(client)
    client.hub.clock.now_s += 61
    answers = settle(client, delivery_id, Accepted())
    assert not any(isinstance(answer, Detach) for answer in answers)
    assert len(client.payloads) == 2


# The partitions


def manage(client, **changes):
    """Returns: the status and what is answered."""
    asked = {
        "operation": "READ",
        "name": client.hub.event_hub_name,
        "type": HUB_TYPE,
        "security_token": client.token(),
    } | changes
    request = Message(
        Value(None),
        properties=Properties(message_id=ULong(1)),
        application_properties={key: value for key, value in asked.items() if value is not None},
    )
    client.send(CBS_OUT + 10, request)
    reply = client.replies()[-1]
    return reply.application_properties["status-code"], reply.body


@pytest.fixture
def manager(client):
    client.attach_sender(CBS_OUT + 10, "$management")
    client.attach_receiver(CBS_IN + 10, "$management")
    return client


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (400, {"operation": "WRITE"}),
        (400, {"name": ULong(3)}),
        (400, {"type": "com.microsoft:other"}),
        (401, {"security_token": "rubbish"}),
        (401, {"security_token": b"\xff"}),
        (404, {"name": "other"}),
        (404, {"type": PARTITION_TYPE, "partition": "99"}),
        (404, {"type": PARTITION_TYPE}),
    ],
)
def test_what_is_not_told_of_partitions(manager, status, changes):
    assert manage(manager, **changes)[0] == status


def test_who_has_shown_a_token_needs_none_in_the_request(manager):
    assert manage(manager, security_token=None)[0] == 200
    manager.hub.clock.now_s += 3600
    assert manage(manager, security_token=None)[0] == 401


@pytest.mark.parametrize("resource", ["", "/messages/events"])
def test_who_asks_where_the_events_are_is_told(resource):
    """As az iot and Microsoft's sample do it: SASL PLAIN, and a link that is refused."""
    client = Client(make_hub("d1"))
    host = client.hub.host_name
    client.raw(SASL_HEADER.to_bytes())
    token = client.token(resource=host + resource).encode()
    (outcome,) = client.say(SaslInit("PLAIN", b"\0service@sas.root.hub\0" + token))
    assert outcome.code == 0
    client.reader.await_header()
    client.open()
    attached, detached = attach(client, f"amqps://{host}/messages/events/$management")
    assert (attached.source, detached.error.condition) == (None, "amqp:link:redirect")
    assert detached.error.info == {
        "hostname": host,
        "network-host": host,
        "port": 5671,
        "address": f"amqps://{host}:5671/hub/$management",
    }


def test_there_the_partitions_are_told_as_well(client):
    client.attach_sender(CBS_OUT + 10, "hub/$management")
    client.attach_receiver(CBS_IN + 10, "amqps://hub.example.net:5671/hub/$management")
    assert manage(client, security_token=None)[0] == 200


def test_what_is_told_of_partitions(manager):
    status, body = manage(manager, security_token=manager.token().encode())
    assert (status, body.value["partition_count"]) == (200, manager.hub.telemetry.partitions)
    number = manager.hub.telemetry.partition_of("d1")
    for is_empty, last in ((True, -1), (False, 0)):
        asked = {"type": PARTITION_TYPE, "partition": str(number), "name": "messages/events"}
        status, body = manage(manager, **asked)
        told = body.value
        assert (status, told["is_partition_empty"]) == (200, is_empty)
        assert told["last_enqueued_sequence_number"] == last
        publish(manager, b"a")
