"""The device's own side of HTTPS: it sends events, fetches its messages, and says what became of
them. For devices that come by now and then; methods and twins are not to be had this way.

A message is locked when it is fetched; its ETag names it in the calls that follow.
Source: Azure IoT Hub REST, device side: "Send Device Event", "Receive / Complete / Abandon Device
Bound Notification"; of the batch "Use HTTPS to send device-to-cloud messages".
"""

from __future__ import annotations

import base64
import binascii
import string
from urllib.parse import quote

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header
from host_tools.hub.state.c2d import Message
from host_tools.hub.state.documents import Json, iso_time
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.wire.property_bag import Bag

MAX_BATCH = 500  # messages; a body of 1 MB holds hardly more
BATCH_TYPE = "application/vnd.microsoft.iothub.json"
_APPLICATION = "iothub-app-"
# Header → name in a property bag
_SYSTEM = {
    "iothub-messageid": "$.mid",
    "iothub-correlationid": "$.cid",
    "iothub-userid": "$.uid",
    "iothub-contenttype": "$.ct",
    "iothub-contentencoding": "$.ce",
}
# What may stand in a header as it is (RFC 9110); the rest of a property is percent-encoded
_IN_VALUES = string.punctuation.replace("%", "") + " "
_IN_NAMES = "!#$&'*+-.^_`|~"


async def send_event(hub: Hub, call: Call) -> Answer:
    """Answered when all of it is stored."""
    content_type = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type == BATCH_TYPE:
        events = _parse_batch(call.json())
    else:
        events = [(call.body, _bag(dict(call.headers)))]
    for body, bag in events:
        hub.telemetry.append(call.device_id, body, bag, "", call.grant.auth_method)
    await hub.flush()
    return Answer(status=204)


async def receive_message(hub: Hub, call: Call) -> Answer:
    hub.connections.touch(call.device_id)
    message = hub.c2d.next(call.device_id)
    if message is None:
        return Answer(status=204)
    return Answer(body=message.body, headers={**_headers(message), **etag_header(message.lock)})


async def complete_message(hub: Hub, call: Call) -> Answer:
    """With `?reject` the device will not have it: it is dead."""
    device_id, lock = call.device_id, call.names[1]
    if "reject" in call.query:
        hub.c2d.reject(device_id, lock)
    else:
        hub.c2d.complete(device_id, lock)
    return Answer(status=204)


async def abandon_message(hub: Hub, call: Call) -> Answer:
    hub.c2d.abandon(call.device_id, call.names[1])
    return Answer(status=204)


def _headers(message: Message) -> dict[str, str]:
    optional = {
        "iothub-messageid": message.message_id,
        "iothub-correlationid": message.correlation_id,
        "iothub-userid": message.user_id,
        "iothub-contenttype": message.content_type,
        "iothub-contentencoding": message.content_encoding,
        "iothub-expiry": None if message.expires_s is None else iso_time(message.expires_s),
    }
    headers = {
        "iothub-to": _value(message.to),
        "iothub-sequencenumber": str(message.sequence_number),
        "iothub-enqueuedtime": iso_time(message.enqueued_s),
        "iothub-deliverycount": str(message.delivery_count),
        "iothub-ack": message.ack,
    }
    headers |= {name: _value(text) for name, text in optional.items() if text is not None}
    for name, text in message.properties.items():
        headers[_APPLICATION + quote(name, safe=_IN_NAMES)] = _value(text or "")
    return headers


def _value(text: str) -> str:
    return quote(text, safe=_IN_VALUES)


def _bag(headers: dict[str, str]) -> Bag:
    bag: Bag = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in _SYSTEM:
            bag[_SYSTEM[lower]] = _text(value)
        elif lower.startswith(_APPLICATION):
            bag[name[len(_APPLICATION) :]] = _text(value)
    return bag


def _text(value: str) -> str:
    """aiohttp leaves bytes that are no UTF-8 as surrogates, which nobody could be sent again;
    they are Latin-1, as headers were of old (RFC 9110, section 5.5)."""
    octets = value.encode("utf-8", "surrogateescape")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _parse_batch(document: Json) -> list[tuple[bytes, Bag]]:
    """`[{"body": …, "base64Encoded": true, "properties": {…}}, …]`. Raises: HubError 400004."""
    if not isinstance(document, list) or not 1 <= len(document) <= MAX_BATCH:
        raise argument_invalid(f"A batch is a list of 1 to {MAX_BATCH} messages.")
    return [_parse_entry(each) for each in document]


def _parse_entry(entry: Json) -> tuple[bytes, Bag]:
    if not isinstance(entry, dict):
        raise argument_invalid("A message of the batch is not an object.")
    body, properties = entry.get("body"), entry.get("properties") or {}
    if not isinstance(body, str) or not isinstance(properties, dict):
        raise argument_invalid("A message of the batch has no body, or bad properties.")
    bag = _bag({name: str(value) for name, value in properties.items()})
    if entry.get("base64Encoded", True) is False:
        return body.encode("utf-8"), bag
    try:
        return base64.b64decode(body, validate=True), bag
    except (binascii.Error, ValueError):
        raise argument_invalid("The body of a message of the batch is not base64.") from None
