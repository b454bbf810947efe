"""Who the device is, as a device connection string says it.

Source: Microsoft, "Control access to IoT Hub using shared access signatures".
"""

from binascii import a2b_base64, b2a_base64

from iothub.topics import UNRESERVED
from micropython import const

# Limits of the service. Source: Microsoft, "Identity registry", "Quotas and throttling".
_LONGEST_DEVICE_ID = const(128)
_LONGEST_HOST = const(253)
_SHORTEST_KEY_BYTES = const(16)
_LONGEST_KEY_BYTES = const(64)

# Besides the unreserved. Without + and #: in a topic filter they are wildcards, and the hub
# refuses such an id there
_DEVICE_ID_EXTRA = const(b":%*?!(),=@$'")


class IdentityError(ValueError):
    """The connection string cannot be used; the text names the part, never the key."""


class Identity:
    """`key` is decoded, None for a device with a certificate; `dial_host` is the hub or a gateway.

    The key is in no text of this object, and in no error. Without methods: with one, it would
    keep this module in the heap.
    """

    host = device_id = key = dial_host = None


def parse(text):
    """Read `HostName=...;DeviceId=...;SharedAccessKey=...[;GatewayHostName=...]`, or `x509=true`
    in place of the key.

    Raises IdentityError, naming what is missing or malformed.
    """
    fields = _fields(text)
    if "SharedAccessKeyName" in fields:
        raise IdentityError("this is a service's connection string: a device's has DeviceId")
    who = Identity()
    who.host = who.dial_host = _checked(fields, "HostName", b"", _LONGEST_HOST)
    who.device_id = _checked(fields, "DeviceId", _DEVICE_ID_EXTRA, _LONGEST_DEVICE_ID)
    if "GatewayHostName" in fields:
        who.dial_host = _checked(fields, "GatewayHostName", b"", _LONGEST_HOST)
    if fields.get("x509") != "true":
        who.key = _key(_required(fields, "SharedAccessKey"))
    elif "SharedAccessKey" in fields:
        raise IdentityError("x509 and SharedAccessKey exclude each other")
    return who


def _fields(text):
    fields = {}
    for part in text.strip().split(";"):
        name, equals, value = part.partition("=")
        if part and not equals:
            # Not quoted: what has lost its name may be the key
            raise IdentityError("a part of it is not name=value")
        if part and name in fields:
            raise IdentityError("%s is given twice" % name)
        fields[name] = value
    return fields


def _required(fields, name):
    value = fields.get(name)
    if not value:
        raise IdentityError("it has no %s" % name)
    return value


def _checked(fields, name, extra, longest):
    value = _required(fields, name)
    if len(value) > longest:
        raise IdentityError("%s is longer than %d characters" % (name, longest))
    # Bytes: MicroPython keeps each character of a text that it ever met, the key's too
    for byte in value.encode():
        if byte not in UNRESERVED and byte not in extra:
            raise IdentityError("%s has a character that is not allowed" % name)
    return value


def _key(text):
    """Decode strictly: MicroPython's decoder skips what it does not know."""
    try:
        key = a2b_base64(text)
    except ValueError:
        key = b""
    if b2a_base64(key).strip() != text.encode():
        raise IdentityError("SharedAccessKey is not base64: copy it again")
    if not _SHORTEST_KEY_BYTES <= len(key) <= _LONGEST_KEY_BYTES:
        raise IdentityError("SharedAccessKey has %d bytes, a hub's has 16 to 64" % len(key))
    return key
