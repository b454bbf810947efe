"""Who the device is, as a device connection string says it.

Source: Microsoft, "Control access to IoT Hub using shared access signatures".
"""

from binascii import a2b_base64

from iothub.errors import IdentityError
from micropython import const

# Limits of the service. Source: Microsoft, "Identity registry", "Quotas and throttling".
_LONGEST_DEVICE_ID = const(128)
_LONGEST_HOST = const(253)
_SHORTEST_KEY_BYTES = const(16)
_LONGEST_KEY_BYTES = const(64)

_ALPHANUMERIC = const(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_HOST_EXTRA = const(b"-.")
# Without + and #: in a topic filter they are wildcards, and the hub refuses such an id there
_DEVICE_ID_EXTRA = const(b"-.:%_*?!(),=@$'")
_BASE64_EXTRA = const(b"+/")


class Identity:
    """Host, device id and key of one device. `gateway` is the host to dial, or None.

    A device that shows a certificate has the key None. The key is in no text of this object: not
    in `repr`, not in an error.
    """

    def __init__(self, host, device_id, key, gateway=None):
        self.host = host
        self.device_id = device_id
        self.gateway = gateway
        self._key = key

    def key(self):
        """The shared access key, decoded."""
        return self._key

    def dial_host(self):
        return self.gateway or self.host

    def __repr__(self):
        return "Identity(%r, %r)" % (self.host, self.device_id)

    __str__ = __repr__


def parse(connection_string):
    """Read `HostName=...;DeviceId=...;SharedAccessKey=...[;GatewayHostName=...]`, or with
    `x509=true` in place of the key.

    Raises IdentityError, naming what is missing or malformed.
    """
    fields = _fields(connection_string)
    if "SharedAccessKeyName" in fields:
        raise IdentityError("this is a service's connection string: a device's has DeviceId")
    host = _host(fields, "HostName")
    device_id = _required(fields, "DeviceId")
    _check(device_id, "DeviceId", _DEVICE_ID_EXTRA, _LONGEST_DEVICE_ID)
    key = None
    if fields.get("x509") != "true":
        key = _key(_required(fields, "SharedAccessKey"))
    elif "SharedAccessKey" in fields:
        raise IdentityError("x509=true and SharedAccessKey exclude each other")
    gateway = _host(fields, "GatewayHostName") if "GatewayHostName" in fields else None
    return Identity(host, device_id, key, gateway)


def _fields(text):
    fields = {}
    for part in text.strip().split(";"):
        if not part:
            continue
        name, equals, value = part.partition("=")
        if not equals:
            # Not quoted: what has lost its name may be the key
            raise IdentityError("the connection string has a part that is not name=value")
        if name in fields:
            raise IdentityError("%s is given twice" % name)
        fields[name] = value
    return fields


def _required(fields, name):
    value = fields.get(name)
    if not value:
        raise IdentityError("the connection string has no %s" % name)
    return value


def _host(fields, name):
    host = _required(fields, name)
    _check(host, name, _HOST_EXTRA, _LONGEST_HOST)
    return host


def _check(value, name, extra, longest):
    if len(value) > longest:
        raise IdentityError("%s is longer than %d characters" % (name, longest))
    # Bytes: MicroPython keeps each character of a text that it ever met, the key's too
    for byte in value.encode():
        if byte not in _ALPHANUMERIC and byte not in extra:
            raise IdentityError("%s has a character that is not allowed" % name)


def _key(text):
    """Decode strictly: MicroPython's decoder skips what it does not know."""
    digits = text.rstrip("=")
    well_formed = len(text) % 4 == 0 and len(text) - len(digits) <= 2
    for byte in digits.encode():
        if byte not in _ALPHANUMERIC and byte not in _BASE64_EXTRA:
            well_formed = False
    if not well_formed:
        raise IdentityError("SharedAccessKey is not base64: copy it again, whole")
    key = a2b_base64(text)
    if not _SHORTEST_KEY_BYTES <= len(key) <= _LONGEST_KEY_BYTES:
        raise IdentityError(
            "SharedAccessKey has %d bytes, a hub's has %d to %d"
            % (len(key), _SHORTEST_KEY_BYTES, _LONGEST_KEY_BYTES)
        )
    return key
