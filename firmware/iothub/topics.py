"""The hub's topics that arrive, and percent-encoding as it reads and writes it: RFC 3986, a
space is %20, `+` is itself.

Source: Microsoft, "Communicate with an IoT hub using the MQTT protocol".
"""

from binascii import unhexlify

from iothub.errors import ProtocolError
from micropython import const

# Places in `heads()`
_TWIN_ANSWER = const(0)
_DESIRED = const(1)
_MESSAGE = const(3)

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PERCENT = const(0x25)
_DIGITS = const(b"0123456789ABCDEF")
# A request id is echoed into a topic of ours: it must be unable to change that topic
_LONGEST_REQUEST_ID = const(64)
# The hub bounds a message, not the number of its properties; each costs heap here
_MOST_PROPERTIES = const(64)


def heads(device_id):
    """How the topics that arrive begin: twin answers, desired patches, commands, messages."""
    return (
        "$iothub/twin/res/",
        "$iothub/twin/PATCH/properties/desired/",
        "$iothub/methods/POST/",
        "devices/%s/messages/devicebound/" % device_id,
    )


def parse(topic, heads):
    """(place of its head in `heads`, what, request id) of `topic` (bytes).

    What: the status of a twin's answer, the name of a command, a message's properties.
    Raises ProtocolError for a topic that was not asked for.
    """
    try:
        text = topic.decode()
        for kind in range(len(heads)):
            if text.startswith(heads[kind]):
                return _parse_rest(kind, text[len(heads[kind]) :])
    except ValueError:
        pass  # not UTF-8, or a status that is no number
    raise ProtocolError("unknown topic")


def _parse_rest(kind, text):
    """`{bag}` of a message, `{what}/?{bag}` of the others."""
    if kind == _MESSAGE:
        return kind, parse_bag(text), None
    what, _, query = text.partition("?")
    request_id = parse_bag(query).get("$rid")
    if kind == _DESIRED:
        return kind, None, None
    # Bytes: MicroPython keeps each character of a text that it ever met
    digits = (request_id or "?").encode()
    for byte in digits:
        if byte not in UNRESERVED or len(digits) > _LONGEST_REQUEST_ID:
            raise ProtocolError("unusable $rid")
    what = decode(what[:-1])
    return kind, int(what) if kind == _TWIN_ANSWER else what, request_id


def parse_bag(text):
    """The properties in `text`: `name` alone is None, `name=` is "", `+` is itself.

    Raises ProtocolError for a bad escape, an empty or repeated name, or too many properties.
    """
    properties = {}
    for pair in text.split("&", _MOST_PROPERTIES) if text else ():
        name, equals, value = pair.partition("=")
        name = decode(name)
        if not name or name in properties or len(properties) == _MOST_PROPERTIES:
            raise ProtocolError("a property without a name of its own, or too many")
        properties[name] = decode(value) if equals else None
    return properties


def decode(text):
    """The str that `text` (str) stands for. Raises ProtocolError for a bad escape or UTF-8."""
    if "%" not in text:
        return text
    parts = text.encode().split(b"%")
    try:
        for i in range(1, len(parts)):
            # Strict: nothing and odd digits are refused like letters beyond F
            parts[i] = unhexlify(parts[i][:2] or b"?") + parts[i][2:]
        return b"".join(parts).decode()
    except ValueError:
        raise ProtocolError("bad percent-encoding")


def encode(text, behind=b""):
    """`text` (str, or bytes of UTF-8) encoded, a bytearray: `behind` itself if it is one."""
    encoded = behind or bytearray()
    for byte in text if isinstance(text, bytes) else text.encode():
        if byte in UNRESERVED:
            encoded.append(byte)
        else:
            # Digit by digit: formatted, each would cost heap
            encoded.append(_PERCENT)
            encoded.append(_DIGITS[byte >> 4])
            encoded.append(_DIGITS[byte & 15])
    return encoded
