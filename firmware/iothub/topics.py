"""The hub's topics: an exact grammar for those that arrive, builders for those that leave; and
the JSON under them.

Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol".
"""

import json

from iothub.errors import ProtocolError
from iothub.percent import decode, encode
from micropython import const

TWIN_ANSWER = const(0)
DESIRED = const(1)
METHOD = const(2)
MESSAGE = const(3)

_API_VERSION = const(b"2021-04-12")

_TWIN_ANSWER_HEAD = const("$iothub/twin/res/")
_DESIRED_HEAD = const("$iothub/twin/PATCH/properties/desired/")
_METHOD_HEAD = const("$iothub/methods/POST/")

# A request id is echoed into a topic of ours: it must be unable to change that topic
_LONGEST_REQUEST_ID = const(64)
_REQUEST_ID_CHARACTERS = const(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")
_LONGEST_METHOD_NAME = const(256)
# A signed 64-bit count has 19 digits
_LONGEST_VERSION = const(19)
# The hub bounds a message, not the number of its properties; each costs heap here
_MOST_PROPERTIES = const(64)


class Arrival:
    """What a topic said. `kind` is one of the four above; the rest as that kind has it."""

    def __init__(self, kind, name="", request_id="", status=0, version=-1, properties=None):
        self.kind = kind
        self.name = name
        self.request_id = request_id
        self.status = status
        self.version = version
        self.properties = properties


# ---- what arrives


def parse(topic, device_id):
    """The `Arrival` that `topic` (bytes) announces. Raises ProtocolError for any other topic."""
    text = _text(topic)
    if text.startswith(_TWIN_ANSWER_HEAD):
        return _parse_twin_answer(text[len(_TWIN_ANSWER_HEAD) :])
    if text.startswith(_DESIRED_HEAD):
        return _parse_desired(text[len(_DESIRED_HEAD) :])
    if text.startswith(_METHOD_HEAD):
        return _parse_method(text[len(_METHOD_HEAD) :])
    head = "devices/%s/messages/devicebound/" % device_id
    if text.startswith(head):
        return Arrival(MESSAGE, properties=parse_bag(text[len(head) :]))
    raise ProtocolError("a topic that was not asked for")


def parse_bag(text):
    """The properties in `text`: `name` alone is None, `name=` is "", `+` is itself.

    Raises ProtocolError for a bad escape, an empty or repeated name, or too many properties.
    """
    properties = {}
    if not text:
        return properties
    pairs = text.split("&", _MOST_PROPERTIES)
    if len(pairs) > _MOST_PROPERTIES:
        raise ProtocolError("more than %d properties" % _MOST_PROPERTIES)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = decode(name)
        if not name or name in properties:
            raise ProtocolError("a property without a name of its own")
        properties[name] = decode(value) if equals else None
    return properties


def _parse_twin_answer(text):
    """`{status}/?$rid={rid}[&$version={n}]`"""
    status, slash, text = text.partition("/")
    if not slash or len(status) != 3 or not _is_number(status):
        raise ProtocolError("a twin answer without a status")
    properties = _parse_query(text)
    return Arrival(
        TWIN_ANSWER,
        request_id=_request_id(properties),
        status=int(status),
        version=_version(properties),
    )


def _parse_desired(text):
    """`?$version={n}`"""
    version = _version(_parse_query(text))
    if version < 0:
        raise ProtocolError("a desired patch without a version")
    return Arrival(DESIRED, version=version)


def _parse_method(text):
    """`{name}/?$rid={rid}`"""
    name, slash, text = text.partition("/")
    if not slash or not 0 < len(name) <= _LONGEST_METHOD_NAME:
        raise ProtocolError("a command without a name")
    return Arrival(METHOD, name=decode(name), request_id=_request_id(_parse_query(text)))


def _parse_query(text):
    """`?name=value&...` in any order; what we do not know is left alone."""
    if not text.startswith("?"):
        raise ProtocolError("a topic without its query")
    return parse_bag(text[1:])


def _request_id(properties):
    request_id = properties.get("$rid")
    if not request_id or len(request_id) > _LONGEST_REQUEST_ID:
        raise ProtocolError("a request without a usable $rid")
    # Bytes, here and below: MicroPython keeps each character of a text that it ever met
    for byte in request_id.encode():
        if byte not in _REQUEST_ID_CHARACTERS:
            raise ProtocolError("a $rid with a character that cannot be echoed")
    return request_id


def _version(properties):
    text = properties.get("$version")
    if text is None:
        return -1
    if not 0 < len(text) <= _LONGEST_VERSION or not _is_number(text):
        raise ProtocolError("a $version that is no number")
    return int(text)


def _is_number(text):
    for byte in text.encode():
        if byte not in b"0123456789":
            return False
    return True


def _text(topic):
    """The topic as str. MQTT 3.1.1 §1.5.3: UTF-8 without NUL; §4.7.1: no wildcards here."""
    for byte in topic:
        if byte < 0x20 or byte in b"#\x7f":
            raise ProtocolError("a topic with a character that is not allowed")
    try:
        return bytes(topic).decode()
    except UnicodeError:
        raise ProtocolError("a topic that is not UTF-8")


def parse_json(body):
    """The value in `body` (bytes). Raises ProtocolError when it is no JSON, or too much."""
    try:
        return json.loads(body)
    except (ValueError, MemoryError, RuntimeError):
        # RuntimeError: nested deeper than the interpreter follows
        raise ProtocolError("a body that is not JSON, or too large for the heap")


def parse_object(body):
    value = parse_json(body)
    if not isinstance(value, dict):
        raise ProtocolError("a body that is not a JSON object")
    return value


def version_of(properties):
    """The `$version` among desired properties. Raises ProtocolError."""
    version = properties.get("$version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise ProtocolError("properties without a $version")
    return version


# ---- what leaves


def user_name(identity, product, model_id):
    """The CONNECT user name, as bytes; `model_id` "" announces no model."""
    name = b"%s/%s/?api-version=%s" % (
        identity.host.encode(),
        identity.device_id.encode(),
        _API_VERSION,
    )
    if product:
        name += b"&DeviceClientType=" + encode(product)
    if model_id:
        name += b"&model-id=" + encode(model_id)
    return name


def filters(device_id):
    """What to subscribe to: the hub allows five."""
    return (
        b"devices/%s/messages/devicebound/#" % device_id.encode(),
        b"$iothub/twin/res/#",
        b"$iothub/twin/PATCH/properties/desired/#",
        b"$iothub/methods/POST/#",
    )


def telemetry(device_id, component=""):
    """The topic of JSON telemetry of `component` ("" = root).

    Without both content properties the hub would hand the body on as base64.
    """
    topic = b"devices/%s/messages/events/%%24.ct=application%%2Fjson&%%24.ce=utf-8" % (
        device_id.encode()
    )
    if component:
        topic += b"&%24.sub=" + encode(component)
    return topic


def created(utc_text):
    """What a telemetry topic gains when its message has to wait: the time it was made."""
    return b"&iothub-creation-time-utc=" + encode(utc_text) if utc_text else b""


def twin_get(request_id):
    return b"$iothub/twin/GET/?$rid=%s" % request_id.encode()


def reported_patch(request_id):
    return b"$iothub/twin/PATCH/properties/reported/?$rid=%s" % request_id.encode()


def method_answer(status, request_id):
    return b"$iothub/methods/res/%d/?$rid=%s" % (status, request_id.encode())
