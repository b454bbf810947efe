"""The property bag at the end of telemetry and cloud-to-device topics.

`name=value` pairs joined by `&`, both percent-encoded. A name without `=` has the value None,
one with nothing behind `=` the empty string. `+` is a plus: only `%20` is a space.

Source: iot-mqtt-connect-to-iot-hub, "Sending device-to-cloud messages" (RFC 3986 encoding).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from host_tools.hub.wire.protocol_error import ProtocolError

Bag = dict[str, str | None]


def parse_bag(text: str) -> Bag:
    """Return the properties in the order of the topic; of a repeated name the last one counts.

    `$` and `%24` are the same. Raises ProtocolError for a percent code that is not UTF-8 and
    for a value without a name.
    """
    bag: Bag = {}
    for pair in text.split("&"):
        if not pair:
            continue
        name, equals, value = pair.partition("=")
        if not name:
            raise ProtocolError("a property has no name")
        key = _decode(name)
        bag.pop(key, None)
        bag[key] = _decode(value) if equals else None
    return bag


def build_bag(bag: Mapping[str, str | None]) -> str:
    """Return the text that parse_bag reads back as `bag`. Every name must have a character."""
    return "&".join(
        quote(name, safe="") + ("" if value is None else "=" + quote(value, safe=""))
        for name, value in bag.items()
    )


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ProtocolError("a property is not UTF-8") from None
