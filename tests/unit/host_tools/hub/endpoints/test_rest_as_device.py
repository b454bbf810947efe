"""A device over HTTPS, by hand: its events, its messages, and what becomes of them."""

import base64

import pytest
from doubles.hub_in_memory import make_hub
from doubles.rest_client import VERSION, ask, token

from host_tools.hub.state.c2d import Message
from host_tools.hub.wire.sas import build_token

EVENTS = "/devices/d1/messages/events" + VERSION
MESSAGES = "/devices/d1/messages/deviceBound"


def own(hub, device_id="d1"):
    """The header that a device shows."""
    key = hub.registry.keys(device_id)[0]
    return {"Authorization": build_token(f"hub.example.net/devices/{device_id}", key, 1 << 33)}


def told(hub):
    return [event for part in (0, 1) for event in hub.telemetry.read(part)]


def outcome(hub):
    hub.clock.now_s += 15
    batch = hub.feedback.next()
    return None if batch is None else batch.records[0]["statusCode"]


def test_an_event():
    hub = make_hub("d1")
    headers = {
        **own(hub),
        "Content-Type": "application/octet-stream",
        "iothub-app-Level": "high",
        "IoTHub-MessageId": "m1",
        "iothub-contenttype": "application/json",
    }
    assert ask(hub, "POST", EVENTS, b"\x00\xff", headers).status == 204
    (event,) = told(hub)
    assert event.body == b"\x00\xff"
    assert event.properties == {"Level": "high"}
    assert event.system == {"message-id": "m1", "content-type": "application/json"}
    assert '"scope":"device"' in event.annotations["iothub-connection-auth-method"]


def test_a_header_that_is_no_utf8_is_latin1():
    hub = make_hub("d1")
    for room in ("a", "K\udcfcche", "K\u00fcche"):
        headers = {**own(hub), "iothub-app-room": room, "iothub-messageid": room}
        assert ask(hub, "POST", EVENTS, b"x", headers).status == 204
    found = [(event.properties["room"], event.system["message-id"]) for event in told(hub)]
    assert found == [("a", "a"), ("K\u00fcche", "K\u00fcche"), ("K\u00fcche", "K\u00fcche")]


def test_a_batch_of_events():
    hub = make_hub("d1")
    headers = {**own(hub), "Content-Type": "application/vnd.microsoft.iothub.json"}
    batch = [
        {"body": base64.b64encode(b"one").decode(), "properties": {"iothub-app-a": "1"}},
        {"body": "two", "base64Encoded": False},
    ]
    assert ask(hub, "POST", EVENTS, batch, headers).status == 204
    assert [(each.body, each.properties) for each in told(hub)] == [
        (b"one", {"a": "1"}),
        (b"two", {}),
    ]
    for bad in ({}, [], [5], [{}], [{"body": "*"}], [{"body": "", "properties": 5}], b"{"):
        assert ask(hub, "POST", EVENTS, bad, headers).status == 400, bad
    assert len(told(hub)) == 2


def test_a_message_fetched_and_completed():
    hub = make_hub("d1")
    assert ask(hub, "GET", MESSAGES + VERSION, headers=own(hub)).status == 204
    sent = Message(
        b"hello",
        message_id="m1",
        correlation_id="c1",
        content_type="text/plain",
        ack="full",
        properties={"l\u00e9vel": "a\r\nb", "plain": None},
    )
    hub.c2d.send("d1", sent)
    found = ask(hub, "GET", MESSAGES + VERSION, headers=own(hub))
    assert (found.status, found.body) == (200, b"hello")
    assert found.headers["iothub-messageid"] == "m1"
    assert found.headers["iothub-correlationid"] == "c1"
    assert found.headers["iothub-contenttype"] == "text/plain"
    assert found.headers["iothub-to"] == "/devices/d1/messages/devicebound"
    assert found.headers["iothub-app-l%c3%a9vel"] == "a%0D%0Ab"
    assert found.headers["iothub-app-plain"] == ""
    lock = found.headers["etag"].strip('"')
    assert ask(hub, "GET", MESSAGES + VERSION, headers=own(hub)).status == 204
    assert ask(hub, "DELETE", f"{MESSAGES}/{lock}{VERSION}", headers=own(hub)).status == 204
    late = ask(hub, "DELETE", f"{MESSAGES}/{lock}{VERSION}", headers=own(hub))
    assert (late.status, late.headers["iothub-errorcode"]) == (412, "DeviceMessageLockLost")
    assert outcome(hub) == "Success"
    assert hub.c2d.count("d1") == 0


def test_a_message_that_never_expires():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"hello", expires_s=253_402_300_800))
    found = ask(hub, "GET", MESSAGES + VERSION, headers=own(hub))
    assert (found.status, found.headers["iothub-expiry"][:10]) == (200, "9999-12-31")


def test_a_message_abandoned_then_rejected():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"hello", ack="negative"))
    lock = ask(hub, "GET", MESSAGES, headers=own(hub)).headers["etag"].strip('"')
    assert ask(hub, "POST", f"{MESSAGES}/{lock}/abandon", headers=own(hub)).status == 204
    again = ask(hub, "GET", MESSAGES, headers=own(hub))
    assert again.headers["iothub-deliverycount"] == "1"
    lock = again.headers["etag"].strip('"')
    target = f"{MESSAGES}/{lock}{VERSION}&reject"
    assert ask(hub, "DELETE", target, headers=own(hub)).status == 204
    assert outcome(hub) == "Rejected"


@pytest.mark.parametrize("target", [EVENTS, MESSAGES, f"{MESSAGES}/lock"])
def test_it_is_for_the_device_itself(target):
    hub = make_hub("d1", "d2")
    verb = {EVENTS: "POST", MESSAGES: "GET"}.get(target, "DELETE")
    entra = {"Authorization": f"Bearer {hub.entra.issue('https://iothubs.azure.net').text}"}
    service = {"Authorization": token(hub, "service")}
    for headers in (own(hub, "d2"), service, entra, {"Authorization": None}):
        assert ask(hub, verb, target, b"x", headers).status == 401
    assert told(hub) == []
    hub.registry.update("d1", {"status": "disabled"}, None)
    assert ask(hub, verb, target, b"x", own(hub)).status == 403
