"""JSON bodies from the hub. Source: Microsoft, "Understand and use device twins"."""

import json

from iothub.errors import ProtocolError


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
